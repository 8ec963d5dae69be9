#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fit_frames.hpp"
#include "repsim/fit/screening.hpp"
#include "repsim/merged_pass.hpp"
#include "search.hpp"

namespace repsim::pipeline {

struct Agreement {
  double fidelity = 0;
  double low = 0;  ///< lower end of the bootstrap interval that the settings ask for, else the fidelity
};

/// Fits shares and measures them on frames that fitted nothing. Of many calibration frames a trial is fitted on some,
/// what is kept on all.
class Trials {
 public:
  Trials(const Settings& settings, const Workspace& work, const capture::Stores& calibration,
         const capture::Stores& frames, const std::vector<similarity::Signatures>& signatures,
         const MemoryBudget& memory_budget, Progress& progress, std::vector<verify::Forward> originals = {})
      : settings_(settings),
        work_(work),
        signatures_(signatures),
        fit_on_(work, calibration, progress),
        frames_(frames),
        progress_(progress),
        originals_(std::move(originals)),
        on_tried_(memory_budget.calibration_values, memory_budget.sums),
        on_frames_(memory_budget.frame_values) {}

  struct Measured {
    FittedShare accepted;  ///< the candidate, fitted, its savings less what its corrections add
    Agreement agreement;
    /// What it would be with corrections that were not worth it, where it misses its target without.
    std::optional<planner::Candidate> deferred_candidate = std::nullopt;
  };
  /// Whether a candidate with these savings is still of use.
  using Worth = std::function<bool(const planner::Candidate&)>;

  /// Fits without corrections first; where that misses the target, with the least rank of 4, 8, 16, ... up to
  /// --max-rank that reaches it, else with the best of these. On some of the frames, corrections on few values.
  /// Nothing is fitted that leaves the candidate without a saving, or `worth` says no to.
  /// @param before  shares of the donors, of their donors and so on: the candidate is fitted on what they really
  ///                produce
  /// @throws Error{kInput} where this candidate cannot be computed; Error{kInterrupted}
  Measured run(const planner::Candidate& candidate, const std::vector<graph::Splice>& before, const Worth& worth);

  /// What run() returned, fitted on all frames, corrections on all values that they may see; where these barely miss
  /// the target, they read up to --max-side-inputs more of the donors' layers: what is kept.
  Measured completed(const FittedShare& accepted, const std::vector<graph::Splice>& before);

  /// What run() needs first of these candidates, on donors that take nothing, in one pass over the frames that fit and
  /// one over those that measure. It is kept while it fits into memory.
  void gather(const std::vector<planner::Candidate>& candidates);

  /// Whether gather() was given a candidate, or cannot have it together with others.
  [[nodiscard]] bool gathered(const planner::Candidate& candidate) const;

  /// Of the rows of all frames that fit.
  const fit::SampleWeights& weights(ModelIndex receiver) { return fit_on_.weights_all(receiver); }

  /// What trials of these receivers need of a pass over tried() that is made anyway.
  fit::Outputs wanted_of(const std::vector<Direction>& directions);

  /// How well one receiver agrees with its original in the merged graph of these shares.
  Agreement measured(ModelIndex receiver, const std::vector<graph::Splice>& splices);

  /// The same with what it detects there.
  verify::Measured found(ModelIndex receiver, const std::vector<graph::Splice>& splices);

  /// What a receiver's original finds, worked out once.
  const verify::Reference& reference(ModelIndex receiver);

  /// The frames that trials are fitted on.
  const capture::Stores& tried() const { return fit_on_.tried(); }

 private:
  verify::Forward original(ModelIndex receiver) const;
  double target(const planner::Candidate& candidate) const {
    return settings_.min_fidelity_for(work_.models[candidate.cut.receiver].prepared.name);
  }
  fit::Attachment attachment_of(const planner::Candidate& candidate, const fit::AttachmentOptions& options) const;
  void compute_ahead(std::vector<graph::Splice> splices);
  class Attempt;

  const Settings& settings_;
  const Workspace& work_;
  const std::vector<similarity::Signatures>& signatures_;
  FitFrames fit_on_;
  const capture::Stores& frames_;
  Progress& progress_;
  const std::vector<verify::Forward> originals_;  // on the frames that measure; empty: as they are prepared
  std::map<int, verify::Reference> references_;   // what the originals find, per model
  std::set<std::pair<ModelIndex, std::vector<graph::Replacement>>> gathered_;  // cuts
  fit::Reuse on_tried_;
  capture::ValueCache on_frames_;
};

}  // namespace repsim::pipeline
