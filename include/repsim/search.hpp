#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "repsim/candidate.hpp"
#include "repsim/evaluator.hpp"
#include "repsim/planner.hpp"

/// Which candidates are measured, in which order, and which shares a plan takes. Plain code: it sees measurements only
/// through an Evaluator. How it works: docs/internals/planner.md.
namespace repsim::planner {

struct SearchOptions {
  Objective objective = Objective::kBytes;
  /// With a budget: bytes of parameters that the shares have to save; 0 or less: the models fit as they are. Without
  /// one: absent.
  std::optional<std::int64_t> bytes_to_save;
  /// Per ordered pair of models, and as many for its candidates that share weights beside layers; per receiver's mixed
  /// candidates, and per receiver's candidates that share weights alone.
  std::int64_t max_trials = 24;
  std::optional<std::int64_t> max_shares;  ///< receivers in a plan; absent: any number
  std::size_t prepare_together = 32;       ///< candidates of one Evaluator::prepare()

  /// An option is not tried once the upper end of its predicted interval lies further than this below its target. 1:
  /// all may be tried. Corrections add less than 0.2, as measured on many cuts.
  double far_below = 0.3;

  /// After a refusal, do not propose near copies of the refused share (see refuse()): for test frames that see few
  /// plans.
  bool skip_near_copies = false;

  using Clock = std::chrono::steady_clock;
  /// A trial, or a complete fit of a donor's share, is begun only if it ends before this, going by what those of the
  /// same receiver took so far.
  Clock::time_point deadline = Clock::time_point::max();
  std::function<Clock::time_point()> now = Clock::now;
};

/// How much the frames that judge can say about a model: what the original finds on them.
struct ModelEvidence {
  std::int64_t detections = 0;  ///< the smaller of the counts on the selection frames and on the test frames
  std::int64_t wanted = 0;      ///< so many are enough
  bool accepted = false;        ///< the user accepts that there are fewer
  bool is_raw = false;          ///< its outputs are tensors: there are no detections to count

  [[nodiscard]] bool is_enough() const { return is_raw || accepted || detections >= wanted; }
};

/// What a search chooses from.
struct SearchInput {
  /// The fronts of each ordered pair of models, then of each receiver's mixed cuts.
  std::vector<Candidate> candidates;
  std::vector<ShareOption> options;  ///< one per candidate; their values are not read
  std::vector<double> targets;       ///< per model: the fidelity that it has to keep, 0..1
  /// Per model, or empty: all have enough. A model without enough evidence takes no layers; it may give some.
  std::vector<ModelEvidence> evidence = {};
};

/// What the test frames said of a share that they refused.
struct Refusal {
  double fidelity = 0;                             ///< 0..1
  std::int64_t detections = 0;                     ///< of the original; 0: raw outputs
  std::optional<double> supported = std::nullopt;  ///< JudgingRule::supported()
  bool one_look_left = false;                      ///< the test frames will see one more plan: it should be a safe one
};

/// A share of the plan.
struct SelectedShare {
  std::size_t record = 0;   ///< of SearchResult::records
  FittedShareId share = 0;  ///< of the evaluator
  double max_gain = 0;      ///< above 0: the share is not fitted completely yet
};

struct SearchResult {
  std::vector<SelectedShare> shares;  ///< donors' shares first
  /// One per candidate, in their order; then one for each further trial of a candidate, on donors with other shares.
  std::vector<CandidateRecord> records;
};

/// How far a search is.
struct SearchProgress {
  std::int64_t trials = 0;  ///< done; those that failed and, once each, those that were deferred count too
  /// Candidates that may still be tried, within the trials that are left for each pair of models. Trials on donors
  /// that take layers themselves are not foreseen.
  std::int64_t left_at_most = 0;
  double best_saving = 0;  ///< of the objective: the best choice before the last trial; 0: none
};

/// Hears what a search does. Every function may be left out.
class SearchObserver {
 public:
  virtual ~SearchObserver() = default;
  /// planner::choose() stopped before it could prove its choice.
  virtual void choice_not_proven(const Choice& /*choice*/, const Chosen& /*chosen*/) {}
  /// A trial or a complete fit is done: reason.kind is kHolds, kNear, kBelow, kLikelyRefused, kNotMeasured, kDeferred
  /// or kNotComputable.
  virtual void measured(const CandidateRecord& /*record*/) {}
  /// After each trial.
  virtual void progress(const SearchProgress& /*progress*/) {}
  virtual void nothing_within_budget() {}
  virtual void out_of_time() {}
  virtual void no_other_choice_saves_more() {}
  /// At the end of run(), over the trials so far that had a prediction with an interval. @param trials  above 0
  virtual void predictions_compared(std::size_t /*trials*/, std::size_t /*within_interval*/, double /*mean_error*/) {}
};

/// The candidates are the options of one choice for all models (planner::choose). The search measures the choice that
/// promises most, donors first. A candidate that misses its target is out, and the planner makes the choice again,
/// until no choice among the others saves more than the best that held, or trials or time are used up. With a budget,
/// the search looks for the choice with the best worst fidelity that saves enough; where it finds none, for the largest
/// saving. A receiver takes one share; a model that takes layers gives the layers that it still computes.
/// Equal inputs, measurements and clocks give equal results.
class Search {
 public:
  /// @param evaluator,observer  outlive the search
  Search(SearchInput input, SearchOptions options, Evaluator& evaluator, SearchObserver& observer);

