#include <algorithm>
#include <iterator>

#include "describe_plan.hpp"
#include "job.hpp"
#include "plan_loop.hpp"
#include "plan_outputs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/candidates.hpp"
#include "repsim/manifest.hpp"
#include "repsim/recorded_plan.hpp"
#include "search_log.hpp"
#include "stream_work.hpp"
#include "task_times.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLatencyFrames = 12;  // each is run by both sides: a median of so many

/// @param bytes_to_save  with a budget: how much the shares have to save
planner::SearchOptions search_options(const Settings& settings, std::int64_t bytes_to_save,
                                      std::size_t prepare_together) {
  planner::SearchOptions options;
  options.objective = settings.objective;
  if (settings.budget) options.bytes_to_save = bytes_to_save;
  options.max_trials = settings.max_trials;
  options.max_shares = settings.max_shares;
  options.prepare_together = prepare_together;
  options.skip_near_copies = true;
  return options;
}

/// The bundle of the models as they are: equal weights are stored once. @return without its bytes
bundle::Written deduplicated_bundle(const PlanInputs& inputs) {
  const session::Session& session = inputs.session();
  const std::vector<bundle::StreamMethod> methods = methods_of(inputs.streams);
  bundle::Written written =
      bundle::write(session.set, session.loaded(), {}, rebuild::manifest_of(session, {}, methods), methods);
  written.bytes = {};
  return written;
}

planner::Judging judging_of(const Settings& settings, const session::Session& session) {
  planner::Judging judging;
  judging.rule.confidence = settings.confidence;
  judging.rule.min_evidence = settings.min_evidence;
  judging.most_judgements = settings.max_judgements;
  const auto& names = settings.accept_unmeasured;
  for (const session::Model& model : session.models) {
    judging.targets.push_back(settings.min_fidelity_for(model.name()));
    judging.accepted.push_back(std::find(names.begin(), names.end(), model.name()) != names.end());
  }
  return judging;
}

/// What the search has to know of the models' evidence. A model without it has raw outputs.
std::vector<planner::ModelEvidence> evidence_of(const PlanInputs& inputs, const planner::Judging& judging) {
  std::vector<planner::ModelEvidence> result;
  for (std::size_t i = 0; i < judging.accepted.size(); ++i) {
    const auto model = static_cast<ModelIndex>(i);
    const std::optional<report::ModelEvidence>& evidence = inputs.of(model).evidence[model];
    planner::ModelEvidence& known = result.emplace_back();
    known.accepted = judging.accepted[i];
    known.is_raw = !evidence.has_value();
    if (known.is_raw) continue;
    known.detections = std::min(evidence->selection.detections, evidence->test.detections);
    known.wanted = evidence->wanted;
  }
  return result;
}

/// When the search has to end for the run to end in time. What follows it (complete fits, the bundle, its check) takes
/// about as long as what came before it, and a tenth of the time is spare.
planner::SearchOptions::Clock::time_point search_deadline(double max_minutes, const Stopwatch& watch) {
  const std::chrono::duration<double> allowed(60 * max_minutes), before = watch.since_start();
  const std::chrono::duration<double> left = std::max(0.9 * allowed - 2 * before, std::chrono::duration<double>(0));
  return planner::SearchOptions::Clock::now() + std::chrono::ceil<planner::SearchOptions::Clock::duration>(left);
}

/// Per stream the largest predicted peak of activations of the other streams' frames; 0 where there is one stream.
std::vector<std::int64_t> peaks_elsewhere(const std::vector<StreamWork>& streams) {
  std::vector<std::int64_t> elsewhere(streams.size(), 0);
  for (std::size_t i = 0; streams.size() > 1 && i < streams.size(); ++i) {
    const std::int64_t peak = candidates::peak_without_shares(*streams[i].session);
    for (std::size_t other = 0; other < streams.size(); ++other) {
      if (other != i) elsewhere[other] = std::max(elsewhere[other], peak);
    }
  }
  return elsewhere;
}

/// Where computation is the objective, what a receiver saves with a guest must not depend on what the guest takes: so a
/// model that takes layers gives only those that it computes without them. Else a share that saves FLOPs with the guest
/// as it is might cost some with what the guest takes.
void give_own_layers_only(const session::Session& session, planner::SearchInput& input) {
  for (std::size_t i = 0; i < input.candidates.size(); ++i) {
    const graph::Cut& cut = input.candidates[i].cut;
    const graph::Program& program = session.models[cut.receiver].prepared.program;
    std::vector<bool> changed(program.ops.size(), false);
    for (const LayerIndex layer : cut.receiver_layers()) changed[program.layers[layer].op] = true;
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      const std::vector<OpIndex>& inputs = program.ops[op].inputs;
      if (std::any_of(inputs.begin(), inputs.end(), [&](OpIndex one) { return changed[one]; })) changed[op] = true;
    }
    std::vector<LayerIndex>& unavailable = input.options[i].unavailable;
    for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
      if (changed[program.layers[layer].op]) unavailable.push_back(static_cast<LayerIndex>(layer));
    }
    std::sort(unavailable.begin(), unavailable.end());
    unavailable.erase(std::unique(unavailable.begin(), unavailable.end()), unavailable.end());
  }
}

