#include "stream_work.hpp"

#include <algorithm>

#include "evidence.hpp"
#include "job.hpp"

namespace repsim::pipeline {
namespace {

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
    if (session.is_guest(model)) continue;
    if (session.models[model].head.output.format != model::OutputFormat::kTensor) options.models.push_back(model);
  }
  return options;
}

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

trial::MeasuringOptions measuring_options(const Settings& settings, const planner::Judging& judging,
                                          std::int64_t max_bytes) {
  trial::MeasuringOptions options{judging.rule.interval(), settings.seed, max_bytes};
  options.holds_early = !settings.budget;  // a budget asks for the best fidelity that fits
  return options;
}

candidates::Options candidate_options(const Settings& settings, std::int64_t elsewhere) {
  candidates::Options options = candidates::options_of(settings);
  options.peak_elsewhere = elsewhere;
  return options;
}

/// The directions whose receivers run on the stream.
std::vector<Direction> directions_of(const Settings& settings, const session::Session& session) {
  std::vector<Direction> directions = candidates::directions(settings, session.models);
  std::erase_if(directions, [&](const Direction& direction) {
    return session.is_guest(session::find_model(session.models, direction.receiver));
  });
  return directions;
}

/// The outputs of originals that the check keeps, by model; empty where it keeps none.
std::vector<verify::Forward> kept_originals(const StreamWork& stream) {
  std::vector<verify::Forward> originals(stream.session->models.size());
  for (std::size_t i = 0; i < stream.check.models.size(); ++i) {
    if (!stream.check.models[i].original) return {};
    originals[stream.session->members[i]] = stream.check.models[i].original;
  }
  return originals;
}

// Few shares come as far as the test frames.
trial::MeasuringOptions test_options(const Settings& settings, const planner::Judging& judging,
                                     const StreamWork& stream) {
  trial::MeasuringOptions options =
      measuring_options(settings, judging, stream.session->memory_budget.frame_values / 4);
  options.originals = kept_originals(stream);
  return options;
}

similarity::Matrix transposed(const similarity::Matrix& matrix) {
  similarity::Matrix result{matrix.col_model, matrix.row_model, matrix.cols, matrix.rows, {}};
  result.values.reserve(matrix.values.size());
  for (std::size_t row = 0; row < result.rows.size(); ++row) {
    for (std::size_t col = 0; col < result.cols.size(); ++col) result.values.push_back(matrix.at(col, row));
  }
  return result;
}

}  // namespace

std::size_t PlanInputs::stream_of(ModelIndex model) const {
  const auto found = std::find_if(streams.begin(), streams.end(),
                                  [&](const StreamWork& one) { return !one.session->is_guest(model); });
  return static_cast<std::size_t>(found - streams.begin());
}

std::vector<bundle::StreamMethod> methods_of(const std::vector<StreamWork>& streams) {
  std::vector<bundle::StreamMethod> methods;
  for (const StreamWork& stream : streams) {
    if (!stream.method.stream.empty()) methods.push_back(stream.method);
  }
  return methods;
}

std::vector<StreamWork> open_streams(const Settings& settings, const std::vector<config::Stream>& streams,
                                     const session::Runtime& runtime, const session::SingleFrames& single,
                                     Progress& progress) {
  std::vector<StreamWork> works(streams.size());
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const session::SessionOptions options = session_options(settings, streams[i], streams.size(), single);
    works[i].session = i == 0 ? std::make_unique<session::Session>(runtime, options, progress)
                              : std::make_unique<session::Session>(*works.front().session, options, progress);
    works[i].method = {{}, "forward", works[i].session->members};
  }
  if (streams.size() == 1) return works;
  std::vector<std::string> names, identifiers;
  std::vector<std::vector<ModelIndex>> members;
  for (const config::Stream& stream : streams) names.push_back(stream.name);
  for (const session::Model& model : works.front().session->models) identifiers.push_back(model.identifier);
  for (const StreamWork& work : works) members.push_back(work.session->members);
  const std::vector<bundle::StreamMethod> methods = bundle::stream_methods(names, members, identifiers);
  for (std::size_t i = 0; i < works.size(); ++i) works[i].method = methods[i];
  return works;
}

