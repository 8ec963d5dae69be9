#pragma once

#include <span>
#include <string>

#include "repsim/candidate.hpp"

namespace repsim::report {

/// The sentence of plan.json and `--explain` that says why a candidate was taken, or was not.
/// @param model_names  in the order of the plan
[[nodiscard]] std::string reason_text(const planner::CandidateRecord& record, std::span<const std::string> model_names);

/// Parts of that sentence: "0.912 (lower end 0.874)".
[[nodiscard]] std::string measured_text(const planner::Reason& reason);
/// " on a wide that takes layers itself"; empty where no donor took layers.
[[nodiscard]] std::string taking_donors_text(const planner::Reason& reason, std::span<const std::string> model_names);

}  // namespace repsim::report
