#pragma once

#include "repsim/base/progress.hpp"
#include "repsim/measure.hpp"

/// What a process of `repsim measure` does. Its memory is to be that of any program that runs TorchScript files, so it
/// opens no video and prepares no graph.
namespace repsim::measure {

/// Loads the files of the job as plain torch::jit does, runs them on the inputs and measures.
/// @throws Error{kInput} naming the file that cannot be loaded or fails; Error{kInterrupted}
[[nodiscard]] Sample run_job(const Job& job, Progress& progress);

}  // namespace repsim::measure
