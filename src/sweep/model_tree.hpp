#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/sweep.hpp"
#include "repsim/sweep_report.hpp"

namespace repsim::sweep {

/// How alike the models of a sweep are, from the files of signatures that its captures wrote. No model runs.
/// Cost: one product of all layers with each other per video and frames.
/// @return nothing where less than two models have signatures on all videos and frames of the sweep
/// @throws Error{kInput} where a file is damaged; Error{kInterrupted}
[[nodiscard]] std::optional<report::ModelTree> model_tree(const std::filesystem::path& directory,
                                                          const std::vector<Task>& tasks, Progress& progress);

}  // namespace repsim::sweep
