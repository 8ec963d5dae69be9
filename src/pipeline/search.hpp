#pragma once

#include <vector>

#include "repsim/fit.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/planner.hpp"
#include "repsim/similarity.hpp"
#include "workspace.hpp"

namespace repsim::pipeline {

/// A share that was fitted and kept its receiver above the asked fidelity.
struct Accepted {
  planner::Candidate candidate;
  fit::Fitted fitted;
  fit::Joint joint;
};

struct Found {
  std::vector<Accepted> shares;
  std::vector<planner::Candidate> candidates;  ///< the Pareto front of each ordered pair, and what became of each
};

/// The splices of accepted shares, in order.
std::vector<graph::Splice> splices_of(const std::vector<Accepted>& shares);

/// Pairs of models that may share: all ordered pairs of transparent models, or the directions that the user forces.
std::vector<Direction> directions(const Settings& settings, const Workspace& work);

/// The search: cuts swept along the depth for every direction, donor layers by S and by the R2 of a linear map, the
/// front of predicted fidelity and bytes; then measured on hold-out frames, most bytes first, until the receiver keeps
/// the asked fidelity. A receiver takes one share; a model that gives keeps its layers; a model that takes does not
/// give.
/// @param refused  candidates whose written bundle fell below the fidelity after all: they are not tried again
Found search(const Settings& settings, const Workspace& work, const std::vector<similarity::Signatures>& signatures,
             const capture::Stores& calibration, const capture::Stores& holdout, const std::vector<verify::Head>& heads,
             const std::vector<planner::Candidate>& refused, Progress& progress);

}  // namespace repsim::pipeline
