#pragma once

#include <vector>

#include "repsim/evaluator.hpp"
#include "trials.hpp"

namespace repsim::pipeline {

/// The search's view of trials: keeps the fitted shares and gives them numbers.
class TrialEvaluator : public planner::Evaluator {
 public:
  /// @param trials,settings  outlive it
  TrialEvaluator(Trials& trials, const Settings& settings) : trials_(trials), settings_(settings) {}

  [[nodiscard]] planner::Measurement measure(const planner::Candidate& candidate,
                                             std::span<const planner::FittedShareId> donor_shares,
                                             const WorthFitting& worth_fitting) override;
  [[nodiscard]] planner::Measurement complete(planner::FittedShareId share,
                                              std::span<const planner::FittedShareId> donor_shares) override;
  [[nodiscard]] bool prepared(const planner::Candidate& candidate) const override {
    return trials_.gathered(candidate);
  }
  void prepare(std::span<const planner::Candidate> candidates) override;

  [[nodiscard]] const FittedShare& share(planner::FittedShareId id) const { return shares_[id]; }

 private:
  [[nodiscard]] std::vector<graph::Splice> splices(std::span<const planner::FittedShareId> shares) const;
  planner::Measurement keep(Trials::Measured measured);

  Trials& trials_;
  const Settings& settings_;
  std::vector<FittedShare> shares_;
};

}  // namespace repsim::pipeline
