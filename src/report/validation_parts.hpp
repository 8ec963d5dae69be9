#pragma once

#include <string>

#include "repsim/validation.hpp"

/// Texts and look-ups that a study's page and its tables in a terminal share.
namespace repsim::report {

/// The table of this direction, subset and measure. nullptr: there is none (too few cuts, no ground truth).
[[nodiscard]] const CorrelationTable* find_table(const Validation& validation, const std::string& receiver,
                                                 const std::string& donor, const std::string& subset,
                                                 const std::string& against);

/// The title of a predictor or of a combined predictor, from its key.
[[nodiscard]] std::string title_of(const std::string& predictor);
/// "0.81 to 0.93"; "-": undefined.
[[nodiscard]] std::string interval_text(const planner::Correlation& correlation);
/// "other cuts", "a few trials" or "other pairs", from the word of PredictionTable::learned_from.
[[nodiscard]] std::string learned_from_text(const std::string& learned_from);

}  // namespace repsim::report
