#include <algorithm>

#include "repsim/bundle_manifest.hpp"
#include "spec_json.hpp"

namespace repsim::report {
namespace {

constexpr std::int64_t kSchemaVersion = 1;

const Json& required_list(JsonReader& reader, const std::string& key) {
  const Json& list = required_child(reader, key);
  if (!list.is_array() || list.empty()) reader.fail(key, "this is no list with entries", "write the bundle again");
  return list;
}

ManifestModel read_model(JsonReader reader, std::size_t groups) {
  ManifestModel model;
  std::string attribute;
  reader.required("name", model.name);
  reader.required("attribute", attribute);
  reader.required("run_method", model.run_method);
  read_size(reader, "input_group", model.input_group);
  if (model.input_group >= static_cast<std::int64_t>(groups))
    reader.fail("input_group", "there are " + std::to_string(groups) + " inputs only");
  reader.required("sha256", model.sha256);
  read_spec({required_child(reader, "output"), reader.file(), reader.path_of("output")}, model.output);
  reader.finish();
  return model;
}

ManifestStream read_stream(JsonReader reader, const std::vector<ManifestModel>& models) {
  ManifestStream stream;
  std::vector<std::string> names;
  reader.required("name", stream.name);
  reader.required("run_method", stream.run_method);
  reader.optional(required(reader, "models"), names);
  for (const std::string& name : names) {
    const auto found = std::find_if(models.begin(), models.end(), [&](const auto& one) { return one.name == name; });
    if (found == models.end()) reader.fail("models", "there is no model '" + name + "'", "write the bundle again");
    stream.models.push_back(static_cast<std::size_t>(found - models.begin()));
  }
  reader.finish();
  return stream;
}

}  // namespace

BundleManifest read_manifest(const std::string& text, const std::string& file) {
  const std::string name = file + ": repsim.json";
  const Json json = parse_json(text, name);
  JsonReader reader(json, name);
  std::int64_t version = 0;
  reader.required("schema_version", version);
  if (version != kSchemaVersion) {
    reader.fail("schema_version",
                "this repsim reads " + std::to_string(kSchemaVersion) + ", not " + std::to_string(version),
                "the repsim that wrote the bundle, or repsim bundle");
  }
  BundleManifest manifest;
  for (const Json& one : required_list(reader, "inputs")) {
    // Before the list grows: compilers differ in which argument they evaluate first.
    const std::string place = "inputs[" + std::to_string(manifest.inputs.size()) + "]";
    read_spec({one, name, place}, manifest.inputs.emplace_back());
  }
  for (const Json& one : required_list(reader, "models")) {
    manifest.models.push_back(
        read_model({one, name, "models[" + std::to_string(manifest.models.size()) + "]"}, manifest.inputs.size()));
  }
  if (json.contains("streams")) {
    for (const Json& one : required_list(reader, "streams")) {
      const std::string place = "streams[" + std::to_string(manifest.streams.size()) + "]";
      manifest.streams.push_back(read_stream({one, name, place}, manifest.models));
    }
  }
  return manifest;
}

}  // namespace repsim::report
