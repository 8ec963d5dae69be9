#pragma once

#include <map>
#include <vector>

#include "repsim/trial.hpp"

namespace repsim::trial {

inline constexpr int kMinRank = 4;  // of a correction; the next ranks are its doubles

/// Fidelity that a complete fit adds at most to a fit without corrections, which then reads all frames: as measured on
/// many cuts.
inline constexpr double kMaxGainOfFrames = 0.01;

/// How a candidate would be attached, and what it then saves. Nothing is fitted.
struct AttachedCandidate {
  fit::Attachment attachment;
  planner::Savings savings;
};

/// The fits of one candidate on its donors' shares: what they have in common is gathered once.
class Attempt {
 public:
  /// @param donor_splices  the shares of its donors, of their donors and so on, donors first
  /// @throws Error{kInput} where the candidate cannot be computed; Error{kInterrupted}
  Attempt(Fitter& fitter, const planner::Candidate& candidate, std::vector<graph::Splice> donor_splices, Effort effort);
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  [[nodiscard]] const std::vector<graph::Splice>& donor_splices() const { return donor_splices_; }

  /// @return of another rank than `rank` where the candidate has no fitted map that a correction could stand beside
  [[nodiscard]] AttachedCandidate attach(int rank, std::vector<fit::DonorLayer> auxiliary_inputs = {}) const;
  [[nodiscard]] bool saves(const AttachedCandidate& attached) const;

  /// The layers of donors that corrections of this attachment should read as well.
  [[nodiscard]] std::vector<fit::DonorLayer> auxiliary_inputs_for(const fit::Attachment& attachment) const;

  [[nodiscard]] FittedShare fit(AttachedCandidate attached) const;
  /// Fits corrections of all ranks up to the largest that is allowed, at little more than the cost of one.
  /// @return per rank
  [[nodiscard]] std::map<int, FittedShare> fit_all_ranks() const;

 private:
  [[nodiscard]] FittedShare share(AttachedCandidate attached, fit::Fitted fitted) const;
  [[nodiscard]] double max_gain(const fit::Attachment& attachment) const;

  Fitter& fitter_;
  const planner::Candidate candidate_;
  const std::vector<graph::Splice> donor_splices_;
  const Effort effort_;
  const std::int64_t max_regressors_;
  const fit::CutFitter cut_fitter_;
  const fit::Attachment plain_;  // without corrections
  const fit::CutSums sums_;
};

}  // namespace repsim::trial
