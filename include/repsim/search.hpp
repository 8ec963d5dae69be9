#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>
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
  std::int64_t max_trials = 24;            ///< per ordered pair of models, and per receiver's mixed candidates
  std::optional<std::int64_t> max_shares;  ///< receivers in a plan; absent: any number
  std::size_t prepare_together = 32;       ///< candidates of one Evaluator::prepare()

  using Clock = std::chrono::steady_clock;
  Clock::time_point deadline = Clock::time_point::max();  ///< no new candidate is measured from here on
  std::function<Clock::time_point()> now = Clock::now;
};

/// What a search chooses from.
struct SearchInput {
  /// The fronts of each ordered pair of models, then of each receiver's mixed cuts.
  std::vector<Candidate> candidates;
  std::vector<ShareOption> options;  ///< one per candidate; their values are not read
  std::vector<double> targets;       ///< per model: the fidelity that it has to keep, 0..1
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
  bool within_budget = true;  ///< false: there is a budget, and no choice that was found keeps to it
};

/// Hears what a search does. Every function may be left out.
class SearchObserver {
 public:
  virtual ~SearchObserver() = default;
  /// planner::choose() stopped before it could prove its choice.
  virtual void choice_not_proven(const Choice& /*choice*/, const Chosen& /*chosen*/) {}
  /// A trial or a complete fit is done: reason.kind is kHolds, kNear, kBelow, kDeferred or kNotComputable.
  virtual void measured(const CandidateRecord& /*record*/) {}
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

  /// Finds the best choice; after refuse() the next best. No measurement is made twice.
  /// @throws Error{kInterrupted}
  [[nodiscard]] SearchResult run();

  /// Completes the fits of the shares that run() returned last. The next run() knows the result.
  /// @throws Error{kInterrupted}
  void complete();

  /// The share of this receiver, of those that run() returned last, keeps only `fidelity` on the test frames: below its
  /// target. The search goes on without it.
  void refuse(ModelIndex receiver, double fidelity);
};

}  // namespace repsim::planner
