#include "repsim/judged_search.hpp"

#include <algorithm>
#include <set>

namespace repsim::planner {
namespace {

class JudgedSearch {
 public:
  JudgedSearch(Search& search, const Judging& judging, PlanJudge& judge)
      : search_(search), judging_(judging), judge_(judge) {}

  std::int64_t run() {
    // The only look there is belongs to the best of all.
    weights_only_ = judging_.most_judgements > 1 && search_.begin_with_weights();
    for (Step step = Step::kSearch; step != Step::kDone;) step = next(step);
    return judgements_;
  }

 private:
  enum class Step { kSearch, kComplete, kJudge, kSettle, kWrite, kDone };

  Step next(Step step) {
    switch (step) {
      case Step::kSearch:
        take(search_.run());
        return is_complete() ? Step::kJudge : Step::kComplete;
      case Step::kComplete:
        search_.complete();
        return Step::kSearch;
      case Step::kJudge:
        if (all_accepted()) return after_accepted();
        if (judgements_ < most_judgements()) return holds_in_memory() ? after_accepted() : Step::kSearch;
        if (weights_only_) return go_on_with_all(/*no_look_is_left=*/true);
        judge_.out_of_judgements(judgements_);
        return Step::kSettle;
      case Step::kSettle:
        take(search_.safest());
        return Step::kWrite;
      case Step::kWrite:
        judge_.write();
        return holds_in_file() ? Step::kDone : Step::kSettle;
      case Step::kDone:
        break;
    }
    return Step::kDone;
  }

  Step after_accepted() { return weights_only_ ? go_on_with_all(/*no_look_is_left=*/false) : Step::kWrite; }

  /// Shares of weights have one look of those that there are: so they cost shares of layers no more than that.
  [[nodiscard]] std::int64_t most_judgements() const { return weights_only_ ? 1 : judging_.most_judgements; }

  /// Shares of weights are cheap to fit and judged first. What is accepted bounds the search among all candidates.
  Step go_on_with_all(bool no_look_is_left) {
    search_.go_on_with_all(no_look_is_left);
    weights_only_ = false;
    return Step::kSearch;
  }

  void take(SearchResult plan) {
    plan_ = std::move(plan);
    judge_.take(plan_);
  }

  [[nodiscard]] ModelIndex receiver(const SelectedShare& share) const {
    return plan_.records[share.record].candidate.cut.receiver;
  }

  [[nodiscard]] bool is_complete() const {
    return std::all_of(plan_.shares.begin(), plan_.shares.end(),
                       [](const SelectedShare& one) { return one.max_gain == 0; });
  }

  [[nodiscard]] bool all_accepted() const {
    return std::all_of(plan_.shares.begin(), plan_.shares.end(),
                       [&](const SelectedShare& one) { return accepted_.count(one.share) > 0; });
  }

  /// Shows the plan to the test frames. @return whether all its shares hold there
  bool holds_in_memory() {
    ++judgements_;
    bool all = true;
    for (const SelectedShare& one : plan_.shares) {
      if (accepted_.count(one.share) > 0) continue;
      const Judged judged = judge_.in_memory(receiver(one));
      if (judging_.holds(receiver(one), judged)) {
        accepted_.insert(one.share);
        search_.accept(receiver(one));
      } else {
        all = false;
        refuse(receiver(one), judged);
      }
    }
    return all;
  }

  /// The file decides: what it computes may differ from what memory computed in the last bits.
  bool holds_in_file() {
    bool all = true;
    for (const SelectedShare& one : plan_.shares) {
      const Judged judged = judge_.in_file(receiver(one));
      if (judging_.holds(receiver(one), judged)) continue;
      all = false;
      refuse(receiver(one), judged);
    }
    return all;
  }

  void refuse(ModelIndex receiver, const Judged& judged) {
    judge_.refused(receiver, judged);
    search_.refuse(receiver, {.fidelity = judged.fidelity.value_or(0),
                              .detections = judged.detections,
                              .supported = judging_.supported(receiver, judged),
                              .one_look_left = judgements_ + 1 == judging_.most_judgements});
  }

  Search& search_;
  const Judging& judging_;
  PlanJudge& judge_;
  SearchResult plan_;
  std::set<FittedShareId> accepted_;  // hold on the test frames
  std::int64_t judgements_ = 0;
  bool weights_only_ = false;  // the search chooses among shares of weights alone
};

}  // namespace

std::int64_t search_until_it_holds(Search& search, const Judging& judging, PlanJudge& judge) {
  return JudgedSearch(search, judging, judge).run();
}

}  // namespace repsim::planner
