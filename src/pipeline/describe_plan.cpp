#include "describe_plan.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "repsim/base/hash.hpp"
#include "settings_json.hpp"

namespace repsim::pipeline {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

std::vector<c10::IValue> example_images(const Workspace& work, const std::vector<int>& groups) {
  std::vector<c10::IValue> images;
  for (const int group : groups) {
    const model::InputSpec& spec = work.set.specs[at(group)];
    images.push_back(model::make_input(spec, model::example_frames(spec, 1)));
  }
  return images;
}

/// Adds up what the joint graph of the transparent models computes; opaque models count as they are.
graph::Program joint_program(const Workspace& work, const std::vector<graph::Splice>& splices) {
  std::vector<int> wanted;
  for (std::size_t i = 0; i < work.prepared.size(); ++i) {
    if (work.prepared[i].transparent) wanted.push_back(static_cast<int>(i));
  }
  if (wanted.empty()) return {};
  const graph::Assembly assembly = graph::assemble(work.set.models, work.set.groups, splices, wanted);
  return graph::describe_joint(assembly, example_images(work, assembly.input_groups));
}

/// Constant matrices of the shares before this one; the bundle holds equal ones once.
struct HeldMatrices {
  std::set<graph::Axis> rows, columns;
};

/// Bytes of the joint's matrices that are held already; its others are from now on.
std::int64_t bytes_held_already(const fit::Joint& joint, HeldMatrices& held) {
  std::int64_t bytes = 0;
  for (const graph::Axis& axis : joint.rows) bytes += held.rows.insert(axis).second ? 0 : fit::matrix_bytes(axis);
  for (const graph::Axis& axis : joint.columns) bytes += held.columns.insert(axis).second ? 0 : fit::matrix_bytes(axis);
  return bytes;
}

report::Share share_of(const Workspace& work, const Accepted& accepted,
                       const std::vector<similarity::Signatures>& signatures, HeldMatrices& matrices) {
  const graph::Program& receiver = work.prepared[at(accepted.candidate.receiver)].program;
  std::map<int, similarity::Matrix> matrix_of;
  for (const int donor : planner::donors_of(accepted.candidate))
    matrix_of[donor] = similarity::cka(signatures[at(accepted.candidate.receiver)], signatures[at(donor)]);
  report::Share share;
  share.receiver = work.prepared[at(accepted.candidate.receiver)].name;
  const DonorNames donors = donor_names(work, accepted.candidate);
  share.donor = donors.most;
  share.donors = donors.all;
  for (std::size_t i = 0; i < accepted.candidate.receiver_layers.size(); ++i) {
    const int from = accepted.candidate.donor_layers[i], to = accepted.candidate.receiver_layers[i];
    const graph::Prepared& donor = work.prepared[at(accepted.candidate.donors[i])];
    report::Replaced replaced;
    replaced.receiver_layer = receiver.layers[at(to)].name;
    replaced.donor = donor.name;
    replaced.donor_layer = donor.program.layers[at(from)].name;
    replaced.similarity = matrix_of.at(accepted.candidate.donors[i]).at(at(to), at(from));
    replaced.adapter = adapter_word(accepted.joint, i);
    replaced.refit = !accepted.joint.refit_nodes.empty();
    replaced.correction_rank = accepted.joint.rank;
    replaced.residual = accepted.fitted.residuals[i];
    share.replaced.push_back(std::move(replaced));
  }
  for (const fit::Side& side : accepted.joint.sides) {
    const graph::Prepared& donor = work.prepared[at(side.donor)];
    share.side_inputs.push_back({donor.name, donor.program.layers[at(side.donor_layer)].name});
  }
  const graph::Removal removal = graph::removed_by(receiver, accepted.candidate.receiver_layers);
  for (const int layer : removal.layers) share.removed_layers.push_back(receiver.layers[at(layer)].name);
  share.bytes_removed = removal.bytes + accepted.joint.bytes_taken_in;
  share.bytes_added = accepted.joint.bytes_added - bytes_held_already(accepted.joint, matrices);
  share.flops_removed = removal.flops + accepted.joint.flops_taken_in;
  share.flops_added = accepted.joint.flops_added;
  share.predicted_fidelity = accepted.candidate.predicted_fidelity;
  return share;
}

report::Totals totals_of(const bundle::Written& written, const graph::Program& joint) {
  return {written.elements, written.parameter_bytes, graph::total_flops(joint), graph::peak_activation_bytes(joint),
          graph::total_latency_ns(joint)};
}

report::Candidate candidate_of(const Workspace& work, const planner::Candidate& candidate) {
  report::Candidate result;
  const graph::Prepared& receiver = work.prepared[at(candidate.receiver)];
  result.receiver = receiver.name;
  result.donor = donor_names(work, candidate).most;
  for (const int layer : candidate.receiver_layers)
    result.receiver_layers.push_back(receiver.program.layers[at(layer)].name);
  for (std::size_t i = 0; i < candidate.donors.size(); ++i) {
    const graph::Prepared& donor = work.prepared[at(candidate.donors[i])];
    result.layer_donors.push_back(donor.name);
    result.donor_layers.push_back(donor.program.layers[at(candidate.donor_layers[i])].name);
  }
  result.similarity = candidate.similarity;
  result.bytes_saved = candidate.bytes_saved;
  result.flops_saved = candidate.flops_saved;
  result.latency_saved_ns = candidate.latency_saved_ns;
  result.memory_saved = candidate.memory_saved;
  result.r2 = candidate.r2;
  result.predicted_fidelity = candidate.predicted_fidelity;
  if (candidate.predicted_interval)
    result.predicted_interval = {candidate.predicted_interval->first, candidate.predicted_interval->second};
  result.measured_fidelity = candidate.measured_fidelity;
  result.chosen = candidate.chosen;
  result.reason = candidate.reason;
  return result;
}

}  // namespace

