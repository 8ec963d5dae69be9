#pragma once

#include "plan_frames.hpp"
#include "plan_loop.hpp"
#include "repsim/bundle.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/similarity.hpp"

namespace repsim::pipeline {

/// What a plan is made from. All of it outlives the plan.
struct PlanInputs {
  const session::Session& session;
  const PlanFrames& frames;
  const capture::Stores& calibration;  ///< calibration frames
  const HoldoutStores& holdout;        ///< selection and test frames
  const similarity::ModelPairs& similarity;
  const std::vector<std::optional<report::ModelEvidence>>& evidence;  ///< per model
  std::int64_t bytes_to_save = 0;  ///< with a budget: bytes that shares have to save; 0 or less: none
};

/// Everything in plan.json.
/// @param deduplicated  the bundle of the same models without shares
report::Plan describe_plan(const Settings& settings, const PlanInputs& inputs, const PlannedBundle& planned,
                           const bundle::Written& deduplicated);

}  // namespace repsim::pipeline
