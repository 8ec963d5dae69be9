#include "format.hpp"
#include "repsim/measurement.hpp"

namespace repsim::report {
namespace {

Json number_or_null(const std::optional<double>& value) { return value ? Json(rounded_significant(*value)) : Json(); }

Json device_json(const std::optional<measure::DeviceMemory>& memory) {
  if (!memory) return nullptr;
  return {{"allocated_bytes", memory->allocated},
          {"reserved_bytes", memory->reserved},
          {"driver_bytes", memory->driver ? Json(*memory->driver) : Json()}};
}

Json deployment_json(const MeasuredDeployment& one) {
  const measure::Figures& figures = one.figures;
  return {{"deployment", measure::to_string(one.deployment)},
          {"processes", one.processes},
          {"file_bytes", figures.file_bytes},
          {"resident_bytes",
           {{"before_loading", figures.before_bytes},
            {"loaded", figures.loaded_bytes},
            {"running", figures.running_bytes},
            {"peak", figures.peak_bytes}}},
          {"proportional_bytes", figures.proportional_bytes},
          {"peak_activation_bytes", figures.activation_bytes},
          {"device", device_json(figures.device)},
          {"load_seconds", rounded_significant(figures.load_seconds)},
          {"warm_up_seconds", rounded_significant(figures.first_seconds)},
          {"ms_per_frame",
           {{"median", rounded_significant(figures.frame_ms)},
            {"nine_of_ten", rounded_significant(figures.frame_ms_90)},
            {"least", rounded_significant(figures.least_ms)},
            {"most", rounded_significant(figures.most_ms)}}},
          {"cpu_ms_per_frame", rounded_significant(figures.cpu_ms)},
          {"frames_per_second", rounded_significant(figures.frames_per_second())},
          {"bundle_ratio",
           {{"ms_per_frame", rounded_significant(one.bundle.frame_ms)},
            {"cpu_ms_per_frame", rounded_significant(one.bundle.cpu_ms)},
            {"load_seconds", rounded_significant(one.bundle.load_seconds)}}}};
}

Json alone_json(const measure::Alone& alone) {
  return {{"model", alone.model},
          {"takes_layers", alone.takes_layers},
          {"latency_estimate_ms", rounded_significant(alone.estimate_ms)},
          {"original_ms", rounded_significant(alone.original_ms)},
          {"bundle_ms", rounded_significant(alone.bundle_ms)},
          {"ratio", rounded_significant(alone.ratio)},
          {"original_cpu_ms", rounded_significant(alone.original_cpu_ms)},
          {"cpu_ratio", rounded_significant(alone.cpu_ratio)}};
}

}  // namespace

Json to_json(const Measurement& measurement) {
  Json json;
  json["schema_version"] = 1;
  json["tool"] = {{"name", "repsim"}, {"version", measurement.tool_version}, {"torch", measurement.torch_version}};
  json["plan"] = measurement.plan;
  json["models"] = measurement.models;
  json["machine"] = {{"cpu", measurement.cpu.empty() ? Json() : Json(measurement.cpu)},
                     {"cores", measurement.cores},
                     {"threads", measurement.threads},
                     {"device", measurement.device}};
  json["runs"] = {{"repeats", measurement.repeats}, {"frames", measurement.frames}, {"batch", measurement.batch}};
  json["parameter_bytes"] = {{"before", measurement.parameter_bytes_before},
                             {"after", measurement.parameter_bytes_after}};
  json["deployments"] = Json::array();
  for (const MeasuredDeployment& one : measurement.deployments) json["deployments"].push_back(deployment_json(one));
  json["models_alone"] = Json::array();
  for (const measure::Alone& one : measurement.alone) json["models_alone"].push_back(alone_json(one));
  const Predicted& predicted = measurement.predicted;
  json["predicted"] = {
      {"peak_activation_bytes", {{"separate_models", predicted.separate_bytes}, {"bundle", predicted.bundle_bytes}}},
      {"latency_estimate_ms",
       {{"separate_models", number_or_null(predicted.separate_ms)}, {"bundle", number_or_null(predicted.bundle_ms)}}},
      {"machine_factor", number_or_null(measurement.machine_factor())},
      {"expected_bundle_ms", number_or_null(measurement.expected_ms())}};
  return json;
}

}  // namespace repsim::report
