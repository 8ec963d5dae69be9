#include "trial_evaluator.hpp"

#include <utility>

#include "repsim/base/posix.hpp"

namespace repsim::pipeline {

planner::Measurement TrialEvaluator::measure(const planner::Candidate& candidate,
                                             std::span<const planner::FittedShareId> donor_shares,
                                             const WorthFitting& worth_fitting) {
  if (settings_.memory_limit) release_free_memory();
  return keep(trials_.run(candidate, splices(donor_shares),
                          [&](const planner::Candidate& corrected) { return worth_fitting(corrected.savings); }));
}

planner::Measurement TrialEvaluator::complete(planner::FittedShareId share,
                                              std::span<const planner::FittedShareId> donor_shares) {
  return keep(trials_.completed(shares_[share], splices(donor_shares)));
}

void TrialEvaluator::prepare(std::span<const planner::Candidate> candidates) {
  if (settings_.memory_limit) release_free_memory();
  trials_.gather({candidates.begin(), candidates.end()});
}

std::vector<graph::Splice> TrialEvaluator::splices(std::span<const planner::FittedShareId> shares) const {
  std::vector<graph::Splice> result;
  for (const planner::FittedShareId share : shares) result.push_back(shares_[share].fitted.splice);
  return result;
}

planner::Measurement TrialEvaluator::keep(Trials::Measured measured) {
  planner::Measurement measurement;
  measurement.savings = measured.accepted.candidate.savings;
  measurement.fidelity = measured.agreement.fidelity;
  if (settings_.confidence > 0) measurement.low = measured.agreement.low;
  measurement.max_gain = measured.accepted.reach;
  if (measured.deferred_candidate) {
    measurement.deferred_savings = measured.deferred_candidate->savings;
    return measurement;  // the search does not use the share
  }
  measurement.share = shares_.size();
  shares_.push_back(std::move(measured.accepted));
  return measurement;
}

}  // namespace repsim::pipeline
