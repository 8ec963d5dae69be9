#include "describe_plan.hpp"

#include <algorithm>
#include <set>

#include "listed_videos.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/version.hpp"
#include "repsim/candidates.hpp"
#include "repsim/reason_text.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::pipeline {
namespace {

std::vector<c10::IValue> example_images(const session::Session& session, const std::vector<int>& groups) {
  std::vector<c10::IValue> images;
  for (const int group : groups) {
    const model::InputSpec& spec = session.set.specs[group];
    images.push_back(model::make_input(spec, model::example_frames(spec, 1)));
  }
  return images;
}

/// What the merged graph of the stream's rewritable models computes on one frame, guests included.
graph::Program merged_program_of(const session::Session& session, const std::vector<graph::Splice>& splices) {
  std::vector<ModelIndex> wanted;
  for (const ModelIndex model : session.members) {
    if (session.models[model].prepared.rewritable) wanted.push_back(model);
  }
  if (wanted.empty()) return {};
  const graph::Assembly assembly = graph::assemble(session.set.models, session.set.groups, splices, wanted);
  return graph::describe_merged(assembly, example_images(session, assembly.input_groups));
}

/// Constant matrices of the shares before this one; the bundle holds equal ones once.
struct HeldMatrices {
  std::set<graph::ResampledAxis> vertical, horizontal;
};

/// Bytes of the attachment's matrices that are held already; its others are from now on.
std::int64_t bytes_held_already(const fit::Attachment& attachment, HeldMatrices& held) {
  std::int64_t bytes = 0;
  for (const graph::ResampledAxis& axis : attachment.vertical)
    bytes += held.vertical.insert(axis).second ? 0 : fit::matrix_bytes(axis);
  for (const graph::ResampledAxis& axis : attachment.horizontal)
    bytes += held.horizontal.insert(axis).second ? 0 : fit::matrix_bytes(axis);
  return bytes;
}

void add_weights(const session::Session& session, const trial::FittedShare& fitted, report::Share& share) {
  const graph::Cut& cut = fitted.attachment.cut;
  const graph::Program& receiver = session.models[cut.receiver].prepared.program;
  for (std::size_t i = 0; i < cut.weights.size(); ++i) {
    const graph::SharedWeight& weight = cut.weights[i];
    const graph::Prepared& donor = session.models[weight.donor].prepared;
    share.weights.push_back({graph::layer_of_weight(receiver.parameters[weight.parameter]), donor.name,
                             graph::layer_of_weight(donor.program.parameters[weight.donor_parameter]), weight.rank,
                             fitted.fitted.output_variances[i]});
  }
}

/// @param session  of the receiver's stream @param splices  of all shares
report::Share share_of(const session::Session& session, const trial::FittedShare& fitted,
                       const similarity::ModelPairs& similarity, std::span<const graph::Splice> splices,
                       HeldMatrices& matrices) {
  const graph::Program& receiver = session.models[fitted.attachment.cut.receiver].prepared.program;
  report::Share share;
  share.receiver = session.models[fitted.attachment.cut.receiver].prepared.name;
  const candidates::DonorNames donors = candidates::donor_names(session, fitted.attachment.cut);
  share.donor = donors.most;
  share.donors = donors.all;
  const std::vector<graph::Replacement>& replacements = fitted.attachment.cut.replacements;
  for (std::size_t i = 0; i < replacements.size(); ++i) {
    const LayerIndex from = replacements[i].donor_layer, to = replacements[i].receiver_layer;
    const graph::Prepared& donor = session.models[replacements[i].donor].prepared;
    report::Replaced replaced;
    replaced.receiver_layer = receiver.layers[to].name;
    replaced.donor = donor.name;
    replaced.donor_layer = donor.program.layers[from].name;
    replaced.similarity = similarity.between(fitted.attachment.cut.receiver, replacements[i].donor).at(to, from);
    replaced.adapter = fit::adapter_word(fitted.attachment, i);
    replaced.refit = fitted.attachment.is_refit();
    replaced.correction_rank = fitted.attachment.rank;
    replaced.residual = fitted.fitted.residuals[i];
    share.replaced.push_back(std::move(replaced));
  }
  add_weights(session, fitted, share);
  for (const fit::DonorLayer& auxiliary : fitted.attachment.auxiliary_inputs) {
    const graph::Prepared& donor = session.models[auxiliary.donor].prepared;
    share.auxiliary_inputs.push_back({donor.name, donor.program.layers[auxiliary.donor_layer].name});
  }
  const graph::Removal removal = graph::removed_by(receiver, fitted.attachment.cut.receiver_layers());
  for (const LayerIndex layer : removal.layers) share.removed_layers.push_back(receiver.layers[layer].name);
  share.bytes_removed = removal.bytes + fitted.attachment.bytes_folded + fitted.attachment.bytes_taken;
  share.bytes_added = fitted.attachment.bytes_added - bytes_held_already(fitted.attachment, matrices);
  share.flops_removed = removal.flops + fitted.attachment.flops_folded;
  share.flops_added = fitted.attachment.flops_added + candidates::guest_flops(session, fitted.attachment.cut);
  for (const ModelIndex guest : candidates::guests_of(session, fitted.attachment.cut, splices))
    share.guests.push_back(session.models[guest].name());
  share.predicted_fidelity = fitted.candidate.predicted_fidelity;
  return share;
}

report::FrameCost frame_cost(const graph::Program& program) {
  return {graph::total_flops(program), graph::peak_activation_bytes(program), graph::total_latency_ns(program)};
}

/// Adds what runs after the others.
void add_cost(const report::FrameCost& more, report::FrameCost& sum) {
  sum.flops += more.flops;
  sum.peak_activation_bytes = std::max(sum.peak_activation_bytes, more.peak_activation_bytes);
  sum.latency_estimate_ns += more.latency_estimate_ns;
}

report::Totals totals_of(const bundle::Written& written, const report::FrameCost& frame) {
  return {written.elements, written.parameter_bytes, frame.flops, frame.peak_activation_bytes,
          frame.latency_estimate_ns};
}

report::Candidate candidate_of(const session::Session& session, const planner::CandidateRecord& record,
                               std::span<const std::string> model_names) {
  const planner::Candidate& candidate = record.candidate;
  report::Candidate result;
  const graph::Prepared& receiver = session.models[candidate.cut.receiver].prepared;
  result.receiver = receiver.name;
  result.donor = candidates::donor_names(session, candidate.cut).most;
  for (const graph::Replacement& one : candidate.cut.replacements) {
    const graph::Prepared& donor = session.models[one.donor].prepared;
    result.receiver_layers.push_back(receiver.program.layers[one.receiver_layer].name);
    result.layer_donors.push_back(donor.name);
    result.donor_layers.push_back(donor.program.layers[one.donor_layer].name);
  }
  if (!candidate.cut.weights.empty()) {
    report::Candidate::Weights weights;
    weights.layers = static_cast<std::int64_t>(candidate.cut.weights.size());
    for (const graph::SharedWeight& weight : candidate.cut.weights) weights.ranks += weight.rank;
    weights.output_variance = candidate.output_variance;
    result.weights = weights;
  }
  result.similarity = candidate.similarity;
  result.bytes_saved = candidate.savings.bytes;
  result.flops_saved = candidate.savings.flops;
  result.latency_saved_ns = candidate.savings.latency_ns;
  result.memory_saved = candidate.savings.memory;
  result.r2 = candidate.r2;
  result.predicted_fidelity = candidate.predicted_fidelity;
  if (candidate.predicted_interval)
    result.predicted_interval = {candidate.predicted_interval->low, candidate.predicted_interval->high};
  result.measured_fidelity = record.measured_fidelity;
  result.chosen = record.chosen();
  result.reason = report::reason_text(record, model_names);
  return result;
}

report::ModelEntry model_entry(const session::Model& model) {
  const graph::Prepared& prepared = model.prepared;
  report::ModelEntry entry;
  entry.name = prepared.name;
  entry.path = model.loaded.spec.path;
  entry.sha256 = model.loaded.sha256;
  entry.input = *model.loaded.spec.input;
  entry.input_source = model.loaded.input_source;
  entry.output = model.output.spec;
  entry.format_reason = model.output.reason;
  entry.run_method = "run_" + model.identifier;
  entry.rewritable = prepared.rewritable;
  entry.opaque_reason = prepared.opaque_reason;
  entry.frame_by_frame = model.loaded.frame_by_frame;
  entry.layers = static_cast<std::int64_t>(prepared.program.layers.size());
  entry.parameters = prepared.model_elements;
  entry.bytes = prepared.model_bytes;
  if (prepared.rewritable) entry.unused_bytes = prepared.program.unused_parameter_bytes;
  entry.flops = graph::total_flops(prepared.program);
  return entry;
}

/// The models, their inputs, and what all of them take as they are.
void add_models(const session::Session& session, const std::vector<verify::Verdict>& verdicts, report::Plan& plan) {
  for (const model::InputSpec& spec : session.set.specs) plan.inputs.push_back({spec, {}});
  std::int64_t latency_ns = 0;
  for (std::size_t i = 0; i < session.models.size(); ++i) {
    const session::Model& model = session.models[i];
    report::ModelEntry entry = model_entry(model);
    entry.fidelity = verdicts[i].fidelity;
    entry.accuracy = verdicts[i].accuracy;
    plan.inputs[model.group].models.push_back(entry.name);
    plan.before.parameters += entry.parameters;
    plan.before.bytes += entry.bytes;
    plan.before.flops += entry.flops;
    latency_ns += graph::total_latency_ns(model.prepared.program);
    plan.before.peak_activation_bytes =
        std::max(plan.before.peak_activation_bytes, graph::peak_activation_bytes(model.prepared.program));
    plan.models.push_back(std::move(entry));
  }
  plan.before.latency_estimate_ns = latency_ns;
}

std::ptrdiff_t weighted_ops(const graph::Program& program) {
  return std::count_if(program.ops.begin(), program.ops.end(),
                       [](const graph::Op& op) { return !op.parameters.empty(); });
}

/// What the bundle takes with and without shares. @param plan  its models and streams are there
void add_totals(const PlanInputs& inputs, const PlannedBundle& planned, const bundle::Written& deduplicated,
                report::Plan& plan) {
  report::FrameCost after, deduplicated_cost;
  for (const session::Model& model : inputs.session().models)
    plan.exact.ops_computed_once += weighted_ops(model.prepared.program);
  const std::vector<graph::Splice> splices = trial::splices_of(planned.shares);
  for (std::size_t i = 0; i < inputs.streams.size(); ++i) {
    const session::Session& session = *inputs.streams[i].session;
    const graph::Program exact = merged_program_of(session, {});
    const report::FrameCost merged = frame_cost(merged_program_of(session, splices));
    add_cost(merged, after);
    add_cost(frame_cost(exact), deduplicated_cost);
    plan.exact.ops_computed_once -= weighted_ops(exact);
    if (inputs.has_several()) plan.streams[i].after = merged;
  }
  plan.after = totals_of(planned.written, after);
  plan.deduplicated = totals_of(deduplicated, deduplicated_cost);
  plan.exact.parameters_deduplicated = planned.written.deduplicated;
  plan.exact.bytes_saved = planned.written.bytes_deduplicated;
  plan.exact.flops_saved = plan.before.flops - plan.deduplicated->flops;
}

/// Videos and frames of a stream.
void add_videos(const StreamWork& stream, report::PlanVideos& out) {
  const video::Playlist& playlist = stream.session->playlist;
  out.video_path = playlist.path();
  out.video_sha256 = playlist.sha256();
  out.video_frames = playlist.frame_count();
  out.videos = listed_videos(playlist);
  out.calibration_frames = stream.frames.calibration;
  out.selection_frames = stream.frames.selection;
  out.holdout_frames = stream.frames.test;
}

/// The streams, where there are several. @param plan  its models are there
void add_streams(const PlanInputs& inputs, report::Plan& plan) {
  if (!inputs.has_several()) return add_videos(inputs.streams.front(), plan);
  for (const StreamWork& stream : inputs.streams) {
    report::PlanStream& one = plan.streams.emplace_back();
    add_videos(stream, one);
    one.name = stream.method.stream;
    one.run_method = stream.method.method;
    for (const ModelIndex model : stream.session->members) {
      plan.models[model].stream = one.name;
      one.models.push_back(plan.models[model].name);
      add_cost(frame_cost(stream.session->models[model].prepared.program), one.before);
    }
  }
}

}  // namespace

