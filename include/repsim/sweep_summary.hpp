#pragma once

#include <filesystem>

#include "repsim/sweep.hpp"
#include "repsim/sweep_report.hpp"

/// What came out of a sweep: from its folder to its summary.
namespace repsim::sweep {

/// Reads tasks.json, the outcomes and the plans. @throws Error{kInput}; Error{kInterrupted}
[[nodiscard]] report::SweepSummary summarise(const std::filesystem::path& directory, Progress& progress);

/// Writes summary.csv, .md, .html and, last, .json. @throws Error{kInput}
void write_summary(const std::filesystem::path& directory, const report::SweepSummary& summary);

}  // namespace repsim::sweep
