#pragma once

#include <string>
#include <vector>

#include "replacements.hpp"
#include "repsim/planner.hpp"
#include "workspace.hpp"

/// What a receiver could take from one donor, or from several: the columns among which the search chooses.
namespace repsim::pipeline {

/// "wide", "wide+shuffle"
std::string names_of(const Workspace& work, const std::vector<ModelIndex>& models);

/// The model of this name; -1: none.
int index_of(const Workspace& work, const std::string& name);

/// The fronts of predicted fidelity and cost against saving for one receiver, largest saving first: minimum cuts for
/// every exchange rate, for every bound on the worst replacement, some between them, and cuts swept along the depth.
/// Only cuts that save something.
/// @param replacements  of one donor; or of several: then only cuts that mix donors
std::vector<planner::Candidate> candidates_of(const Settings& settings, const Workspace& work, ModelIndex receiver,
                                              const std::vector<RatedReplacement>& replacements);

/// The candidate as a column: what it takes from its donors, and what its receiver cannot give any more. That is what
/// it does not compute, and, where convolutions are refitted, what lies between the cut and them (it has the donor's
/// channels).
planner::ShareOption share_option_of(const Settings& settings, const Workspace& work, const graph::Cut& cut);

}  // namespace repsim::pipeline
