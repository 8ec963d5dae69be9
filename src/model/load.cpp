#include "archive.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/base/log.hpp"
#include "repsim/model.hpp"

namespace repsim::model {
namespace {

/// Reads the metadata that exports leave in config.txt: {"imgsz": [H, W] or N, "names": {"0": "person"} or [...], ...}.
/// Unknown keys are other tools' business.
void apply_metadata(const std::string& text, const std::string& path, ModelSpec& spec, std::string& source) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    log::warn(path + ": config.txt in the archive is no JSON object: ignored");
    return;
  }
  if (!spec.input && json.contains("imgsz")) {
    const Json& size = json["imgsz"];
    InputSpec input;
    if (size.is_number_integer()) {
      input.width = input.height = size.get<std::int64_t>();
    } else if (size.is_array() && size.size() == 2 && size[0].is_number_integer() && size[1].is_number_integer()) {
      input.height = size[0].get<std::int64_t>();
      input.width = size[1].get<std::int64_t>();
    }
    if (input.width < 1 || input.width > 8192 || input.height < 1 || input.height > 8192) {
      throw input_error("imgsz in the archive's config.txt is no usable size: " + size.dump(), path,
                        "give it: --input " + spec.name + "=WIDTHxHEIGHT");
    }
    // Ultralytics' exporter writes author and stride, and its models are fed letterboxed RGB.
    if (json.contains("author") && json["author"].is_string() && json["author"].get<std::string>() == "Ultralytics") {
      input.resize = Resize::kLetterbox;
      input.color = Color::kRgb;
    }
    spec.input = input;
    source = "archive";
  }
  if (spec.output.classes.empty() && json.contains("names")) {
    for (const auto& name : json["names"]) {
      if (name.is_string()) spec.output.classes.push_back(name.get<std::string>());
    }
  }
}

}  // namespace

Loaded load(const ModelSpec& spec, const std::string& input_source) {
  Archive archive = read_archive(spec.path, spec.name);
  Loaded loaded{spec, input_source, archive.sha256, archive.file_bytes, std::move(archive.module)};
  loaded.module.eval();
  if (!loaded.module.find_method("forward")) {
    throw input_error("the module has no forward method", spec.path, "script or trace a module that has one");
  }
  if (const auto found = archive.extra_files.find("config.txt"); found != archive.extra_files.end()) {
    apply_metadata(found->second, spec.path, loaded.spec, loaded.input_source);
  }
  if (!loaded.spec.input) {
    throw input_error(
        "the input size of model '" + spec.name + "' is not known: neither flags nor config nor the archive say it",
        spec.path, "add --input " + spec.name + "=WIDTHxHEIGHT (for example --input " + spec.name + "=352x352,bgr)");
  }
  // One image argument is what repsim can feed: others must have defaults.
  const auto& schema = loaded.module.get_method("forward").function().getSchema();
  for (std::size_t i = 2; i < schema.arguments().size(); ++i) {
    if (!schema.arguments()[i].default_value()) {
      throw input_error("forward needs the argument '" + schema.arguments()[i].name() + "' beside the image", spec.path,
                        "wrap the model in a module whose forward takes the image alone");
    }
  }
  if (schema.arguments().size() < 2) {
    throw input_error("forward takes no image", spec.path, "script or trace a module whose forward takes the image");
  }
  return loaded;
}

}  // namespace repsim::model
