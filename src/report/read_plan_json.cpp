#include <cmath>
#include <limits>
#include <utility>

#include "format.hpp"
#include "read_plan_parts.hpp"
#include "repsim/base/error.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

// Each reader is the inverse of a function in plan_json.cpp: read_share of share_json, and so on.

void read_number_or_null(JsonReader& reader, const std::string& key, double& out) {
  if (required_child(reader, key).is_null()) {
    out = std::numeric_limits<double>::quiet_NaN();
  } else {
    reader.required(key, out);
  }
}

verify::Interval read_interval(JsonReader reader) {
  verify::Interval interval;
  reader.required("low", interval.low);
  reader.required("high", interval.high);
  reader.finish();
  return interval;
}

InputGroup read_group(JsonReader reader) {
  InputGroup group;
  read_spec(child_reader(reader, "spec"), group.spec);
  reader.optional(required(reader, "models"), group.models);
  reader.finish();
  return group;
}

/// A number or null.
void read_optional(JsonReader& reader, const std::string& key, std::optional<double>& out) {
  double value = 0;
  read_number_or_null(reader, key, value);
  if (!std::isnan(value)) out = value;
}

verify::DifferingFrame read_worst_frame(JsonReader reader) {
  verify::DifferingFrame frame;
  read_size(reader, "frame", frame.frame);
  read_size(reader, "missed", frame.missed);
  read_size(reader, "false_alarms", frame.false_alarms);
  if (reader.has("video")) {  // where there are several
    reader.required("video", frame.video);
    read_size(reader, "video_frame", frame.video_frame);
  }
  reader.finish();
  return frame;
}

verify::VideoFidelity read_video_fidelity(JsonReader reader) {
  verify::VideoFidelity video;
  reader.required("video", video.video);
  read_optional(reader, "value", video.value);
  if (!required_child(reader, "interval").is_null()) video.interval = read_interval(child_reader(reader, "interval"));
  read_size(reader, "frames", video.frames);
  read_size(reader, "own_detections", video.own_detections);
  if (!required_child(reader, "kept").is_null()) read_size(reader, "kept", video.kept.emplace());
  read_size(reader, "false_alarms", video.false_alarms);
  reader.finish();
  return video;
}

PartEvidence read_part(JsonReader reader) {
  PartEvidence part;
  read_size(reader, "frames", part.frames);
  read_size(reader, "detections", part.detections);
  read_size(reader, "scanned", part.scanned);
  reader.finish();
  return part;
}

ModelEvidence read_evidence(JsonReader reader) {
  ModelEvidence evidence;
  read_size(reader, "wanted", evidence.wanted);
  reader.optional(required(reader, "accepted"), evidence.accepted);
  if (!required_child(reader, "calibration").is_null())
    evidence.calibration = read_part(child_reader(reader, "calibration"));
  evidence.selection = read_part(child_reader(reader, "selection"));
  evidence.test = read_part(child_reader(reader, "test"));
  reader.finish();
  return evidence;
}

Fidelity read_fidelity(JsonReader reader) {
  Fidelity fidelity;
  read_optional(reader, "value", fidelity.value);
  if (!required_child(reader, "interval").is_null())
    fidelity.interval = read_interval(child_reader(reader, "interval"));
  read_optional(reader, "jpeg95", fidelity.jpeg95);
  read_optional(reader, "jpeg80", fidelity.jpeg80);
  read_optional(reader, "shift_one_pixel", fidelity.shift_one_pixel);
  read_size(reader, "frames", fidelity.frames);
  read_size(reader, "own_detections", fidelity.own_detections);
  // Plans of earlier versions do not say these.
  if (reader.has("kept") && !required_child(reader, "kept").is_null())
    read_size(reader, "kept", fidelity.kept.emplace());
  if (reader.has("false_alarms")) read_size(reader, "false_alarms", fidelity.false_alarms);
  if (reader.has("boxes_without_area")) read_size(reader, "boxes_without_area", fidelity.boxes_without_area);
  if (reader.has("worst_frames")) read_list(reader, "worst_frames", fidelity.worst_frames, read_worst_frame);
  if (reader.has("videos")) read_list(reader, "videos", fidelity.videos, read_video_fidelity);
  reader.optional(required(reader, "bit_identical"), fidelity.bit_identical);
  reader.required("max_abs_difference", fidelity.max_abs_difference);
  reader.finish();
  return fidelity;
}

Accuracy read_accuracy(JsonReader reader) {
  Accuracy accuracy;
  read_optional(reader, "own", accuracy.own);
  read_optional(reader, "merged", accuracy.merged);
  if (!required_child(reader, "own_interval").is_null())
    accuracy.own_interval = read_interval(child_reader(reader, "own_interval"));
  if (!required_child(reader, "merged_interval").is_null())
    accuracy.merged_interval = read_interval(child_reader(reader, "merged_interval"));
  read_size(reader, "frames", accuracy.frames);
  read_size(reader, "truth_boxes", accuracy.truth_boxes);
  reader.finish();
  return accuracy;
}

