#pragma once

#include <filesystem>
#include <vector>

#include "repsim/sweep_engines.hpp"

namespace repsim::sweep {

/// Writes slurm/jobs.json. @throws Error{kInput}
void write_submitted(const std::filesystem::path& directory, const std::vector<SubmittedJob>& jobs);

}  // namespace repsim::sweep