DonorNames donor_names(const Workspace& work, const planner::Candidate& candidate) {
  DonorNames result;
  std::ptrdiff_t most = 0;
  for (const int donor : planner::donors_of(candidate)) {
    const std::string& name = work.prepared[at(donor)].name;
    const auto given = std::count(candidate.donors.begin(), candidate.donors.end(), donor);
    if (given > most) result.most = name;
    most = std::max(most, given);
    result.all.push_back(name);
  }
  return result;
}

std::string adapter_word(const fit::Joint& joint, std::size_t tap) {
  const std::string map = joint.resample[tap] ? "resample" : joint.resize[tap] ? "resize" : "";
  if (!joint.linear[tap]) return map.empty() ? "none" : map;
  return map.empty() ? "linear" : map + "+linear";
}

report::Plan describe_plan(const Settings& settings, const Workspace& work, const video::VideoInfo& video,
                           const video::Sampling& sampling, const Judging& judging, const Found& found,
                           const bundle::Written& written, const bundle::Written& deduplicated,
                           const std::vector<similarity::Signatures>& signatures) {
  report::Plan plan;
  plan.tool_version = REPSIM_VERSION;
  plan.settings = settings_to_json(settings);
  plan.settings_sha256 = sha256(repsim::to_text(plan.settings));
  plan.video_path = settings.video;
  plan.video_sha256 = video.sha256;
  plan.video_frames = video.frame_count;
  plan.calibration_frames = sampling.calibration;
  plan.selection_frames = judging.selection;
  plan.holdout_frames = judging.holdout;
  for (const model::InputSpec& spec : work.set.specs) plan.inputs.push_back({spec, {}});
  std::int64_t latency_ns = 0;
  const graph::Program merged = joint_program(work, splices_of(found.shares)), exact = joint_program(work, {});
  for (std::size_t i = 0; i < work.loaded.size(); ++i) {
    const graph::Prepared& prepared = work.prepared[i];
    report::ModelEntry entry;
    entry.name = prepared.name;
    entry.path = work.loaded[i].spec.path;
    entry.sha256 = work.loaded[i].sha256;
    entry.input = *work.loaded[i].spec.input;
    entry.input_source = work.loaded[i].input_source;
    entry.output = work.outputs[i].spec;
    entry.format_reason = work.outputs[i].reason;
    entry.run_method = "run_" + work.identifiers[i];
    entry.transparent = prepared.transparent;
    entry.opaque_reason = prepared.opaque_reason;
    entry.layers = static_cast<std::int64_t>(prepared.program.layers.size());
    entry.parameters = prepared.model_elements;
    entry.bytes = prepared.model_bytes;
    entry.flops = graph::total_flops(prepared.program);
    plan.inputs[at(work.set.groups[i])].models.push_back(entry.name);
    plan.before.parameters += entry.parameters;
    plan.before.bytes += entry.bytes;
    plan.before.flops += entry.flops;
    latency_ns += graph::total_latency_ns(prepared.program);
    plan.before.peak_activation_bytes =
        std::max(plan.before.peak_activation_bytes, graph::peak_activation_bytes(prepared.program));
    plan.models.push_back(std::move(entry));
  }
  plan.before.latency_estimate_ns = latency_ns;
  plan.after = totals_of(written, merged);
  plan.deduplicated = totals_of(deduplicated, exact);
  plan.exact.parameters_deduplicated = written.deduplicated;
  plan.exact.bytes_saved = written.bytes_deduplicated;
  plan.exact.flops_saved = plan.before.flops - graph::total_flops(exact);
  const auto weighted = [](const graph::Program& program) {
    return std::count_if(program.ops.begin(), program.ops.end(),
                         [](const graph::Op& op) { return !op.parameters.empty(); });
  };
  for (const graph::Prepared& prepared : work.prepared) plan.exact.ops_computed_once += weighted(prepared.program);
  plan.exact.ops_computed_once -= weighted(exact);
  HeldMatrices matrices;
  for (const Accepted& share : found.shares) plan.shares.push_back(share_of(work, share, signatures, matrices));
  for (const planner::Candidate& candidate : found.candidates) plan.candidates.push_back(candidate_of(work, candidate));
  return plan;
}

}  // namespace repsim::pipeline