ModelEntry read_model(JsonReader reader) {
  ModelEntry entry;
  reader.required("name", entry.name);
  reader.required("path", entry.path);
  reader.required("sha256", entry.sha256);
  read_spec(child_reader(reader, "input"), entry.input);
  reader.required("input_source", entry.input_source);
  if (entry.input_source != "flags" && entry.input_source != "config" && !entry.input_source.starts_with("archive")) {
    reader.fail("input_source", "'" + entry.input_source + "' is neither flags nor config nor archive: RECORD");
  }
  read_spec(child_reader(reader, "output"), entry.output);
  reader.required("format_reason", entry.format_reason);
  reader.required("run_method", entry.run_method);
  reader.optional("stream", entry.stream);
  reader.optional(required(reader, "transparent"), entry.rewritable);
  reader.required("opaque_reason", entry.opaque_reason);
  reader.optional("frame_by_frame", entry.frame_by_frame);
  if (reader.has("unused_bytes")) read_size(reader, "unused_bytes", entry.unused_bytes);
  read_size(reader, "layers", entry.layers);
  read_size(reader, "parameters", entry.parameters);
  read_size(reader, "bytes", entry.bytes);
  read_size(reader, "flops", entry.flops);
  entry.fidelity = read_fidelity(child_reader(reader, "fidelity"));
  entry.fidelity.is_raw = entry.output.format == model::OutputFormat::kTensor;
  if (reader.has("evidence") && !required_child(reader, "evidence").is_null())
    entry.evidence = read_evidence(child_reader(reader, "evidence"));
  if (!required_child(reader, "accuracy").is_null()) entry.accuracy = read_accuracy(child_reader(reader, "accuracy"));
  reader.finish();
  return entry;
}

ExactSharing read_exact(JsonReader reader) {
  ExactSharing exact;
  read_size(reader, "parameters_deduplicated", exact.parameters_deduplicated);
  read_size(reader, "bytes_saved", exact.bytes_saved);
  read_size(reader, "ops_computed_once", exact.ops_computed_once);
  read_size(reader, "flops_saved", exact.flops_saved);
  reader.finish();
  return exact;
}

Replaced read_replaced(JsonReader reader) {
  Replaced replaced;
  reader.required("receiver_layer", replaced.receiver_layer);
  reader.optional("donor", replaced.donor);
  reader.required("donor_layer", replaced.donor_layer);
  read_number_or_null(reader, "similarity", replaced.similarity);
  reader.optional(required(reader, "adapter"), replaced.adapter,
                  {"none", "resize", "resample", "linear", "resize+linear", "resample+linear"});
  reader.optional(required(reader, "refit"), replaced.refit);
  reader.optional("correction_rank", replaced.correction_rank);  // none in older plans
  if (replaced.correction_rank < 0)
    reader.fail("correction_rank", "is negative: " + std::to_string(replaced.correction_rank));
  reader.required("residual", replaced.residual);
  reader.finish();
  return replaced;
}

SharedWeight read_weight(JsonReader reader) {
  SharedWeight weight;
  reader.required("layer", weight.layer);
  reader.required("donor", weight.donor);
  reader.required("donor_layer", weight.donor_layer);
  read_size(reader, "rank", weight.rank);
  reader.required("output_variance", weight.output_variance);
  reader.finish();
  return weight;
}

AuxiliaryInput read_side_input(JsonReader reader) {
  AuxiliaryInput side;
  reader.required("donor", side.donor);
  reader.required("donor_layer", side.donor_layer);
  reader.finish();
  return side;
}

Share read_share(JsonReader reader) {
  Share share;
  reader.required("receiver", share.receiver);
  reader.required("donor", share.donor);
  read_list(reader, "replaced", share.replaced, read_replaced);
  if (reader.has("weights")) read_list(reader, "weights", share.weights, read_weight);
  // Plans of earlier versions take from one donor only.
  share.donors = {share.donor};
  reader.optional("donors", share.donors);
  reader.optional("guests", share.guests);
  for (Replaced& replaced : share.replaced) {
    if (replaced.donor.empty()) replaced.donor = share.donor;
  }
  if (reader.has("side_inputs")) read_list(reader, "side_inputs", share.auxiliary_inputs, read_side_input);
  reader.optional(required(reader, "removed_layers"), share.removed_layers);
  read_size(reader, "bytes_removed", share.bytes_removed);
  reader.required("bytes_added", share.bytes_added);  // a refit on fewer channels adds less than nothing
  read_size(reader, "flops_removed", share.flops_removed);
  read_size(reader, "flops_added", share.flops_added);
  reader.required("predicted_fidelity", share.predicted_fidelity);
  read_optional(reader, "measured_fidelity", share.measured_fidelity);
  reader.finish();
  return share;
}

