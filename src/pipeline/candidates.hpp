#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "repsim/pipeline.hpp"
#include "repsim/search.hpp"
#include "repsim/similarity.hpp"
#include "repsim/trial.hpp"

/// What the search is asked: candidates of all directions, and the settings that concern it.
namespace repsim::pipeline {

/// Pairs of models that may share: all ordered pairs of rewritable models, or the directions that the user forces,
/// without the models that are kept and those that may not give.
[[nodiscard]] std::vector<Direction> directions(const Settings& settings, std::span<const session::Model> models);

/// The fronts of each ordered pair of models, then of each receiver's mixed cuts. One pass over the trial frames.
/// @param signatures  per model
/// @throws Error{kInterrupted}
[[nodiscard]] std::vector<planner::Candidate> find_candidates(const Settings& settings, const session::Session& session,
                                                              const std::vector<similarity::Signatures>& signatures,
                                                              trial::CalibrationFrames& calibration,
                                                              Progress& progress);

[[nodiscard]] planner::SearchInput search_input(const Settings& settings, const session::Session& session,
                                                std::vector<planner::Candidate> candidates);

/// Its deadline counts from now.
/// @param bytes_to_save  with a budget: how much the shares have to save
[[nodiscard]] planner::SearchOptions search_options(const Settings& settings, std::int64_t bytes_to_save,
                                                    std::size_t prepare_together);

}  // namespace repsim::pipeline
