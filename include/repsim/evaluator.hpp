#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "repsim/candidate.hpp"

/// How the search learns what a candidate keeps. The search knows nothing of models, frames or weights. No torch.
namespace repsim::planner {

/// Names a share that an evaluator has fitted and keeps.
using FittedShareId = std::size_t;

/// What a trial or a complete fit found.
struct Measurement {
  FittedShareId share = 0;
  Savings savings;      ///< the candidate's, less what its corrections add
  double fidelity = 0;  ///< of the receiver, 0..1, on the evaluator's frames; see is_measured
  /// What the frames support: `fidelity`, or less where few detections speak for it (JudgingRule::supported()).
  /// Nothing: the fidelity itself counts.
  std::optional<double> low;
  /// Fidelity that a complete fit may add at most; 0: the share is fitted completely.
  double max_gain = 0;
  /// Set where the candidate misses its target without corrections, and corrections were not worth fitting: what it
  /// would save with the smallest ones that were not fitted. The search then defers the candidate.
  std::optional<Savings> deferred_savings;
  /// The figures are those of the first so many frames, which decide; 0: of all frames.
  std::int64_t decided_after = 0;
  /// False if nothing can be compared: the original finds nothing on these frames, and the user accepted that.
  /// `fidelity` is then 0 and means nothing; R2 decides in its place.
  bool is_measured = true;

  /// The number that has to reach the target.
  [[nodiscard]] double lower() const { return low.value_or(fidelity); }
};

/// Fits shares and measures them on frames that fitted nothing. Equal questions get equal answers. The search asks a
/// few dozen times; each answer may take seconds.
class Evaluator {
 public:
  /// Whether a candidate that saves this much with corrections is still of use.
  using WorthFitting = std::function<bool(const Savings& with_corrections)>;

  virtual ~Evaluator() = default;

  /// Fits the candidate on a part of the calibration frames and measures it.
  /// @param donor_shares  the shares of its donors, of their donors and so on, donors first: the fit sees what the
  ///                      donors compute with these
  /// @param worth_fitting  asked before corrections are fitted
  /// @throws Error{kInput} where this candidate cannot be computed; Error{kInterrupted}
  [[nodiscard]] virtual Measurement measure(const Candidate& candidate, std::span<const FittedShareId> donor_shares,
                                            const WorthFitting& worth_fitting) = 0;

  /// Fits a share that measure() returned on all calibration frames, corrections on all values that they may see, and
  /// measures it again. The result is another share; its max_gain is 0.
  /// @throws Error{kInterrupted}
  [[nodiscard]] virtual Measurement complete(FittedShareId share, std::span<const FittedShareId> donor_shares) = 0;

  /// Whether prepare() would change nothing for this candidate: it was prepared, or it cannot be prepared together with
  /// others.
  [[nodiscard]] virtual bool prepared(const Candidate& candidate) const = 0;

  /// Computes in one pass what measure() needs first of these candidates on donors without shares. It changes no
  /// measurement; it only saves time.
  /// @throws Error{kInput} where one of them cannot be computed; Error{kInterrupted}
  virtual void prepare(std::span<const Candidate> candidates) = 0;
};

}  // namespace repsim::planner