  /// What planner::choose() would select if predicted fidelities were measured ones: a plan without a measurement.
  [[nodiscard]] Chosen choose_by_prediction() const;

  /// From now on run() chooses among the candidates that share weights and nothing else, until go_on_with_all().
  /// @return false, and nothing changes, where all candidates or none are such ones, or a budget decides: its aim is no
  /// saving
  [[nodiscard]] bool begin_with_weights();
  /// From now on run() chooses among all candidates.
  /// @param no_look_is_left  the test frames see none of those that share weights any more: only accepted ones stay
  void go_on_with_all(bool no_look_is_left);

  /// Finds the best choice; after refuse() the next best. No measurement is made twice. Once the time is up, this is
  /// the best choice of the shares that were measured and hold.
  /// @throws Error{kInterrupted}
  [[nodiscard]] SearchResult run();

  /// Completes the fits of the shares that run() or safest() returned last. The next run() knows the result. A complete
  /// fit is another share: nobody has accepted it.
  /// @throws Error{kInterrupted}
  void complete();

  /// The share of this receiver, of those that run() or safest() returned last, keeps too little on the test frames, or
  /// too little speaks for it there. The search goes on without it. From then on every share of the receiver of the
  /// same kind, of layers or of weights, has to keep more than its target on the selection frames: its errors are taken
  /// to grow on the test frames as those of this share did. With skip_near_copies the search does not propose near
  /// copies of the refused share either, which save nearly as much and are not clearly better on the selection frames,
  /// unless a budget decides. Shares that were measured and are ruled out by this are out, except accepted ones.
  void refuse(ModelIndex receiver, const Refusal& refusal);

  /// The share of this receiver, of those that run() or safest() returned last, keeps its target on the test frames. It
  /// stays accepted until it is refused or fitted completely.
  void accept(ModelIndex receiver);

  /// The best choice of accepted shares, each on exactly the donors' shares with which it was accepted, and these
  /// accepted too. It measures nothing. The result has no shares if none is accepted. Records say which candidates were
  /// left out because they were not shown to the test frames.
  [[nodiscard]] SearchResult safest();

 private:
  using Option = std::size_t;  ///< of input_.options, and of the first records_
  /// An option behind the options of its donors, of their donors and so on, donors first. A trial depends on all of it.
  using Chain = std::vector<Option>;

  struct Trial {
    bool holds = false;  ///< reaches its target, or a complete fit may reach it
    double fidelity = 0;
    std::size_t record = 0;
    bool measured = false;  ///< false: the candidate cannot be computed; nothing below is set
    bool compared = false;  ///< false: nothing could be compared; `fidelity` is R2
    bool accepted = false;  ///< the share keeps its target on the test frames
    Candidate candidate;    ///< with the prediction from before the trial
    FittedShareId share = 0;
    std::optional<double> low;  ///< Measurement::low
    double max_gain = 0;
    std::int64_t decided_after = 0;  ///< Measurement::decided_after

