#include "plan_loop.hpp"

#include <algorithm>
#include <set>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/base/text.hpp"
#include "repsim/manifest.hpp"

namespace repsim::pipeline {
namespace {

class PlanLoop {
 public:
  explicit PlanLoop(const PlanLoopInput& input) : input_(input) {}

  PlannedBundle run() {
    for (Step step = Step::kSearch; step != Step::kDone;) step = next(step);
    return std::move(planned_);
  }

 private:
  enum class Step { kSearch, kComplete, kJudge, kSettle, kWrite, kVerify, kDone };

  Step next(Step step) {
    switch (step) {
      case Step::kSearch:
        take(input_.search.run());
        return is_complete() ? Step::kJudge : Step::kComplete;
      case Step::kComplete:
        input_.search.complete();
        input_.watch.lap("search");
        return Step::kSearch;
      case Step::kJudge:
        if (all_accepted()) return Step::kWrite;
        if (planned_.judgements == input_.rule.most_judgements) return Step::kSettle;
        return judge() ? Step::kWrite : Step::kSearch;
      case Step::kSettle:
        log::info(std::to_string(planned_.judgements) +
                  " plans were measured on the frames that judge (--max-judgements): taking the shares that held");
        take(input_.search.safest());
        return Step::kWrite;
      case Step::kWrite:
        write();
        return Step::kVerify;
      case Step::kVerify:
        return refuses_in_file() ? Step::kSettle : Step::kDone;
      case Step::kDone:
        break;
    }
    return Step::kDone;
  }

  void take(planner::SearchResult found) {
    planned_.shares.clear();
    ids_.clear();
    for (const planner::SelectedShare& selected : found.shares) {
      trial::FittedShare share = input_.evaluator.share(selected.share);
      share.candidate = found.records[selected.record].candidate;
      share.max_gain = selected.max_gain;
      planned_.shares.push_back(std::move(share));
      ids_.push_back(selected.share);
    }
    planned_.records = std::move(found.records);
    input_.watch.lap("search");
  }

  [[nodiscard]] bool all_accepted() const {
    return std::all_of(ids_.begin(), ids_.end(), [&](planner::FittedShareId id) { return accepted_.count(id) > 0; });
  }

  /// Shows the plan to the test frames. @return whether all its shares hold there
  bool judge() {
    ++planned_.judgements;
    const std::vector<graph::Splice> splices = trial::splices_of(planned_.shares);
    bool all = true;
    for (std::size_t i = 0; i < planned_.shares.size(); ++i) {
      if (accepted_.count(ids_[i]) > 0) continue;
      const ModelIndex receiver = planned_.shares[i].attachment.cut.receiver;
      const planner::Judged judged = trial::judged(input_.test.agreement(receiver, splices));
      if (holds(receiver, judged)) {
        accepted_.insert(ids_[i]);
        input_.search.accept(receiver);
      } else {
        all = false;
        refuse(receiver, judged);
      }
    }
    input_.watch.lap("search");
    return all;
  }

  [[nodiscard]] bool is_complete() const {
    return std::all_of(planned_.shares.begin(), planned_.shares.end(),
                       [](const trial::FittedShare& share) { return share.max_gain == 0; });
  }

  void write() {
    bundle::Written& written = planned_.written;
    written = bundle::write(input_.session.set, input_.session.loaded(), trial::splices_of(planned_.shares),
                            rebuild::manifest_of(input_.session, planned_.shares));
    write_file_atomically(input_.check.bundle_path, written.bytes);
    planned_.bytes = static_cast<std::int64_t>(written.bytes.size());
    planned_.sha256 = sha256(written.bytes);
    written.bytes = {};  // as large as all models, and read back from disk
    if (input_.session.memory_budget.is_limited) release_free_memory();
    input_.check.bundle = verify::load_bundle(input_.check.bundle_path);
    input_.watch.lap("bundle");
  }

  /// The file decides: what it computes may differ from what memory computed in the last bits.
  bool refuses_in_file() {
    planned_.verdicts = verify::check_bundle(input_.check, input_.progress);
    input_.watch.lap("verify");
    bool any = false;
    for (const trial::FittedShare& share : planned_.shares) {
      const ModelIndex receiver = share.attachment.cut.receiver;
      const verify::Fidelity& fidelity = planned_.verdicts[receiver].fidelity;
      // The interval was judged in memory. Here the value decides, which alone can have changed.
      const planner::Judged judged{fidelity.value, fidelity.value.value_or(0), fidelity.own_detections, fidelity.is_raw,
                                   fidelity.bit_identical};
      if (holds(receiver, judged)) continue;
      any = true;
      refuse(receiver, judged);
    }
    return any;
  }

  [[nodiscard]] bool holds(ModelIndex receiver, const planner::Judged& judged) const {
    return input_.rule.rule.holds(judged, input_.targets[receiver], input_.rule.accepted[receiver]);
  }

  void refuse(ModelIndex receiver, const planner::Judged& judged) {
    const double fidelity = judged.fidelity.value_or(0);
    const double supported = input_.rule.rule.supported(judged, input_.rule.accepted[receiver]);
    log::info(input_.session.models[receiver].name() + " keeps " + fixed3(fidelity) +
              (supported < fidelity ? " (the frames support " + fixed3(supported) + ")" : "") +
              " on the frames that judge, not " + fixed3(input_.targets[receiver]) + ": searching on");
    input_.search.refuse(receiver, fidelity, judged.detections, supported);
  }

  const PlanLoopInput& input_;
  PlannedBundle planned_;
  std::vector<planner::FittedShareId> ids_;    // of planned_.shares
  std::set<planner::FittedShareId> accepted_;  // hold on the test frames
};

}  // namespace

PlannedBundle search_until_it_holds(const PlanLoopInput& input) { return PlanLoop(input).run(); }

}  // namespace repsim::pipeline
