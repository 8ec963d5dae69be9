#pragma once

#include <cstdint>
#include <filesystem>

#include "repsim/pipeline.hpp"
#include "repsim/validation.hpp"

/// The correlation study: how well predictors foretell what merged models keep, on models and video of the user's own.
namespace repsim::pipeline {

struct StudySettings {
  /// Models, video, frames, directions, globs, adapters, refit, threads, seed, truth; what else a plan needs is not
  /// read. All cuts are fitted without corrections (max_rank).
  Settings job;
  std::int64_t cuts = 64;  ///< measured per ordered pair of models
};

/// Ranges and combinations, before any work. @throws Error{kInput} or Error{kUsage}
void check(const StudySettings& settings);

/// For each ordered pair of models cuts along the depth, at equal depth and across depths, each fitted on calibration
/// frames and measured on hold-out frames. Writes validation.json, validation.csv and validation.html to `out`, or
/// nothing.
/// @throws Error; Error{kNothingToShare} where no cut of any pair can be measured: nothing is written
[[nodiscard]] report::Validation validate(const StudySettings& settings, const std::filesystem::path& out, bool force,
                                          Progress& progress);

}  // namespace repsim::pipeline
