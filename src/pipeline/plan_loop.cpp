#include "plan_loop.hpp"

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/base/text.hpp"
#include "repsim/manifest.hpp"

namespace repsim::pipeline {
namespace {

/// Measures plans in memory and in the file. What follows from it, planner::search_until_it_holds() decides.
class BundleJudge : public planner::PlanJudge {
 public:
  explicit BundleJudge(const PlanLoopInput& input) : input_(input) {}

  void take(const planner::SearchResult& plan) override {
    planned_.shares.clear();
    for (const planner::SelectedShare& selected : plan.shares) {
      trial::FittedShare share = input_.evaluator.share(selected.share);
      share.candidate = plan.records[selected.record].candidate;
      share.max_gain = selected.max_gain;
      planned_.shares.push_back(std::move(share));
    }
    planned_.records = plan.records;
    input_.watch.lap("search");
  }

  planner::Judged in_memory(ModelIndex receiver) override {
    const std::vector<graph::Splice> splices = trial::splices_of(planned_.shares);
    StreamTrials& trials = *input_.trials[input_.inputs.stream_of(receiver)];
    // Selection frames that are no test frames count as evidence, too.
    const bool pools = input_.judging.rule.pools() && input_.inputs.of(receiver).selects_apart();
    const planner::Judged judged =
        trial::judged(pools ? trials.test().agreement_with(trials.selection(), receiver, splices)
                            : trials.test().agreement(receiver, splices));
    input_.watch.lap("search");
    return judged;
  }

  void write() override {
    bundle::Written& written = planned_.written;
    const session::Session& session = input_.inputs.session();
    const std::vector<bundle::StreamMethod> methods = methods_of(input_.inputs.streams);
    written = bundle::write(session.set, session.loaded(), trial::splices_of(planned_.shares),
                            rebuild::manifest_of(session, planned_.shares, methods), methods);
    write_file_atomically(input_.bundle_path, written.bytes);
    planned_.bytes = static_cast<std::int64_t>(written.bytes.size());
    planned_.sha256 = sha256(written.bytes);
    written.bytes = {};  // as large as all models, and read back from disk
    release_free_memory();
    const torch::jit::Module loaded = verify::load_bundle(input_.bundle_path);
    input_.watch.lap("bundle");
    planned_.verdicts.assign(session.models.size(), {});
    for (StreamWork& stream : input_.inputs.streams) {
      stream.check.bundle = loaded;
      std::vector<verify::Verdict> verdicts = verify::check_bundle(stream.check, input_.progress);
      for (std::size_t i = 0; i < verdicts.size(); ++i)
        planned_.verdicts[stream.session->members[i]] = std::move(verdicts[i]);
    }
    input_.watch.lap("verify");
  }

  planner::Judged in_file(ModelIndex receiver) override {
    const verify::Fidelity& fidelity = planned_.verdicts[receiver].fidelity;
    // The interval was judged in memory. Here the value decides, which alone can have changed.
    return {fidelity.value, fidelity.value.value_or(0), fidelity.own_detections, fidelity.is_raw,
            fidelity.bit_identical};
  }

  void refused(ModelIndex receiver, const planner::Judged& judged) override {
    const double fidelity = judged.fidelity.value_or(0), supported = input_.judging.supported(receiver, judged);
    log::info(input_.inputs.session().models[receiver].name() + " keeps " + fixed3(fidelity) +
              (supported < fidelity ? " (the frames support " + fixed3(supported) + ")" : "") +
              " on the frames that judge, not " + fixed3(input_.judging.targets[receiver]) + ": searching on");
  }

  void out_of_judgements(std::int64_t judgements) override {
    log::info(std::to_string(judgements) +
              " plans were measured on the frames that judge (--max-judgements): taking the shares that held");
  }

  PlannedBundle result(std::int64_t judgements) {
    planned_.judgements = judgements;
    return std::move(planned_);
  }

 private:
  const PlanLoopInput& input_;
  PlannedBundle planned_;
};

}  // namespace

PlannedBundle find_and_write(const PlanLoopInput& input) {
  BundleJudge judge(input);
  const std::int64_t judgements = planner::search_until_it_holds(input.search, input.judging, judge);
  return judge.result(judgements);
}

}  // namespace repsim::pipeline
