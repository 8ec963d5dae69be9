#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "repsim/base/progress.hpp"
#include "repsim/config.hpp"
#include "repsim/plan_diff.hpp"
#include "repsim/report.hpp"

/// `repsim check`: whether a plan is still what its models, video and settings give.
namespace repsim::pipeline {

struct PlanCheckSettings {
  std::filesystem::path plan;                ///< plan.json, or the folder that holds it
  config::Settings settings;                 ///< with which the plan is made again
  bool hashes_only = false;                  ///< do not make it again: compare what it was made from
  report::DiffTolerances tolerances;         ///< of figures; structure has none
  std::optional<std::filesystem::path> out;  ///< where the new plan stays; absent: it is removed
  bool force = false;                        ///< `out` may exist
};

struct PlanCheck {
  report::Plan recorded;  ///< as the file states it
  report::Plan now;       ///< made again; with hashes_only the recorded one with what its inputs are now
  report::PlanDiff diff;  ///< from recorded to now
};

/// Reads the hashes of models and video first and logs what changed; then plans again, unless only hashes are asked
/// for. Writes nothing but `out`. @throws Error{kInput} where the plan, a model or the video cannot be read
[[nodiscard]] PlanCheck check_plan(const PlanCheckSettings& settings, Progress& progress);

}  // namespace repsim::pipeline