    [[nodiscard]] double lower() const { return low.value_or(fidelity); }
  };

  /// Of an option on donors without shares. kOut: it missed what is demanded, its receiver has too little evidence, or
  /// no trial is left for it.
  enum class Status { kOpen, kHolds, kOut };

  /// Options that were measured together and hold.
  struct Combination {
    std::vector<Option> options;  ///< donors first
    double value = 0;             ///< sum of their savings on the donors of the combination
    double bytes = 0;             ///< sum of the bytes of these savings
    double worst_fidelity = 1;
  };

  /// The options of an ordered pair of models that replace layers, those that share weights beside, a receiver's mixed
  /// options, or its options that share weights alone: what of these it can do without hardly depends on the donor.
  /// Trials are counted per group, and predictions of a group come from its own trials.
  struct Group {
    ModelIndex receiver = -1;
    ModelIndex donor = -1;  ///< -1: mixed, or weights alone
    bool weights = false;
    [[nodiscard]] auto operator<=>(const Group&) const = default;
  };
  /// A receiver's options that replace layers, or those that share weights alone: what the test frames say of a share
  /// of one kind says nothing of the other kind.
  struct ShareKind {
    ModelIndex receiver = -1;
    bool weights = false;
    [[nodiscard]] auto operator<=>(const ShareKind&) const = default;
  };

  using OptionOf = std::map<ModelIndex, Option>;  ///< per receiver

  using Duration = SearchOptions::Clock::duration;
  /// The longest that something took so far.
  struct Longest {
    Duration preparation{0}, trial{0}, complete_fit{0};
  };

  [[nodiscard]] const Candidate& candidate(Option option) const { return records_[option].candidate; }
  [[nodiscard]] double target(Option option) const { return input_.targets[input_.options[option].receiver]; }
  [[nodiscard]] bool is_accepted_unmeasured(Option option) const;
  [[nodiscard]] double loss(Option option) const;
  [[nodiscard]] double demanded(Option option) const;
  [[nodiscard]] bool was_measured(Option option) const { return measured_records_.count(option) > 0; }
  [[nodiscard]] Savings savings(Option option) const;
  [[nodiscard]] double saving(Option option) const;
  [[nodiscard]] Group group(Option option) const;
  [[nodiscard]] bool shares_weights_alone(Option option) const;
  [[nodiscard]] ShareKind kind(Option option) const {
    return {input_.options[option].receiver, shares_weights_alone(option)};
  }
  /// Whether run() may choose the option.
  [[nodiscard]] bool is_in_question(Option option) const {
    return status_[option] != Status::kOut && !is_far_below(option) && (!weights_only_ || shares_weights_alone(option));
  }
  [[nodiscard]] OptionOf by_receiver(const std::vector<Option>& options) const;
  [[nodiscard]] Chain chain_of(const OptionOf& of_receiver, Option option) const;
  void append_chain(const OptionOf& of_receiver, Option option, Chain& chain) const;

  // search_choice.cpp: the choice among the options that are not out
  /// What an option is worth that saves this much. Where it saves less, it is worth no more.
  using ValueOf = std::function<double(Option, const Savings&)>;
  [[nodiscard]] Chosen choose(const ValueOf& value) const;

  // search.cpp: what is measured next
  void save_most();
  [[nodiscard]] Chosen most_promising() const;
  void keep_most_fidelity();

  // search_time.cpp: what fits into the time
  [[nodiscard]] bool out_of_time(Duration needed = Duration::zero());
  [[nodiscard]] Duration expected_trial(const Chain& chain) const;
  [[nodiscard]] Duration expected_complete_fit(ModelIndex receiver) const;
  [[nodiscard]] Duration owed() const;
  void took(Duration& longest, SearchOptions::Clock::time_point since) const;

  // search_verdicts.cpp: what the test frames say
  [[nodiscard]] Chain returned_chain(ModelIndex receiver) const;
  void drop_likely_refused(const ShareKind& of);
  void reopen_untried(const Group& of);
  using MayBeTaken = std::function<bool(const Trial&)>;
  void take_best_known(const MayBeTaken& may_be_taken);
  [[nodiscard]] Combination best_known(bool by_fidelity, const MayBeTaken& may_be_taken) const;

