#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/candidate.hpp"
#include "repsim/capture.hpp"
#include "repsim/evaluator.hpp"
#include "repsim/fit/attachment.hpp"
#include "repsim/fit/fitting.hpp"
#include "repsim/fit/screening.hpp"
#include "repsim/fit/shared_weights.hpp"
#include "repsim/graph.hpp"
#include "repsim/judgement.hpp"
#include "repsim/merged_pass.hpp"
#include "repsim/session.hpp"
#include "repsim/verify.hpp"

/// Trials of candidates: calibration frames that fit them, frames that measure them, and the evaluator that a search
/// asks. Measurer measures and needs no fit; Fitter fits and measures nothing.
namespace repsim::trial {

/// The calibration frames, of which trials see a part: at most 96, evenly spaced over all. A complete fit sees that
/// part and the rest. Samples count more where a receiver's own detections are; for raw outputs all count alike.
class CalibrationFrames {
 public:
  /// @param all  stores of the session's input groups
  /// All arguments outlive the object.
  CalibrationFrames(const session::Session& session, const capture::Stores& all, Progress& progress);

  [[nodiscard]] const capture::Stores& all() const { return all_; }
  [[nodiscard]] const capture::Stores& trial_frames() const { return is_undivided() ? all_ : trial_; }
  [[nodiscard]] bool is_undivided() const { return trial_.empty(); }  ///< there are so few that trials see all
  /// trial_frames(), and the other frames where there are some.
  [[nodiscard]] std::vector<const capture::Stores*> parts() const;

  /// Sample weights of trial_frames(), or of all(), with those of this receiver. The first call per receiver runs it.
  /// @throws Error{kInterrupted}
  const fit::WeightsOf& trial_weights(ModelIndex receiver);
  const fit::WeightsOf& all_weights(ModelIndex receiver);

  /// What a pass over trial_frames() that runs these models anyway can give: it saves the run for their weights.
  [[nodiscard]] fit::Outputs outputs_of(std::span<const ModelIndex> receivers);

  /// The frames of a trial, or of a complete fit, of this receiver.
  /// @param reuse  for trial_frames(); null: none
  [[nodiscard]] std::vector<fit::FrameSubset> for_trial(ModelIndex receiver, fit::Reuse* reuse);
  [[nodiscard]] std::vector<fit::FrameSubset> for_complete_fit(ModelIndex receiver, fit::Reuse* reuse);

 private:
  const fit::SampleWeights& weights_on(const capture::Stores& frames, fit::WeightsOf& known, ModelIndex receiver);

  const session::Session& session_;
  const capture::Stores& all_;
  Progress& progress_;
  std::vector<std::int64_t> trial_positions_, rest_positions_;  // in all_
  capture::Stores trial_, rest_;                                // empty: trials see all
  fit::WeightsOf trial_weights_, rest_weights_, all_weights_;
};

/// How well a merged receiver agrees with its original.
struct Agreement {
  std::optional<double> fidelity;  ///< 0..1; nothing: the original finds nothing on these frames
  double low = 0;                  ///< lower end of the bootstrap interval if one is asked for, else the fidelity, or 0
  std::int64_t detections = 0;     ///< of the original
  bool is_raw = false;             ///< raw outputs: there are no detections
  bool is_pooled = false;          ///< `low` is of earlier frames, too (Measurer::agreement_with)
  std::int64_t decided_after = 0;  ///< all figures are of so many frames, the first ones; 0: of all
};

/// What a rule judges.
[[nodiscard]] planner::Judged judged(const Agreement& agreement);

/// When the first frames decide a measurement, so that it ends there.
struct EarlyEnd {
  /// Ends if no outcome on the other frames can bring the fidelity up to this (verify::best_possible_precision()).
  double misses_below = 0;
  /// Ends if the lower end of the interval on the first frames reaches this. Nothing: such a measurement goes on.
  std::optional<double> holds_from = {};
};

struct MeasuringOptions {
  double confidence = 0;       ///< of the bootstrap interval, in [0, 1); 0: no interval
  std::uint64_t seed = 0;      ///< of the bootstrap
  std::int64_t max_bytes = 0;  ///< of layers' values that several measurements read
  bool holds_early = true;     ///< EarlyEnd::holds_from counts; false where fidelities are compared with each other
  /// Outputs of the originals on these frames, per model; empty: the measurer runs them.
  std::vector<verify::Forward> originals = {};
};

/// Measures merged models against their originals on frames that fitted nothing.
class Measurer {
 public:
  /// @param frames  stores of the session's input groups
  /// Session, frames and progress outlive the object.
  Measurer(const session::Session& session, const capture::Stores& frames, MeasuringOptions options,
           Progress& progress);

