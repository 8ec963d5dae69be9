#include "plan_loop.hpp"

#include <algorithm>

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
  enum class Step { kSearch, kJudge, kComplete, kWrite, kVerify, kDone };

  Step next(Step step) {
    switch (step) {
      case Step::kSearch:
        search();
        return Step::kJudge;
      case Step::kJudge:
        if (refuses_in_memory()) return Step::kSearch;
        return is_complete() ? Step::kWrite : Step::kComplete;
      case Step::kComplete:
        input_.search.complete();
        input_.watch.lap("search");
        return Step::kSearch;
      case Step::kWrite:
        write();
        return Step::kVerify;
      case Step::kVerify:
        return refuses_in_file() ? Step::kSearch : Step::kDone;
      case Step::kDone:
        break;
    }
    return Step::kDone;
  }

  void search() {
    planner::SearchResult found = input_.search.run();
    ++planned_.judgements;
    planned_.shares.clear();
    for (const planner::SelectedShare& selected : found.shares) {
      trial::FittedShare share = input_.evaluator.share(selected.share);
      share.candidate = found.records[selected.record].candidate;
      share.max_gain = selected.max_gain;
      planned_.shares.push_back(std::move(share));
    }
    planned_.records = std::move(found.records);
    input_.watch.lap("search");
  }

  /// Judges the choice before its complete fit: a share that is far below its target is not worth one.
  bool refuses_in_memory() {
    const std::vector<graph::Splice> splices = trial::splices_of(planned_.shares);
    bool any = false;
    for (const trial::FittedShare& share : planned_.shares)
      any = refuses(share, input_.test.measure(share.attachment.cut.receiver, splices).fidelity) || any;
    input_.watch.lap("search");
    return any;
  }

  [[nodiscard]] bool is_complete() const {
    return std::all_of(planned_.shares.begin(), planned_.shares.end(),
                       [](const trial::FittedShare& share) { return share.max_gain == 0; });
  }

  void write() {
    bundle::Written& written = planned_.written;
    written = bundle::write(input_.session.set, input_.check.models, trial::splices_of(planned_.shares),
                            rebuild::manifest_of(input_.session, planned_.shares));
    write_file_atomically(input_.check.bundle_path, written.bytes);
    planned_.bytes = static_cast<std::int64_t>(written.bytes.size());
    planned_.sha256 = sha256(written.bytes);
    written.bytes = {};  // as large as all models, and read back from disk
    if (input_.session.memory_budget.is_limited) release_free_memory();
    input_.check.bundle = verify::load_bundle(input_.check.bundle_path);
    input_.watch.lap("bundle");
  }

  bool refuses_in_file() {
    planned_.verdicts = verify::check_bundle(input_.check, input_.progress);
    input_.watch.lap("verify");
    bool any = false;
    for (const trial::FittedShare& share : planned_.shares)
      any = refuses(share, planned_.verdicts[share.attachment.cut.receiver].fidelity.value) || any;
    return any;
  }

  /// Takes the share out of the search if it cannot reach its target any more.
  bool refuses(const trial::FittedShare& share, double fidelity) {
    const ModelIndex receiver = share.attachment.cut.receiver;
    if (fidelity >= input_.targets[receiver] - share.max_gain) return false;
    log::info(input_.session.models[receiver].name() + " keeps " + fixed3(fidelity) +
              " only on the test frames: searching on");
    input_.search.refuse(receiver, fidelity);
    return true;
  }

  const PlanLoopInput& input_;
  PlannedBundle planned_;
};

}  // namespace

PlannedBundle search_until_it_holds(const PlanLoopInput& input) { return PlanLoop(input).run(); }

}  // namespace repsim::pipeline
