#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/measure.hpp"

namespace repsim::pipeline {

struct RoundsToMeasure {
  const std::vector<std::vector<measure::Job>>& jobs;  ///< per deployment, one per process
  std::int64_t repeats = 1;
  std::filesystem::path job_file;  ///< where to write the job of a process
  const std::function<std::vector<std::string>(const std::filesystem::path&)>& command;  ///< as in MeasureSettings
};

/// Per deployment its rounds.
using MeasuredRounds = std::vector<std::vector<measure::Round>>;

/// Runs the processes of measure::schedule(), one after another.
/// @throws Error{kInput} with what a process that fails says; Error{kInterrupted}
[[nodiscard]] MeasuredRounds run_rounds(const RoundsToMeasure& what, Progress& progress);

}  // namespace repsim::pipeline