  // search_predictions.cpp: what trials say of options that were not tried
  /// @param missed  an R2 that is taken to have missed the target, too; 0: none
  [[nodiscard]] double chance(Option option, double missed = 0) const;
  [[nodiscard]] double estimate(Option option) const;
  [[nodiscard]] bool is_far_below(Option option) const;
  void predict_others(const Group& of);
  void predict_beside_layers(Option alone);

  // search_trials.cpp: measuring
  void measure(const std::vector<Option>& options);
  void offer(const Combination& combination);
  void try_chain(const Chain& chain);
  [[nodiscard]] std::size_t record_of_trial(Option option);
  void run_out_of_trials(const Chain& chain);
  [[nodiscard]] std::int64_t trials_left(const Group& of) const;
  void report_progress() const;
  void prepare_ahead(Option option);
  [[nodiscard]] std::vector<Option> preparable_with(Option option) const;
  [[nodiscard]] std::vector<Option> next_if_all_miss(std::vector<Option> options, Option first) const;
  [[nodiscard]] bool could_beat_the_best(Option option, double saving_then) const;
  [[nodiscard]] bool defer(Option option, const Measurement& measurement);
  [[nodiscard]] bool complete(const Chain& chain);
  [[nodiscard]] std::vector<FittedShareId> donor_shares(const Chain& chain) const;
  void note(const Chain& chain, const Measurement& measurement, Trial& trial);
  [[nodiscard]] bool holds(const Chain& chain, const Trial& trial) const;
  [[nodiscard]] bool is_near_copy(const Chain& chain, const Trial& trial) const;
  [[nodiscard]] Reason reason_of_trial(const Chain& chain, const Trial& trial) const;
  void drop(const Chain& chain);
  void drop_untried(const Chain& chain);

  // search_result.cpp: what became of all candidates
  [[nodiscard]] SearchResult result() const;
  void compare_predictions() const;
  [[nodiscard]] Reason reason_not_tried(const Candidate& candidate, const std::vector<SelectedShare>& shares) const;
  void tell_not_judged(SearchResult& found) const;
  [[nodiscard]] std::vector<ModelIndex> taking_donors(const Chain& chain) const;

  const SearchInput input_;
  const SearchOptions options_;
  Evaluator& evaluator_;
  SearchObserver& observer_;
  std::vector<CandidateRecord> records_;      // the first ones are those of the options, in their order
  std::vector<Status> status_;                // per option
  std::vector<std::vector<Option>> nogoods_;  // options that do not hold together
  std::map<Chain, Trial> trials_;
  std::set<std::size_t> measured_records_;                // records of trials that were computed
  std::set<Option> bounded_;                              // options whose prediction is what their weights alone kept
  std::map<Group, std::int64_t> trials_of_, refused_of_;  // how many
  /// Shares of the receiver are near copies of a refused one if they save and err more than this on the selection
  /// frames.
  struct NearCopies {
    double saving = 0, error = 0;
  };
  [[nodiscard]] NearCopies near_copies_of(const Trial& refused, const Refusal& refusal) const;
  std::map<ShareKind, std::vector<NearCopies>> near_copies_;
  std::map<ShareKind, double> loss_;  // the most that a refused share lost on the test frames
  std::vector<Option> untried_;       // options for which no trial was left
  // Deferred options, and what they save with the smallest corrections that were not fitted.
  std::map<Option, Savings> deferred_;
  std::int64_t times_deferred_ = 0;
  Combination best_;
  std::vector<Option> returned_;    // by run() or safest(); donors first
  bool weights_only_ = false;       // see begin_with_weights()
  bool maximize_fidelity_ = false;  // best_ is the one of best fidelity within the budget, else of largest saving
  std::map<ModelIndex, Longest> longest_;  // per receiver
  bool out_of_trials_ = false, timed_out_ = false;
  bool completed_late_ = false;  // complete() was called after the time was up
  bool is_settled_ = false;      // the last result is that of safest()
  bool refuted_ = false;         // a complete fit missed its target since the last choice
};

}  // namespace repsim::planner
