#include <cmath>
#include <limits>
#include <utility>

#include "format.hpp"
#include "repsim/base/error.hpp"
#include "repsim/report.hpp"
#include "spec_json.hpp"

namespace repsim::report {
namespace {

template <typename Item>
Json list_json(const std::vector<Item>& items, Json (*item_json)(const Item&)) {
  Json list = Json::array();
  for (const Item& item : items) list.push_back(item_json(item));
  return list;
}

Json interval_json(const verify::Interval& interval) {
  return {{"low", rounded(interval.low)}, {"high", rounded(interval.high)}};
}

Json group_json(const InputGroup& group) { return {{"spec", to_json(group.spec)}, {"models", group.models}}; }

Json video_fidelity_json(const verify::VideoFidelity& video) {
  return video_json(video, rounded(video.value), video.value ? interval_json(video.interval) : Json());
}

Json fidelity_json(const Fidelity& fidelity) {
  Json json{{"value", rounded(fidelity.value)},
            {"interval", fidelity.value ? interval_json(fidelity.interval) : Json()},
            {"jpeg95", rounded(fidelity.jpeg95)},
            {"jpeg80", rounded(fidelity.jpeg80)},
            {"shift_one_pixel", rounded(fidelity.shift_one_pixel)}};
  add_figures(fidelity, json);
  json["max_abs_difference"] = rounded_significant(fidelity.max_abs_difference);
  if (!fidelity.videos.empty()) json["videos"] = list_json(fidelity.videos, video_fidelity_json);
  return json;
}

Json part_json(const PartEvidence& part) {
  return {{"frames", part.frames}, {"detections", part.detections}, {"scanned", part.scanned}};
}

Json evidence_json(const ModelEvidence& evidence) {
  return {{"wanted", evidence.wanted},
          {"accepted", evidence.accepted},
          {"calibration", evidence.calibration ? part_json(*evidence.calibration) : Json()},
          {"selection", part_json(evidence.selection)},
          {"test", part_json(evidence.test)}};
}

Json accuracy_json(const Accuracy& accuracy) {
  return {{"own", rounded(accuracy.own)},
          {"merged", rounded(accuracy.merged)},
          {"own_interval", accuracy.own ? interval_json(accuracy.own_interval) : Json()},
          {"merged_interval", accuracy.merged ? interval_json(accuracy.merged_interval) : Json()},
          {"frames", accuracy.frames},
          {"truth_boxes", accuracy.truth_boxes}};
}

Json model_json(const ModelEntry& entry) {
  Json json{{"name", entry.name},
            {"path", entry.path},
            {"sha256", entry.sha256},
            {"input", to_json(entry.input)},
            {"input_source", entry.input_source},
            {"output", to_json(entry.output)},
            {"format_reason", entry.format_reason},
            {"run_method", entry.run_method},
            {"transparent", entry.rewritable},
            {"opaque_reason", entry.opaque_reason},
            {"layers", entry.layers},
            {"parameters", entry.parameters},
            {"bytes", entry.bytes},
            {"flops", entry.flops},
            {"fidelity", fidelity_json(entry.fidelity)},
            {"evidence", entry.evidence ? evidence_json(*entry.evidence) : Json()},
            {"accuracy", entry.accuracy ? accuracy_json(*entry.accuracy) : Json()}};
  if (entry.unused_bytes > 0) json["unused_bytes"] = entry.unused_bytes;
  if (entry.frame_by_frame) json["frame_by_frame"] = true;
  if (!entry.stream.empty()) json["stream"] = entry.stream;
  return json;
}

Json exact_json(const ExactSharing& exact) {
  return {{"parameters_deduplicated", exact.parameters_deduplicated},
          {"bytes_saved", exact.bytes_saved},
          {"ops_computed_once", exact.ops_computed_once},
          {"flops_saved", exact.flops_saved}};
}

Json replaced_json(const Replaced& replaced) {
  return {{"receiver_layer", replaced.receiver_layer},
          {"donor", replaced.donor},
          {"donor_layer", replaced.donor_layer},
          {"similarity", rounded_or_null(replaced.similarity)},
          {"adapter", replaced.adapter},
          {"refit", replaced.refit},
          {"correction_rank", replaced.correction_rank},
          {"residual", rounded(replaced.residual)}};
}

Json side_input_json(const AuxiliaryInput& side) { return {{"donor", side.donor}, {"donor_layer", side.donor_layer}}; }

Json weight_json(const SharedWeight& weight) {
  return {{"layer", weight.layer},
          {"donor", weight.donor},
          {"donor_layer", weight.donor_layer},
          {"rank", weight.rank},
          {"output_variance", rounded(weight.output_variance)}};
}

Json share_json(const Share& share) {
  Json json{{"receiver", share.receiver},
            {"donor", share.donor},
            {"donors", share.donors},
            {"replaced", list_json(share.replaced, replaced_json)}};
  if (!share.weights.empty()) json["weights"] = list_json(share.weights, weight_json);
  json["side_inputs"] = list_json(share.auxiliary_inputs, side_input_json);
  json["removed_layers"] = share.removed_layers;
  json["bytes_removed"] = share.bytes_removed;
  json["bytes_added"] = share.bytes_added;
  json["flops_removed"] = share.flops_removed;
  json["flops_added"] = share.flops_added;
  json["predicted_fidelity"] = rounded(share.predicted_fidelity);
  json["measured_fidelity"] = rounded(share.measured_fidelity);
  if (!share.guests.empty()) json["guests"] = share.guests;
  return json;
}

Json candidate_json(const Candidate& candidate) {
  Json json{{"receiver", candidate.receiver},
            {"donor", candidate.donor},
            {"receiver_layers", candidate.receiver_layers},
            {"layer_donors", candidate.layer_donors},
            {"donor_layers", candidate.donor_layers}};
  if (candidate.weights) {
    json["weights"] = {{"layers", candidate.weights->layers},
                       {"ranks", candidate.weights->ranks},
                       {"output_variance", rounded(candidate.weights->output_variance)}};
  }
  json["similarity"] = rounded_or_null(candidate.similarity);
  json["bytes_saved"] = candidate.bytes_saved;
  json["flops_saved"] = candidate.flops_saved;
  if (candidate.latency_saved_ns)
    json["latency_saved_ms"] = static_cast<double>(*candidate.latency_saved_ns) / kNanosecondsPerMillisecond;
  if (candidate.memory_saved) json["memory_saved"] = *candidate.memory_saved;
  if (candidate.r2) json["r2"] = rounded(*candidate.r2);
  json["predicted_fidelity"] = rounded(candidate.predicted_fidelity);
  json["predicted_interval"] = candidate.predicted_interval ? interval_json(*candidate.predicted_interval) : Json();
  json["measured_fidelity"] = candidate.measured_fidelity ? Json(rounded(*candidate.measured_fidelity)) : Json();
  json["chosen"] = candidate.chosen;
  json["reason"] = candidate.reason;
  return json;
}

Json totals_json(const Totals& totals) {
  Json json{{"parameters", totals.parameters},
            {"bytes", totals.bytes},
            {"flops", totals.flops},
            {"peak_activation_bytes", totals.peak_activation_bytes}};
  if (totals.latency_estimate_ns)
    json["latency_estimate_ms"] = static_cast<double>(*totals.latency_estimate_ns) / kNanosecondsPerMillisecond;
  return json;
}

Json totals_json(const Plan& plan) {
  Json json{{"before", totals_json(plan.before)}};
  if (plan.deduplicated) json["deduplicated"] = totals_json(*plan.deduplicated);
  json["after"] = totals_json(plan.after);
  return json;
}

Json cost_json(const FrameCost& cost) {
  return {{"flops", cost.flops},
          {"peak_activation_bytes", cost.peak_activation_bytes},
          {"latency_estimate_ms", static_cast<double>(cost.latency_estimate_ns) / kNanosecondsPerMillisecond}};
}

/// Adds `video`, `videos` and `frames`.
void add_videos(const PlanVideos& videos, Json& json) {
  json["video"] = {{"path", videos.video_path}, {"sha256", videos.video_sha256}, {"frame_count", videos.video_frames}};
  if (!videos.videos.empty()) json["videos"] = to_json(videos.videos, frames_of(videos));
  json["frames"] = {{"calibration", videos.calibration_frames},
                    {"selection", videos.selection_frames},
                    {"holdout", videos.holdout_frames}};
}

Json stream_json(const PlanStream& stream) {
  Json json{{"name", stream.name}, {"run_method", stream.run_method}, {"models", stream.models}};
  add_videos(stream, json);
  json["frame_cost"] = {{"before", cost_json(stream.before)}, {"after", cost_json(stream.after)}};
  return json;
}

}  // namespace

std::vector<NamedFrames> frames_of(const PlanVideos& videos) {
  return {{"calibration", videos.calibration_frames},
          {"selection", videos.selection_frames},
          {"holdout", videos.holdout_frames}};
}

std::vector<PlanStream> streams_of(const Plan& plan) {
  if (!plan.streams.empty()) return plan.streams;
  PlanStream only{static_cast<const PlanVideos&>(plan), {}, "forward", {}, {}, {}};
  for (const ModelEntry& model : plan.models) only.models.push_back(model.name);
  return {only};
}

Json to_json(const Plan& plan) {
  Json json;
  json["schema_version"] = kPlanSchemaVersion;
  json["tool"] = {{"name", "repsim"}, {"version", plan.tool_version}};
  if (!plan.torch_version.empty()) json["tool"]["torch"] = plan.torch_version;
  json["settings_sha256"] = plan.settings_sha256;
  json["settings"] = plan.settings;
  if (plan.streams.empty()) {
    add_videos(plan, json);
  } else {
    json["streams"] = list_json(plan.streams, stream_json);
  }
  json["frames"]["judgements"] = plan.judgements;
  json["inputs"] = list_json(plan.inputs, group_json);
  json["models"] = list_json(plan.models, model_json);
  json["exact_sharing"] = exact_json(plan.exact);
  json["shares"] = list_json(plan.shares, share_json);
  json["totals"] = totals_json(plan);
  json["bundle"] = {{"bytes", plan.bundle_bytes}, {"sha256", plan.bundle_sha256}};
  json["candidates"] = list_json(plan.candidates, candidate_json);
  return json;
}

}  // namespace repsim::report
