#include "repsim/measure.hpp"

namespace repsim::measure {
namespace {

Json call_json(const Call& call) { return {{"path", call.path}, {"method", call.method}, {"groups", call.groups}}; }

Json calls_json(const std::vector<Call>& calls) {
  Json list = Json::array();
  for (const Call& call : calls) list.push_back(call_json(call));
  return list;
}

/// Calls `read` for each element of a member that is a list, with a reader of it.
template <typename Read>
void for_each(JsonReader& reader, const std::string& key, const Read& read) {
  const Json* list = reader.child(key);
  if (list == nullptr || !list->is_array()) reader.fail(key, "it is no list");
  for (std::size_t i = 0; i < list->size(); ++i) {
    JsonReader element((*list)[i], reader.file(), reader.path_of(key) + "[" + std::to_string(i) + "]");
    read(element);
    element.finish();
  }
}

std::vector<Call> calls_of(JsonReader& reader, const std::string& key) {
  std::vector<Call> calls;
  for_each(reader, key, [&](JsonReader& element) {
    Call call;
    std::vector<std::int64_t> groups;
    element.required("path", call.path);
    element.required("method", call.method);
    element.optional("groups", groups);
    for (const std::int64_t group : groups) call.groups.push_back(static_cast<int>(group));
    calls.push_back(std::move(call));
  });
  return calls;
}

Json memory_json(const MemoryUse& use) {
  return {{"resident", use.resident}, {"proportional", use.proportional}, {"anonymous", use.anonymous}};
}

MemoryUse memory_of(JsonReader& reader, const std::string& key) {
  const Json* json = reader.child(key);
  if (json == nullptr) reader.fail(key, "it is missing");
  JsonReader element(*json, reader.file(), reader.path_of(key));
  MemoryUse use;
  element.required("resident", use.resident);
  element.required("proportional", use.proportional);
  element.required("anonymous", use.anonymous);
  element.finish();
  return use;
}

Json times_json(const Times& times) { return {{"wall_ms", times.wall_ms}, {"cpu_ms", times.cpu_ms}}; }

Times times_of(JsonReader& element) {
  Times times;
  element.optional("wall_ms", times.wall_ms);
  element.optional("cpu_ms", times.cpu_ms);
  return times;
}

std::optional<DeviceMemory> device_of(JsonReader& reader) {
  const Json* json = reader.child("device");
  if (json == nullptr || json->is_null()) return std::nullopt;
  JsonReader element(*json, reader.file(), reader.path_of("device"));
  DeviceMemory memory;
  element.required("allocated", memory.allocated);
  element.required("reserved", memory.reserved);
  const Json* driver = element.child("driver");
  if (driver != nullptr && driver->is_number_integer()) memory.driver = driver->get<std::int64_t>();
  element.finish();
  return memory;
}

}  // namespace

Json to_json(const Job& job) {
  return {{"label", job.label},
          {"calls", calls_json(job.calls)},
          {"alone", calls_json(job.alone)},
          {"inputs", job.inputs},
          {"batch", job.batch},
          {"runs", job.runs},
          {"warm_up", job.warm_up},
          {"threads", job.threads},
          {"device", job.device},
          {"libraries", job.libraries}};
}

Job job_from_json(const Json& json, const std::string& file) {
  JsonReader reader(json, file);
  Job job;
  std::int64_t threads = 0;
  reader.required("label", job.label);
  job.calls = calls_of(reader, "calls");
  job.alone = calls_of(reader, "alone");
  reader.required("inputs", job.inputs);
  reader.required("batch", job.batch);
  reader.required("runs", job.runs);
  reader.required("warm_up", job.warm_up);
  reader.required("threads", threads);
  reader.required("device", job.device);
  reader.optional("libraries", job.libraries);
  reader.finish();
  job.threads = static_cast<int>(threads);
  if (job.calls.empty()) reader.fail("calls", "it is empty");
  if (job.batch < 1 || job.runs < 1 || job.warm_up < 0) reader.fail("runs", "a number is too small");
  return job;
}

Json to_json(const Sample& sample) {
  Json device;
  if (sample.device) {
    device = {{"allocated", sample.device->allocated},
              {"reserved", sample.device->reserved},
              {"driver", sample.device->driver ? Json(*sample.device->driver) : Json()}};
  }
  Json alone = Json::array();
  for (const Times& times : sample.alone) alone.push_back(times_json(times));
  return {{"before", memory_json(sample.before)},   {"loaded", memory_json(sample.loaded)},
          {"running", memory_json(sample.running)}, {"peak", sample.peak_bytes},
          {"activations", sample.activation_bytes}, {"device", device},
          {"load_seconds", sample.load_seconds},    {"first_seconds", sample.first_seconds},
          {"frame", times_json(sample.frame)},      {"alone", alone}};
}

Sample sample_from_json(const Json& json, const std::string& file) {
  JsonReader reader(json, file);
  Sample sample;
  sample.before = memory_of(reader, "before");
  sample.loaded = memory_of(reader, "loaded");
  sample.running = memory_of(reader, "running");
  reader.required("peak", sample.peak_bytes);
  reader.required("activations", sample.activation_bytes);
  sample.device = device_of(reader);
  reader.required("load_seconds", sample.load_seconds);
  reader.required("first_seconds", sample.first_seconds);
  const Json* frame = reader.child("frame");
  if (frame == nullptr) reader.fail("frame", "it is missing");
  JsonReader element(*frame, file, "frame");
  sample.frame = times_of(element);
  element.finish();
  for_each(reader, "alone", [&](JsonReader& one) { sample.alone.push_back(times_of(one)); });
  reader.finish();
  return sample;
}

}  // namespace repsim::measure
