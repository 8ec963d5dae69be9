#pragma once

#include <vector>

#include "repsim/fit.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/planner.hpp"
#include "repsim/similarity.hpp"
#include "workspace.hpp"

/// What one ordered pair of models could share: the columns among which the search chooses.
namespace repsim::pipeline {

/// What adapters and refits these settings allow.
fit::Options fit_options(const Settings& settings);

planner::Objective objective_of(const Settings& settings);

fit::Cut cut_of(const planner::Candidate& candidate);

/// The fronts of predicted fidelity and cost against saving for one ordered pair, largest saving first: minimum cuts
/// for every exchange rate, for every bound on the worst replacement, some between them, and cuts swept along the
/// depth. Donor layers are short-listed by S and rated by the R2 of a linear map. Only cuts that save something.
std::vector<planner::Candidate> candidates_of(const Settings& settings, const Workspace& work,
                                              const std::vector<similarity::Signatures>& signatures,
                                              const capture::Stores& calibration, int receiver, int donor,
                                              Progress& progress);

/// The candidate as a column: what it takes from its donor, and what its receiver cannot give any more. That is what it
/// does not compute, and, where convolutions are refitted, what lies between the cut and them (it has the donor's
/// channels).
planner::Column column_of(const Settings& settings, const Workspace& work, const planner::Candidate& candidate);

}  // namespace repsim::pipeline