  /// Agreement of one receiver in the merged graph of these shares.
  /// @param early  when it may be that of the first frames; raw outputs: always that of all. Nothing: of all
  /// @throws Error{kInput} where the merged graph cannot be computed; Error{kInterrupted}
  [[nodiscard]] Agreement agreement(ModelIndex receiver, std::span<const graph::Splice> splices,
                                    const std::optional<EarlyEnd>& early = {});

  /// The same, but its `low` is of these frames and those of `earlier` together. Raw outputs: of these frames alone.
  /// @param earlier  measures the receiver too, on frames that lie before these in the video
  [[nodiscard]] Agreement agreement_with(Measurer& earlier, ModelIndex receiver,
                                         std::span<const graph::Splice> splices);

  /// Fidelity of one receiver in that graph, and its detections.
  [[nodiscard]] verify::Measured measure(ModelIndex receiver, std::span<const graph::Splice> splices,
                                         const std::optional<EarlyEnd>& early = {});

  /// What the original of a receiver returns. The first call per receiver runs it.
  [[nodiscard]] const verify::Reference& reference(ModelIndex receiver);

  /// Computes in one pass the values that measurements of these splices start from, each splice on donors without
  /// shares. It changes no measurement.
  void compute_ahead(std::vector<graph::Splice> splices);

  [[nodiscard]] bool has_interval() const { return options_.confidence > 0; }
  [[nodiscard]] std::int64_t bytes_kept() const { return values_.bytes(); }

 private:
  [[nodiscard]] verify::Forward original(ModelIndex receiver) const;
  [[nodiscard]] bool is_decided(std::span<const verify::Detections> found, const verify::Reference& own,
                                const EarlyEnd& early) const;
  [[nodiscard]] double lower_end(std::span<const verify::Detections> found, std::span<const verify::Target> targets,
                                 std::span<const std::int64_t> per_video) const;

  const session::Session& session_;
  const capture::Stores& frames_;
  const MeasuringOptions options_;
  Progress& progress_;
  std::map<ModelIndex, verify::Reference> references_;
  capture::ValueCache values_;
};

/// A share, fitted.
struct FittedShare {
  planner::Candidate candidate;  ///< its savings without corrections
  planner::Savings savings;      ///< with its corrections
  fit::Attachment attachment;
  fit::Fitted fitted;
  double max_gain = 0;  ///< fidelity that a complete fit may add at most; 0: it is fitted completely
};

/// The splices of these shares, in their order.
[[nodiscard]] std::vector<graph::Splice> splices_of(std::span<const FittedShare> shares);

/// The layers of donors that corrections of a cut may read as well, best first.
/// @param attachment  of the cut, without corrections
/// @param donor_splices  the donors' own shares
using OfferedInputs = std::function<std::vector<fit::DonorLayer>(const fit::Attachment& attachment,
                                                                 std::span<const graph::Splice> donor_splices)>;

struct FittingOptions {
  bool linear = true, refit = true;  ///< as fit::AttachmentOptions
  int max_rank = 8;                  ///< of corrections; below 4: none
  std::size_t max_auxiliary_inputs = 8;
  planner::Objective objective = planner::Objective::kBytes;  ///< corrections must leave a saving of it
  bool shares_weights = false;                                ///< sums of weights take a part of the memory for sums
};

/// How many of the calibration frames, and of the regressors of corrections, a fit reads.
enum class Effort { kTrial, kComplete };

/// Fits the weights that a cut shares, on some parts of the calibration frames.
/// @param fitted  what they are added to
/// @throws Error{kInput} where the receiver fails on a frame; Error{kInterrupted}
void fit_weights(const capture::ModelSet& set, const graph::Cut& cut, std::span<const capture::Stores* const> parts,
                 Progress& progress, fit::Fitted& fitted);

class Attempt;

/// Fits candidates on calibration frames. It keeps what several fits have in common while that fits into memory.
class Fitter {
 public:
  /// Session, calibration and progress outlive the object.
  Fitter(const session::Session& session, CalibrationFrames& calibration, FittingOptions options,
         OfferedInputs offered_inputs, Progress& progress);

  /// Whether gather() would change nothing for this cut: it was gathered, or it is too large to be gathered together
  /// with others.
  [[nodiscard]] bool gathered(const graph::Cut& cut) const;

