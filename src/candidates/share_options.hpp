#pragma once

#include <vector>

#include "replacements.hpp"

/// What a receiver could take from one donor, or from several: the candidates among which the search chooses.
namespace repsim::candidates {

/// The fronts of predicted fidelity and cost against saving for one receiver, largest saving first: minimum cuts for
/// every exchange rate, for every bound on the worst replacement, some between them, and cuts swept along the depth.
/// Only cuts that save something.
/// @param replacements  of one donor; or of several: then only cuts that mix donors
std::vector<planner::Candidate> candidates_of(const Options& options, const session::Session& session,
                                              ModelIndex receiver, const std::vector<RatedReplacement>& replacements);

}  // namespace repsim::candidates