/// The search for shares with all that it needs; ends with a bundle that was written and checked.
PlannedBundle find_shares(const Settings& settings, const PlanInputs& inputs, const planner::Judging& judging,
                          const std::string& bundle_path, Stopwatch& watch, Progress& progress) {
  const session::Session& session = inputs.session();
  planner::SearchOptions options = search_options(settings, inputs.bytes_to_save, session.memory_budget.together);
  if (settings.max_minutes > 0) options.deadline = search_deadline(settings.max_minutes, watch);
  const std::vector<std::int64_t> elsewhere = peaks_elsewhere(inputs.streams);
  std::vector<std::unique_ptr<StreamTrials>> trials;
  std::vector<trial::TrialTools> tools(session.models.size());
  planner::SearchInput input;
  for (std::size_t i = 0; i < inputs.streams.size(); ++i) {
    const StreamWork& stream = inputs.streams[i];
    trials.push_back(std::make_unique<StreamTrials>(settings, stream, judging, progress, elsewhere[i]));
    for (const ModelIndex model : stream.session->members) tools[model] = trials.back()->tools();
    planner::SearchInput part = trials.back()->search_input(judging.targets);
    std::move(part.candidates.begin(), part.candidates.end(), std::back_inserter(input.candidates));
    std::move(part.options.begin(), part.options.end(), std::back_inserter(input.options));
    input.targets = std::move(part.targets);
  }
  if (inputs.has_several() && settings.objective != planner::Objective::kBytes) give_own_layers_only(session, input);
  const std::size_t count = input.candidates.size();
  input.evidence = evidence_of(inputs, judging);
  trial::Evaluator evaluator(std::move(tools), judging.targets,
                             [&](ModelIndex receiver, const trial::Agreement& agreement) {
                               return judging.supported(receiver, trial::judged(agreement));
                             });
  SearchLog log(session, settings.objective, settings.max_minutes);
  planner::Search search(std::move(input), options, evaluator, log);
  progress.begin("choose", 0);
  const planner::Chosen predicted = search.choose_by_prediction();
  progress.end();
  log.chosen_by_prediction(count, predicted);
  return find_and_write({inputs, trials, judging, search, evaluator, bundle_path, watch, progress});
}

/// The cost of one frame of each stream, one stream after the other.
verify::RunCost run_cost(const std::vector<StreamWork>& streams, Progress& progress) {
  verify::RunCost sum;
  for (const StreamWork& stream : streams) {
    const verify::RunCost one = verify::measure_run_cost(
        stream.check, std::min(kLatencyFrames, stream.stores.holdout.test.front().size()), progress);
    sum.latency.separate_ms += one.latency.separate_ms;
    sum.latency.bundle_ms += one.latency.bundle_ms;
    sum.peak.separate_bytes = std::max(sum.peak.separate_bytes, one.peak.separate_bytes);
    sum.peak.bundle_bytes = std::max(sum.peak.bundle_bytes, one.peak.bundle_bytes);
  }
  return sum;
}

/// Pictures of the frames on which models differ most, in the order of the models.
std::vector<report::FramePicture> pictures(const Settings& settings, const std::vector<StreamWork>& streams,
                                           const PlannedBundle& planned, Progress& progress) {
  std::vector<report::FramePicture> all;
  for (const StreamWork& stream : streams) {
    for (report::FramePicture& one : pictures_of(*stream.session, planned.verdicts, settings.report_frames, progress)) {
      if (one.video.empty()) one.video = stream.method.stream;
      all.push_back(std::move(one));
    }
  }
  const std::vector<session::Model>& models = streams.front().session->models;
  std::stable_sort(all.begin(), all.end(), [&](const report::FramePicture& a, const report::FramePicture& b) {
    return session::find_model(models, a.model) < session::find_model(models, b.model);
  });
  return all;
}

/// Per model where its signatures came from; with several streams per stream.
Json signature_origins(const std::vector<StreamWork>& streams) {
  if (streams.size() == 1) return streams.front().signatures.origins;
  Json origins;
  for (const StreamWork& stream : streams) origins[stream.method.stream] = stream.signatures.origins;
  return origins;
}

Outcome plan(const Settings& settings, const session::SingleFrames& single, const fs::path& out, bool force,
             Progress& shown) {
  Stopwatch watch;
  TaskTimes progress(shown);
  const session::Runtime runtime(runtime_options(settings));
  check(settings);
  const std::vector<config::Stream> streams = config::streams_of(settings);
  for (const session::InputFiles& files : input_files(streams, settings.libraries)) session::check_files(files);
  check_replaces_no_input(settings, out);
  StagedDirectory staged(out, force);
  std::vector<StreamWork> works = open_streams(settings, streams, runtime, single, progress);
  watch.lap("load");

  const planner::Judging judging = judging_of(settings, *works.front().session);
  const std::string bundle_path = staged.path("bundle.pt").string();
  for (StreamWork& work : works) {
    prepare(settings, judging, work, watch, progress);
    set_bundle_check(settings, bundle_path, work);
  }
  PlanInputs inputs{works};
  const bundle::Written deduplicated = deduplicated_bundle(inputs);
  inputs.bytes_to_save = settings.budget ? deduplicated.parameter_bytes - *settings.budget : 0;
  const PlannedBundle planned = find_shares(settings, inputs, judging, bundle_path, watch, progress);

  Outcome outcome{describe_plan(settings, inputs, planned, deduplicated), staged.target()};
  const verify::RunCost cost = run_cost(works, progress);
  watch.lap("latency");
  const report::PageExtras page{pictures(settings, works, planned, progress), page_models(inputs.session()),
                                rebuild::recorded_config(outcome.plan)};
  write_outputs(staged, {outcome.plan, matrices_of(works), frames_of(works.front().signatures.signatures), page});
  watch.lap("report");
  write_run_json(staged, settings, {outcome.plan, cost, signature_origins(works), watch.laps(), progress.seconds()});
  staged.commit("plan.json");
  runtime.memory_limit().judge();
  return outcome;
}

}  // namespace

Outcome plan(const Settings& settings, const fs::path& out, bool force, Progress& progress) {
  return session::with_single_frames(
      [&](const session::SingleFrames& single) { return plan(settings, single, out, force, progress); });
}

}  // namespace repsim::pipeline