  /// Gathers in one pass over the trial frames the regression sums of several cuts on donors without shares. Fits of
  /// these cuts are quicker afterwards.
  /// @return their splices, fitted without corrections
  /// @throws Error{kInput} where a cut cannot be computed; Error{kInterrupted}
  [[nodiscard]] std::vector<graph::Splice> gather(std::span<const planner::Candidate> candidates);

  /// Fits a candidate that shares weights and replaces no layer.
  /// @throws Error{kInput} where its receiver fails on a frame; Error{kInterrupted}
  [[nodiscard]] FittedShare fit_weights(const planner::Candidate& candidate, Effort effort);
  /// Differences of the models' weights on the trial frames, for the choice of such candidates.
  [[nodiscard]] fit::WeightDifferences& weight_differences() { return differences_; }

  [[nodiscard]] const FittingOptions& options() const { return options_; }
  [[nodiscard]] const session::Session& session() const { return session_; }
  [[nodiscard]] std::int64_t bytes_kept() const { return reuse_.values.bytes(); }

 private:
  friend class Attempt;
  void add_weights(const graph::Cut& cut, Effort effort, fit::Fitted& fitted);
  [[nodiscard]] fit::Attachment attachment(const graph::Cut& cut, int rank,
                                           std::vector<fit::DonorLayer> auxiliary_inputs) const;

  const session::Session& session_;
  CalibrationFrames& calibration_;
  const FittingOptions options_;
  const OfferedInputs offered_inputs_;
  Progress& progress_;
  std::set<std::pair<ModelIndex, std::vector<graph::Replacement>>> gathered_;
  fit::Reuse reuse_;                    // of the trial frames
  fit::WeightDifferences differences_;  // on the trial frames
};

/// What fits the candidates of a receiver and what measures them, on frames of its stream. Both outlive their user.
struct TrialTools {
  Fitter* fitter = nullptr;
  Measurer* measurer = nullptr;
};

/// Fits and measures the candidates of a search, and keeps the shares that it fitted.
class Evaluator : public planner::Evaluator {
 public:
  /// The number of an agreement that has to reach the receiver's target.
  using Supported = std::function<double(ModelIndex receiver, const Agreement& agreement)>;

  /// @param targets  fidelity that each model has to keep, 0..1
  /// @param supported  empty: Agreement::low
  /// Fitter and measurer outlive the object.
  Evaluator(Fitter& fitter, Measurer& measurer, std::vector<double> targets, Supported supported = {});

  /// For models on different streams.
  /// @param tools  per model, those of its stream
  Evaluator(std::vector<TrialTools> tools, std::vector<double> targets, Supported supported = {});

  /// Fits without corrections first. If that misses the target, fits corrections with the smallest rank of 4, 8, 16,
  /// ... that reaches it, else with the rank that agrees best. Fits no corrections that leave no saving. Shared weights
  /// have the ranks of the candidate.
  [[nodiscard]] planner::Measurement measure(const planner::Candidate& candidate,
                                             std::span<const planner::FittedShareId> donor_shares,
                                             const WorthFitting& worth_fitting) override;

  /// If corrections miss the target by little, they read layers of the donors as well.
  [[nodiscard]] planner::Measurement complete(planner::FittedShareId share,
                                              std::span<const planner::FittedShareId> donor_shares) override;

  [[nodiscard]] bool prepared(const planner::Candidate& candidate) const override;
  void prepare(std::span<const planner::Candidate> candidates) override;

  [[nodiscard]] const FittedShare& share(planner::FittedShareId id) const { return shares_[id]; }

 private:
  /// A fitted share, measured.
  struct Result {
    FittedShare share;
    Agreement agreement;
    double supported = 0;
  };
  [[nodiscard]] const TrialTools& tools_of(ModelIndex receiver) const { return tools_[receiver]; }
  [[nodiscard]] Result measured(std::span<const graph::Splice> donor_splices, FittedShare share,
                                const std::optional<EarlyEnd>& early = {});
  [[nodiscard]] EarlyEnd early_end(const FittedShare& share, double gain) const;
  [[nodiscard]] std::vector<graph::Splice> splices(std::span<const planner::FittedShareId> ids) const;
  [[nodiscard]] planner::Measurement measurement_of(const Result& result) const;
  [[nodiscard]] planner::Measurement keep(Result result);

  const std::vector<TrialTools> tools_;  // per model
  const std::vector<double> targets_;
  const Supported supported_;
  std::deque<FittedShare> shares_;
};

}  // namespace repsim::trial
