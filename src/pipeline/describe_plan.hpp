#pragma once

#include "plan_loop.hpp"
#include "repsim/bundle.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {

/// Everything in plan.json.
/// @param deduplicated  the bundle of the same models without shares
report::Plan describe_plan(const Settings& settings, const PlanInputs& inputs, const PlannedBundle& planned,
                           const bundle::Written& deduplicated);

}  // namespace repsim::pipeline
