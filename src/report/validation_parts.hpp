#pragma once

#include <string>

#include "repsim/validation.hpp"

/// What the terminal's tables and the page of a study have in common.
namespace repsim::report {

/// nullptr: there is no such table (too few cuts, no ground truth).
[[nodiscard]] const CorrelationTable* find_table(const Validation& validation, const std::string& receiver,
                                                 const std::string& donor, const std::string& subset,
                                                 const std::string& against);

/// A predictor's or predictor's name for people, from its key.
[[nodiscard]] std::string title_of(const std::string& predictor);
/// "0.81 to 0.93"; "-": undefined.
[[nodiscard]] std::string interval_text(const planner::Correlation& correlation);
/// "other cuts", "a few trials", "other pairs"
[[nodiscard]] std::string learned_from_text(const std::string& learned_from);

}  // namespace repsim::report