void prepare(const Settings& settings, const planner::Judging& judging, StreamWork& stream, Stopwatch& watch,
             Progress& progress) {
  const session::Session& session = *stream.session;
  const PlanFrames sampled = split_frames(session.playlist, settings.frames, settings.holdout);
  PlanDecoding decoding(session, sampled, progress);
  stream.stores.calibration = decoding.calibration();
  watch.lap("decode");
  // Signatures come from the sampled frames alone: those of one model then serve plans with any others.
  stream.signatures = signatures_of(settings, session, stream.stores.calibration, progress);
  watch.lap("capture");
  stream.stores.holdout = decoding.holdout(progress);
  watch.lap("decode");
  EvidentFrames evident = find_evidence(session, sampled, stream.stores.calibration, stream.stores.holdout,
                                        evidence_options(settings, session, judging), progress);
  if (evident.grew(sampled)) stream.stores = decode(session, evident.frames, progress);
  stream.frames = std::move(evident.frames);
  stream.evidence = std::move(evident.evidence);
  watch.lap("evidence");
  stream.similarity = std::make_unique<similarity::ModelPairs>(stream.signatures.signatures);
  watch.lap("similarity");
}

void set_bundle_check(const Settings& settings, const std::string& bundle_path, StreamWork& stream) {
  const session::Session& session = *stream.session;
  verify::BundleCheck& check = stream.check;
  check.bundle_path = bundle_path;
  check.method = stream.method.method;
  check.models = session.checked_models();
  check.set = &session.set;
  check.frames = &stream.stores.holdout.test;
  check.perturbed = std::move(stream.stores.holdout.perturbed);
  check.playlist = &session.playlist;
  check.truth = session.truth;
  check.seed = settings.seed;
  // The loop judges on the frames of the check: where there is memory, the originals run once for both.
  if (settings.memory_limit || !session.set.models.front()->device.is_cpu()) return;
  for (verify::CheckedModel& model : check.models) {
    model.original = verify::remembered(
        verify::original_forward(*model.loaded, session.set, stream.stores.holdout.test, model.head.group));
  }
}

std::vector<similarity::Matrix> matrices_of(const std::vector<StreamWork>& streams) {
  if (streams.size() == 1) return streams.front().similarity->matrices();
  std::vector<similarity::Matrix> result;
  for (const StreamWork& stream : streams) {
    const auto runs = [&](const std::string& name) {
      return !stream.session->is_guest(session::find_model(stream.session->models, name));
    };
    for (const similarity::Matrix& matrix : stream.similarity->matrices()) {
      if (runs(matrix.row_model)) {
        result.push_back(matrix);
      } else if (runs(matrix.col_model)) {
        result.push_back(transposed(matrix));
      }
    }
  }
  return result;
}

StreamTrials::StreamTrials(const Settings& settings, const StreamWork& stream, const planner::Judging& judging,
                           Progress& progress, std::int64_t elsewhere)
    : settings_(settings),
      stream_(stream),
      progress_(progress),
      options_(candidate_options(settings, elsewhere)),
      calibration_(*stream.session, stream.stores.calibration, progress),
      selection_(*stream.session, stream.stores.holdout.selection,
                 measuring_options(settings, judging, stream.session->memory_budget.frame_values), progress),
      test_(*stream.session, stream.stores.holdout.test, test_options(settings, judging, stream), progress),
      fitter_(
          *stream.session, calibration_, fitting_options(settings),
          [this](const fit::Attachment& attachment, std::span<const graph::Splice> donor_splices) {
            return candidates::offered_auxiliary_inputs(options_, *stream_.session, *stream_.similarity, attachment,
                                                        donor_splices);
          },
          progress) {}

planner::SearchInput StreamTrials::search_input(const std::vector<double>& targets) {
  const session::Session& session = *stream_.session;
  const std::vector<Direction> directions = directions_of(settings_, session);
  const fit::Outputs outputs = calibration_.outputs_of(candidates::receivers_of(directions, session.models));
  std::vector<planner::Candidate> found;
  if (settings_.sharing != config::Sharing::kWeights) {
    found = candidates::find_candidates(
        {options_, session, *stream_.similarity, directions, calibration_.trial_frames(), outputs}, progress_);
  }
  if (settings_.sharing != config::Sharing::kRepresentations) {
    fit::WeightDifferences& differences = fitter_.weight_differences();
    const std::vector<planner::Candidate> weights = candidates::find_weight_candidates(options_, session, directions,
                                                                                       differences),
                                          combined = candidates::find_combined_candidates(options_, session, found,
                                                                                          differences);
    found.insert(found.end(), combined.begin(), combined.end());
    found.insert(found.end(), weights.begin(), weights.end());
  }
  return candidates::search_input(session, std::move(found), targets, options_.attachment);
}

}  // namespace repsim::pipeline