Candidate::Weights read_candidate_weights(JsonReader reader) {
  Candidate::Weights weights;
  read_size(reader, "layers", weights.layers);
  read_size(reader, "ranks", weights.ranks);
  reader.required("output_variance", weights.output_variance);
  reader.finish();
  return weights;
}

Candidate read_candidate(JsonReader reader) {
  Candidate candidate;
  reader.required("receiver", candidate.receiver);
  reader.required("donor", candidate.donor);
  reader.optional(required(reader, "receiver_layers"), candidate.receiver_layers);
  reader.optional(required(reader, "donor_layers"), candidate.donor_layers);
  candidate.layer_donors.assign(candidate.donor_layers.size(), candidate.donor);
  reader.optional("layer_donors", candidate.layer_donors);  // plans of earlier versions take from one donor only
  if (candidate.layer_donors.size() != candidate.donor_layers.size())
    reader.fail("layer_donors", "needs one donor for each of donor_layers");
  if (reader.has("weights")) candidate.weights = read_candidate_weights(child_reader(reader, "weights"));
  read_number_or_null(reader, "similarity", candidate.similarity);
  reader.required("bytes_saved", candidate.bytes_saved);
  // Plans of earlier versions do not say these.
  reader.optional("flops_saved", candidate.flops_saved);
  read_milliseconds(reader, "latency_saved_ms", candidate.latency_saved_ns);
  if (reader.has("memory_saved")) reader.required("memory_saved", candidate.memory_saved.emplace());
  if (reader.has("r2")) reader.required("r2", candidate.r2.emplace());
  reader.required("predicted_fidelity", candidate.predicted_fidelity);
  if (reader.has("predicted_interval") && !required_child(reader, "predicted_interval").is_null())
    candidate.predicted_interval = read_interval(child_reader(reader, "predicted_interval"));
  read_optional(reader, "measured_fidelity", candidate.measured_fidelity);
  reader.optional(required(reader, "chosen"), candidate.chosen);
  reader.required("reason", candidate.reason);
  reader.finish();
  return candidate;
}

Totals read_totals(JsonReader reader) {
  Totals totals;
  read_size(reader, "parameters", totals.parameters);
  read_size(reader, "bytes", totals.bytes);
  read_size(reader, "flops", totals.flops);
  read_size(reader, "peak_activation_bytes", totals.peak_activation_bytes);
  read_milliseconds(reader, "latency_estimate_ms", totals.latency_estimate_ns);
  if (totals.latency_estimate_ns.value_or(0) < 0) reader.fail("latency_estimate_ms", "is negative");
  reader.finish();
  return totals;
}

void check_version(JsonReader& reader) {
  std::int64_t version = 0;
  reader.required("schema_version", version);
  if (version != kPlanSchemaVersion) {
    reader.fail("schema_version",
                "is " + std::to_string(version) + ", this repsim reads " + std::to_string(kPlanSchemaVersion),
                "make the plan again with this repsim, or use the one that wrote it");
  }
}

}  // namespace

Plan plan_from_json(const Json& json, const std::string& file) {
  Plan plan;
  JsonReader reader(json, file);
  check_version(reader);
  JsonReader tool = child_reader(reader, "tool");
  std::string name;
  tool.optional(required(tool, "name"), name, {"repsim"});
  tool.required("version", plan.tool_version);
  tool.optional("torch", plan.torch_version);
  tool.finish();
  reader.required("settings_sha256", plan.settings_sha256);
  plan.settings = required_child(reader, "settings");
  if (!plan.settings.is_object()) reader.fail("settings", "expected an object");
  if (reader.has("streams")) {
    read_list(reader, "streams", plan.streams, read_stream);
    JsonReader frames = child_reader(reader, "frames");
    read_size(frames, "judgements", plan.judgements);
    frames.finish();
  } else {
    read_video_part(reader, plan, &plan.judgements);
  }
  read_list(reader, "inputs", plan.inputs, read_group);
  read_list(reader, "models", plan.models, read_model);
  check_streams(reader, plan);
  plan.exact = read_exact(child_reader(reader, "exact_sharing"));
  read_list(reader, "shares", plan.shares, read_share);
  JsonReader totals = child_reader(reader, "totals");
  plan.before = read_totals(child_reader(totals, "before"));
  if (totals.has("deduplicated")) plan.deduplicated = read_totals(child_reader(totals, "deduplicated"));
  plan.after = read_totals(child_reader(totals, "after"));
  totals.finish();
  JsonReader bundle = child_reader(reader, "bundle");
  read_size(bundle, "bytes", plan.bundle_bytes);
  bundle.required("sha256", plan.bundle_sha256);
  bundle.finish();
  read_list(reader, "candidates", plan.candidates, read_candidate);
  reader.finish();
  return plan;
}

}  // namespace repsim::report
