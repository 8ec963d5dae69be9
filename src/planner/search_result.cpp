#include <algorithm>
#include <cmath>

#include "repsim/search.hpp"

namespace repsim::planner {
namespace {

bool gives(ModelIndex model, const graph::Cut& cut) {
  const std::vector<ModelIndex> donors = cut.donors();
  return std::find(donors.begin(), donors.end(), model) != donors.end();
}

}  // namespace

SearchResult Search::result() const {
  SearchResult found;
  found.records = records_;
  const OptionOf of_receiver = by_receiver(best_.options);
  for (const Option option : best_.options) {
    const Trial& trial = trials_.at(chain_of(of_receiver, option));
    found.records[trial.record].reason = {.kind = maximize_fidelity_ ? Reason::Kind::kChosenBestFidelity
                                                                     : Reason::Kind::kChosenLargestSaving};
    found.shares.push_back({trial.record, trial.share, trial.max_gain});
  }
  for (std::size_t i = 0; i < found.records.size(); ++i) {
    CandidateRecord& one = found.records[i];
    if (one.reason.kind != Reason::Kind::kNone) continue;
    if (i < status_.size() && is_far_below(i)) {
      one.reason = {.kind = Reason::Kind::kFarBelow, .target = target(i)};
      continue;
    }
    one.reason = timed_out_ ? Reason{.kind = Reason::Kind::kOutOfTime} : reason_not_tried(one.candidate, found.shares);
  }
  if (is_settled_) tell_not_judged(found);
  return found;
}

/// No plan is shown to the test frames any more. A candidate that holds on the selection frames, or that might have
/// been tried next, was left out for this reason if it saves more than the shares that are in its way.
void Search::tell_not_judged(SearchResult& found) const {
  using Kind = Reason::Kind;
  const auto would_be_better = [&](Option option, double saved) {
    const graph::Cut& cut = candidate(option).cut;
    double in_the_way = 0;
    for (const Option other : best_.options) {
      const graph::Cut& taken = candidate(other).cut;
      if (taken.receiver == cut.receiver || gives(taken.receiver, cut) || gives(cut.receiver, taken))
        in_the_way += saving(other);
    }
    return saved > in_the_way && !(maximize_fidelity_ && in_the_way > 0);
  };
  for (const auto& [chain, trial] : trials_) {
    Reason& reason = found.records[trial.record].reason;
    const bool may_hold = !trial.accepted && (reason.kind == Kind::kHolds || reason.kind == Kind::kNear);
    const auto saved = static_cast<double>(trial.candidate.savings.of(options_.objective));
    if (may_hold && would_be_better(chain.back(), saved)) reason.kind = Kind::kNotJudged;
  }
  for (Option option = 0; option < status_.size(); ++option) {
    Reason& reason = found.records[option].reason;
    const bool is_deferred = reason.kind == Kind::kDeferred;
    const bool is_untried = records_[option].reason.kind == Kind::kNone && reason.kind != Kind::kOutOfTime &&
                            reason.kind != Kind::kFarBelow;
    if ((is_deferred || is_untried) && would_be_better(option, saving(option)))
      reason.kind = is_deferred ? Kind::kDeferredNotJudged : Kind::kOutOfJudgements;
  }
}

/// Why a candidate was not worth a trial.
Reason Search::reason_not_tried(const Candidate& candidate, const std::vector<SelectedShare>& shares) const {
  using Kind = Reason::Kind;
  if (options_.bytes_to_save && *options_.bytes_to_save <= 0) return {.kind = Kind::kModelsFit};
  const auto cut_of = [&](const SelectedShare& share) -> const graph::Cut& {
    return records_[share.record].candidate.cut;
  };
  for (const SelectedShare& share : shares) {
    if (cut_of(share).receiver == candidate.cut.receiver) return {.kind = Kind::kReceiverTakesAnother};
  }
  for (const SelectedShare& share : shares) {
    const ModelIndex other = cut_of(share).receiver;
    if (gives(other, candidate.cut)) return {.kind = Kind::kDonorTakes, .models = {other}};
    if (gives(candidate.cut.receiver, cut_of(share))) return {.kind = Kind::kReceiverGives, .models = {other}};
  }
  return {.kind = Kind::kNoBetterChoice};
}

/// Compares trials with the predictions that had an interval.
void Search::compare_predictions() const {
  std::size_t trials = 0, within = 0;
  double error = 0;
  for (const CandidateRecord& one : records_) {
    const auto& interval = one.candidate.predicted_interval;
    if (!one.measured_fidelity || !interval) continue;
    const double measured = *one.measured_fidelity;
    ++trials;
    within += interval->low <= measured && measured <= interval->high ? 1 : 0;
    error += std::abs(one.candidate.predicted_fidelity - measured);
  }
  if (trials > 0) observer_.predictions_compared(trials, within, error / static_cast<double>(trials));
}

/// The donors of the chain's last option that take layers themselves.
std::vector<ModelIndex> Search::taking_donors(const Chain& chain) const {
  const OptionOf of_receiver = by_receiver(chain);
  std::vector<ModelIndex> taking;
  for (const Supplied& supplied : input_.options[chain.back()].supplied) {
    if (of_receiver.count(supplied.donor) > 0) taking.push_back(supplied.donor);
  }
  return taking;
}

}  // namespace repsim::planner
