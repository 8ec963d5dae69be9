#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "repsim/objective.hpp"
#include "repsim/replacement.hpp"

/// What the search tries, what it would save, and what became of it. No torch.
namespace repsim::planner {

/// What a share saves: what disappears minus what its attachment adds. Negative where it adds more.
struct Savings {
  std::int64_t bytes = 0;       ///< of parameters that no other model holds
  std::int64_t flops = 0;       ///< per frame
  std::int64_t latency_ns = 0;  ///< per frame, of the estimate of graph::op_latencies_ns
  std::int64_t memory = 0;      ///< bytes: `bytes`, and the fall of the peak of activations of all models together if
                                ///< this is the only share

  [[nodiscard]] std::int64_t of(Objective objective) const {
    switch (objective) {
      case Objective::kFlops:
        return flops;
      case Objective::kLatency:
        return latency_ns;
      case Objective::kPeakMemory:
        return memory;
      case Objective::kBytes:
        break;
    }
    return bytes;
  }
  [[nodiscard]] bool operator==(const Savings&) const = default;
};

/// The ends of an interval that holds the true value nine times in ten.
struct PredictedInterval {
  double low = 0, high = 1;
};

/// A cut with its donor layers, and what is known of it before a trial.
struct Candidate {
  graph::Cut cut;
  double similarity = 0;       ///< smallest S over the layers
  double r2 = 0;               ///< 0..1: the worst over the layers; of shared weights 1 - output_variance
  double output_variance = 0;  ///< the part of a layer's output variance that shared weights change: the worst of them
  /// 0..1: r2, until measured candidates of the same models say how much such candidates keep.
  double predicted_fidelity = 0;
  std::optional<PredictedInterval> predicted_interval;  ///< absent while predicted_fidelity is r2
  double cost = 0;                                      ///< sum of 1 - R2 over the layers
  Savings savings;
};

/// Why the search took a candidate, or did not. Only the report makes sentences of it.
struct Reason {
  enum class Kind {
    kNone,                  ///< nothing is known yet
    kChosenLargestSaving,   ///< part of the plan: the largest saving that keeps the fidelity
    kChosenBestFidelity,    ///< part of the plan: the best worst fidelity within the budget
    kHolds,                 ///< measured: reaches the target; another choice is better
    kNear,                  ///< measured: a complete fit may reach the target; another choice is better
    kBelow,                 ///< measured: below the target
    kNotMeasured,           ///< tried, but no fidelity can be measured: the original finds nothing on these frames
    kRefused,               ///< the written bundle is below the target on the test frames
    kLikelyRefused,         ///< measured: reaches the target, but not with the `loss` that the test frames showed
    kNotJudged,             ///< measured: may hold, but no plan with it is shown to the test frames any more
    kDeferred,              ///< measured without corrections: below the target, and with them it saves too little
    kDeferredNotJudged,     ///< the same, and no plan with it would be shown to the test frames any more
    kNotComputable,         ///< the trial failed: `problem`
    kTooLittleEvidence,     ///< not tried: its receiver finds too little on the selection or the test frames
    kFarBelow,              ///< not tried: even the upper end of its predicted interval is far below the target
    kOutOfTrials,           ///< not tried: its pair, or its mixed donors, have no trial left
    kOutOfJudgements,       ///< not tried: no plan with it would be shown to the test frames any more
    kOutOfTime,             ///< not tried
    kModelsFit,             ///< not tried: the models fit into the budget without shares
    kReceiverTakesAnother,  ///< not tried: the plan has another share for its receiver
    kDonorTakes,            ///< not tried: its donor `models[0]` takes layers itself
    kReceiverGives,         ///< not tried: its receiver gives layers to `models[0]`
    kNoBetterChoice,        ///< not tried: no choice that contains it is better
  };
  Kind kind = Kind::kNone;
  double fidelity = 0;  ///< measured; kHolds, kNear, kBelow, kRefused, kLikelyRefused, kNotJudged, kDeferred*
  /// Lower end of the interval of `fidelity` where the settings ask for one; kHolds, kNear, kBelow, kLikelyRefused,
  /// kNotJudged.
  std::optional<double> low = {};
  /// Fidelity that the receiver has to keep; kHolds, kNear, kBelow, kNotMeasured (for `r2`), kRefused, kLikelyRefused,
  /// kFarBelow.
  double target = 0;
  /// Of a trial: the donors that took layers themselves, in the order of the plan.
  std::vector<ModelIndex> models = {};
  std::string problem = {};     ///< kNotComputable
  std::int64_t max_trials = 0;  ///< kOutOfTrials: the limit
  double r2 = 0;                ///< kNotMeasured: Candidate::r2, which decides in place of a fidelity
  /// kLikelyRefused: saves nearly as much as a share that the test frames refused, and is not clearly better.
  bool near_copy = false;
  /// kNear, kLikelyRefused: how much less than the selection frames the test frames showed for the receiver.
  double loss = 0;
  /// kHolds, kNear, kBelow, kLikelyRefused: `fidelity` is that of the first so many frames, which decide; 0: of all.
  std::int64_t decided_after = 0;
  std::int64_t detections = 0;  ///< kTooLittleEvidence: of the original receiver
  std::int64_t wanted = 0;      ///< kTooLittleEvidence: so many detections are enough

  [[nodiscard]] bool operator==(const Reason&) const = default;
};

/// A candidate, and what became of it.
struct CandidateRecord {
  Candidate candidate;                      ///< once it was measured, its savings less what its corrections add
  std::optional<double> measured_fidelity;  ///< absent without a trial, and where nothing could be compared
  Reason reason;

  [[nodiscard]] bool chosen() const {
    return reason.kind == Reason::Kind::kChosenLargestSaving || reason.kind == Reason::Kind::kChosenBestFidelity;
  }
};

}  // namespace repsim::planner
