#include "archive.hpp"
#include "libraries.hpp"
#include "metadata.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/model.hpp"

namespace repsim::model {
namespace {

std::string size_text(const InputSpec& input) {
  return std::to_string(input.width) + "x" + std::to_string(input.height);
}

/// Fills what the spec leaves open from the archive. The user's values win; a warning says where the archive differs.
void apply_metadata(const Metadata& metadata, ModelSpec& spec, std::string& source) {
  if (metadata.input && spec.input) {
    if (size_text(*metadata.input) != size_text(*spec.input)) {
      log::warn(spec.name + ": is fed " + size_text(*spec.input) + " as asked, though the archive's " +
                metadata.input_record + " says " + size_text(*metadata.input));
    }
  } else if (metadata.input) {
    spec.input = metadata.input;
    source = "archive: " + metadata.input_record;
  }
  if (spec.output.classes.empty()) {
    spec.output.classes = metadata.classes;
  } else if (!metadata.classes.empty() && metadata.classes.size() != spec.output.classes.size()) {
    log::warn(spec.name + ": has " + std::to_string(spec.output.classes.size()) +
              " classes as asked, though the archive's " + metadata.classes_record + " names " +
              std::to_string(metadata.classes.size()));
  }
}

}  // namespace

Loaded load(const ModelSpec& spec, const std::string& input_source) {
  Archive archive = read_archive(spec.path, spec.name);
  Loaded loaded{spec, input_source, archive.sha256, archive.file_bytes, archive.module, {}};
  loaded.module.eval();
  if (!loaded.module.find_method("forward")) {
    throw input_error("the module has no forward method", spec.path, "script or trace a module that has one");
  }
  apply_metadata(read_metadata(archive, spec.path), loaded.spec, loaded.input_source);
  if (!loaded.spec.input) {
    throw input_error(
        "the input size of model '" + spec.name + "' is not known: neither flags nor config nor the archive say it",
        spec.path, "add --input " + spec.name + "=WIDTHxHEIGHT (for example --input " + spec.name + "=352x352,bgr)");
  }
  // repsim feeds one image argument; the others must have defaults.
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
  loaded.operator_libraries = libraries_of(loaded.module);
  return loaded;
}

}  // namespace repsim::model