report::Plan describe_plan(const Settings& settings, const PlanInputs& inputs, const PlannedBundle& planned,
                           const bundle::Written& deduplicated) {
  const session::Session& session = inputs.session();
  report::Plan plan;
  plan.tool_version = tool_version();
  plan.torch_version = session::torch_version();
  plan.settings = config::settings_to_json(settings);
  plan.settings_sha256 = sha256(repsim::to_text(plan.settings));
  add_models(session, planned.verdicts, plan);
  add_streams(inputs, plan);
  for (std::size_t i = 0; i < plan.models.size(); ++i) {
    const auto model = static_cast<ModelIndex>(i);
    plan.models[i].evidence = inputs.of(model).evidence[i];
  }
  add_totals(inputs, planned, deduplicated, plan);
  const std::vector<graph::Splice> splices = trial::splices_of(planned.shares);
  HeldMatrices matrices;
  for (const trial::FittedShare& share : planned.shares) {
    const StreamWork& stream = inputs.of(share.attachment.cut.receiver);
    plan.shares.push_back(share_of(*stream.session, share, *stream.similarity, splices, matrices));
    plan.shares.back().measured_fidelity = planned.verdicts[share.attachment.cut.receiver].fidelity.value;
  }
  std::vector<std::string> model_names;
  for (const session::Model& model : session.models) model_names.push_back(model.name());
  for (const planner::CandidateRecord& record : planned.records)
    plan.candidates.push_back(candidate_of(session, record, model_names));
  plan.judgements = planned.judgements;
  plan.bundle_bytes = planned.bytes;
  plan.bundle_sha256 = planned.sha256;
  return plan;
}

}  // namespace repsim::pipeline
