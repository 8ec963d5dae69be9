#include <algorithm>

#include "describe_plan.hpp"
#include "evidence.hpp"
#include "job.hpp"
#include "plan_frames.hpp"
#include "plan_loop.hpp"
#include "plan_outputs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/candidates.hpp"
#include "repsim/manifest.hpp"
#include "repsim/recorded_plan.hpp"
#include "search_log.hpp"
#include "signatures.hpp"
#include "task_times.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLatencyFrames = 12;  // each is run by both sides: a median of so many

trial::FittingOptions fitting_options(const Settings& settings) {
  trial::FittingOptions options;
  options.linear = settings.adapters == config::Adapters::kLinear;
  options.refit = settings.refit;
  options.max_rank = static_cast<int>(settings.max_rank);
  options.max_auxiliary_inputs = static_cast<std::size_t>(settings.max_side_inputs);
  options.objective = settings.objective;
  options.shares_weights = settings.sharing != config::Sharing::kRepresentations;
  return options;
}

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
bundle::Written deduplicated_bundle(const session::Session& session) {
  bundle::Written written = bundle::write(session.set, session.loaded(), {}, rebuild::manifest_of(session, {}));
  written.bytes = {};
  return written;
}

/// What the written bundle is checked with, on the test frames.
verify::BundleCheck bundle_check(const Settings& settings, const session::Session& session, const std::string& path,
                                 HoldoutStores& holdout) {
  verify::BundleCheck check;
  check.bundle_path = path;
  check.models = session.checked_models();
  check.set = &session.set;
  check.frames = &holdout.test;
  check.perturbed = std::move(holdout.perturbed);
  check.playlist = &session.playlist;
  check.truth = session.truth;
  check.seed = settings.seed;
  // The loop judges on the frames of the check: where there is memory, the originals run once for both.
  if (!settings.memory_limit && session.set.models.front()->device.is_cpu()) {
    for (verify::CheckedModel& model : check.models) {
      model.original =
          verify::remembered(verify::original_forward(*model.loaded, session.set, holdout.test, model.head.group));
    }
  }
  return check;
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

/// @param judging  outlives the result
EvidenceOptions evidence_options(const Settings& settings, const session::Session& session,
                                 const planner::Judging& judging) {
  EvidenceOptions options;
  options.wanted = [&judging](ModelIndex model, std::int64_t frames) {
    return judging.rule.wanted(judging.targets[model], verify::bootstrap_block(frames));
  };
  options.scan_frames = settings.scan_frames;
  options.accepted = settings.accept_unmeasured;
  for (const ModelIndex model :
       candidates::receivers_of(candidates::directions(settings, session.models), session.models)) {
    if (session.models[model].head.output.format != model::OutputFormat::kTensor) options.models.push_back(model);
  }
  return options;
}

/// What the search has to know of it. A model without it has raw outputs.
std::vector<planner::ModelEvidence> evidence_of(const std::vector<std::optional<report::ModelEvidence>>& evidence,
                                                const planner::Judging& judging) {
  std::vector<planner::ModelEvidence> result;
  for (std::size_t i = 0; i < evidence.size(); ++i) {
    planner::ModelEvidence& known = result.emplace_back();
    known.accepted = judging.accepted[i];
    known.is_raw = !evidence[i].has_value();
    if (known.is_raw) continue;
    known.detections = std::min(evidence[i]->selection.detections, evidence[i]->test.detections);
    known.wanted = evidence[i]->wanted;
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

/// The search for shares with all that it needs; ends with a bundle that was written and checked.
PlannedBundle find_shares(const Settings& settings, const PlanInputs& inputs, const planner::Judging& judging,
                          verify::BundleCheck& check, Stopwatch& watch, Progress& progress) {
  const session::Session& session = inputs.session;
  const candidates::Options candidate_options = candidates::options_of(settings);
  planner::SearchOptions options = search_options(settings, inputs.bytes_to_save, session.memory_budget.together);
  if (settings.max_minutes > 0) options.deadline = search_deadline(settings.max_minutes, watch);
  const std::int64_t kept = session.memory_budget.frame_values;
  trial::CalibrationFrames calibration(session, inputs.calibration, progress);
  trial::MeasuringOptions measuring{judging.rule.interval(), settings.seed, kept};
  measuring.holds_early = !settings.budget;  // a budget asks for the best fidelity that fits
  trial::Measurer selection(session, inputs.holdout.selection, measuring, progress);
  std::vector<verify::Forward> originals;
  for (const verify::CheckedModel& model : check.models) {
    if (model.original) originals.push_back(model.original);
  }
  // Few shares come as far as the test frames.
  measuring.max_bytes = kept / 4;
  measuring.originals = std::move(originals);
  trial::Measurer test(session, inputs.holdout.test, std::move(measuring), progress);
  const auto offered_inputs = [&](const fit::Attachment& attachment, std::span<const graph::Splice> donor_splices) {
    return candidates::offered_auxiliary_inputs(candidate_options, session, inputs.similarity, attachment,
                                                donor_splices);
  };
  trial::Fitter fitter(session, calibration, fitting_options(settings), offered_inputs, progress);
  const std::vector<config::Direction> directions = candidates::directions(settings, session.models);
  const fit::Outputs outputs = calibration.outputs_of(candidates::receivers_of(directions, session.models));
  std::vector<planner::Candidate> found;
  if (settings.sharing != config::Sharing::kWeights) {
    found = candidates::find_candidates(
        {candidate_options, session, inputs.similarity, directions, calibration.trial_frames(), outputs}, progress);
  }
  if (settings.sharing != config::Sharing::kRepresentations) {
    fit::WeightDifferences& differences = fitter.weight_differences();
    const std::vector<planner::Candidate> weights = candidates::find_weight_candidates(candidate_options, session,
                                                                                       directions, differences),
                                          combined = candidates::find_combined_candidates(candidate_options, session,
                                                                                          found, differences);
    found.insert(found.end(), combined.begin(), combined.end());
    found.insert(found.end(), weights.begin(), weights.end());
  }
  const std::size_t count = found.size();
  planner::SearchInput input =
      candidates::search_input(session, std::move(found), judging.targets, candidate_options.attachment);
  input.evidence = evidence_of(inputs.evidence, judging);
  trial::Evaluator evaluator(fitter, selection, judging.targets,
                             [&](ModelIndex receiver, const trial::Agreement& agreement) {
                               return judging.supported(receiver, trial::judged(agreement));
                             });
  SearchLog log(session, settings.objective, settings.max_minutes);
  planner::Search search(std::move(input), options, evaluator, log);
  progress.begin("choose", 0);
  const planner::Chosen predicted = search.choose_by_prediction();
  progress.end();
  log.chosen_by_prediction(count, predicted);
  trial::Measurer* earlier =
      judging.rule.pools() && inputs.frames.selection != inputs.frames.test ? &selection : nullptr;
  return find_and_write({session, judging, search, evaluator, test, earlier, check, watch, progress});
}

Outcome plan(const Settings& settings, const session::SingleFrames& single, const fs::path& out, bool force,
             Progress& shown) {
  Stopwatch watch;
  TaskTimes progress(shown);
  const session::Runtime runtime(runtime_options(settings));
  check(settings);
  session::check_files(input_files(settings));
  StagedDirectory staged(out, force);
  const session::Session session(runtime, session_options(settings, single), progress);
  watch.lap("load");

  const PlanFrames sampled = split_frames(session.playlist, settings.frames, settings.holdout);
  PlanDecoding decoding(session, sampled, progress);
  PlanStores stores{decoding.calibration(), {}};
  watch.lap("decode");
  // Signatures come from the sampled frames alone: those of one model then serve plans with any others.
  const SessionSignatures captured = signatures_of(settings, session, stores.calibration, progress);
  watch.lap("capture");
  stores.holdout = decoding.holdout(progress);
  watch.lap("decode");
  const planner::Judging judging = judging_of(settings, session);
  const EvidentFrames evident = find_evidence(session, sampled, stores.calibration, stores.holdout,
                                              evidence_options(settings, session, judging), progress);
  if (evident.grew(sampled)) stores = decode(session, evident.frames, progress);
  watch.lap("evidence");
  const similarity::ModelPairs similarity(captured.signatures);
  watch.lap("similarity");

  verify::BundleCheck check = bundle_check(settings, session, staged.path("bundle.pt").string(), stores.holdout);
  const bundle::Written deduplicated = deduplicated_bundle(session);
  const std::int64_t bytes_to_save = settings.budget ? deduplicated.parameter_bytes - *settings.budget : 0;
  const PlanInputs inputs{session,    evident.frames,   stores.calibration, stores.holdout,
                          similarity, evident.evidence, bytes_to_save};
  const PlannedBundle planned = find_shares(settings, inputs, judging, check, watch, progress);

  Outcome outcome{describe_plan(settings, inputs, planned, deduplicated), staged.target()};
  const verify::RunCost cost =
      verify::measure_run_cost(check, std::min(kLatencyFrames, stores.holdout.test.front().size()), progress);
  watch.lap("latency");
  const report::PageExtras page{pictures_of(session, planned.verdicts, settings.report_frames, progress),
                                page_models(session), rebuild::recorded_config(outcome.plan)};
  write_outputs(staged, {outcome.plan, similarity.matrices(), frames_of(captured.signatures), page});
  watch.lap("report");
  write_run_json(staged, settings, {outcome.plan, cost, captured.origins, watch.laps(), progress.seconds()});
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
