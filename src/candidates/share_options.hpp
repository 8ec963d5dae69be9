#pragma once

#include <cstdint>
#include <vector>

#include "replacements.hpp"

/// What a receiver could take from one donor, or from several: the candidates among which the search chooses.
namespace repsim::candidates {

/// Per parameter the bytes that are gone with it: none where another model holds the same values, since the bundle
/// stores them once.
std::vector<std::int64_t> bytes_of_its_own(const session::Session& session, ModelIndex model);

/// The fronts of predicted fidelity and cost against saving for one receiver, largest saving first: minimum cuts for
/// every exchange rate, for every bound on the worst replacement, some between them, and cuts swept along the depth.
/// Only cuts that save something.
/// @param replacements  of one donor; or of several: then only cuts that mix donors
std::vector<planner::Candidate> candidates_of(const Options& options, const session::Session& session,
                                              ModelIndex receiver, const std::vector<RatedReplacement>& replacements);

}  // namespace repsim::candidates
