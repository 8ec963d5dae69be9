#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/config.hpp"
#include "repsim/measurement.hpp"

/// `repsim measure`: what a plan's bundle and its originals cost where they run.
namespace repsim::pipeline {

struct MeasureSettings {
  std::filesystem::path plan;                ///< plan.json, or the folder that holds it
  std::optional<std::filesystem::path> out;  ///< folder for measure.json and measure.html
  bool force = false;                        ///< replace them
  std::int64_t repeats = 5;                  ///< processes of each deployment
  std::int64_t frames = 24;                  ///< timed calls of each process
  std::int64_t batch = 1;                    ///< frames of one call
  int threads = 0;
  config::Device device;
  std::vector<std::string> libraries;  ///< as in Settings
  /// Arguments of this program that make it a process of the measurement.
  /// @param job  file of a measure::Job; the process prints a measure::Sample as JSON
  std::function<std::vector<std::string>(const std::filesystem::path& job)> command;
};

/// Runs the deployments of a plan in processes of their own, on test frames of the plan. Without `out` nothing is
/// written.
/// @throws Error{kInput} when plan, bundle, models or video are missing or were changed (sha256), when a model takes no
///         batch of this size, when a process fails: with what it says; Error{kInterrupted}
[[nodiscard]] report::Measurement measure(const MeasureSettings& settings, Progress& progress);

}  // namespace repsim::pipeline
