#include <algorithm>

#include "archive.hpp"
#include "libraries.hpp"
#include "metadata.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/model.hpp"
#include "views.hpp"

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

/// @throws Error{kInput} when forward's argument can be neither a tensor nor a list of tensors
void check_takes_image(const c10::Type& type, const std::string& path) {
  const auto& tensor = c10::TensorType::get();
  if (tensor->isSubtypeOf(type) || c10::ListType::ofTensors()->isSubtypeOf(type)) return;
  const bool dict = type.kind() == c10::TypeKind::DictType;
  throw input_error("forward takes " + type.annotation_str() + ", repsim gives a tensor of pictures", path,
                    std::string("wrap the model before torch.jit.script: a module whose forward(x) returns ") +
                        (dict ? "model({'KEY': x})" : "the model's result for the pictures x"));
}

/// What a copy of the model returns for an example picture, after its tensors were separated; nothing where it fails.
std::optional<std::vector<at::Tensor>> example_output(const Loaded& model, std::optional<Steps> steps) {
  const c10::InferenceMode no_gradients;
  const CrashNote note = note_of_run(model.spec.path);
  try {
    torch::jit::Module copy = copy_of(model.module);
    if (steps) separate(tensors_of_module(copy), *steps);
    return tensors_of(copy.forward({make_input(*model.spec.input, example_frames(*model.spec.input, 1))}));
  } catch (const std::exception& error) {
    log::debug(error.what());
    return std::nullopt;
  }
}

bool are_equal(const std::vector<at::Tensor>& left, const std::vector<at::Tensor>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const at::Tensor& a, const at::Tensor& b) {
    return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && at::equal(a, b);
  });
}

/// Gives tensors that are parts of larger memory memory of their own, so that all that follows counts, and the bundle
/// holds, what the model shows of them.
void separate_views(Loaded& model) {
  const std::vector<at::Tensor> tensors = tensors_of_module(model.module);
  if (std::none_of(tensors.begin(), tensors.end(), is_part)) return;
  const auto own = example_output(model, {}), dense = example_output(model, Steps::kDense);
  const bool same = own && dense && are_equal(*own, *dense);
  model.hidden_bytes = separate(tensors, same ? Steps::kDense : Steps::kKept);
  log::debug(model.spec.name + ": " + std::to_string(model.hidden_bytes) + " bytes of its tensors are shown by none");
}

/// A model that was saved without eval() gives other outputs where it was than here.
void warn_of_training(const torch::jit::Module& module, const std::string& name) {
  for (const torch::jit::Module& inner : module.modules()) {
    const std::string type = inner.type()->name() ? inner.type()->name()->name() : "";
    const bool depends = type.find("Dropout") != std::string::npos || type.find("BatchNorm") != std::string::npos ||
                         type.find("InstanceNorm") != std::string::npos;
    if (!depends || !inner.hasattr("training") || !inner.is_training()) continue;
    log::warn(name +
              ": was saved in training mode, and runs in evaluation mode here (model.eval()): without dropout, "
              "normalised by its statistics");
    return;
  }
}

std::int64_t traced_batch(const Archive& archive) {
  if (!archive.traced_inputs || archive.traced_inputs->empty() || !archive.traced_inputs->front().isTensor()) return 0;
  const at::Tensor& picture = archive.traced_inputs->front().toTensor();
  return picture.defined() && picture.dim() == 4 ? picture.size(0) : 0;
}

}  // namespace

CrashNote note_of_run(const std::string& path) {
  return {"Torch ran this model's code", path,
          "run it in Python (torch.jit.load): if that crashes too, the model is at fault; if not, please report it"};
}

OpenArchive open_archive(const std::string& path, const std::string& name) {
  Archive archive = read_archive(path, name);
  archive.module.eval();
  return {archive.module, std::move(archive.sha256), std::move(archive.extra_files)};
}

Loaded load(const ModelSpec& spec, const std::string& input_source) {
  Archive archive = read_archive(spec.path, spec.name);
  Loaded loaded;
  loaded.spec = spec;
  loaded.input_source = input_source;
  loaded.sha256 = archive.sha256;
  loaded.file_bytes = archive.file_bytes;
  loaded.module = archive.module;
  warn_of_training(loaded.module, spec.name);
  loaded.module.eval();
  if (!loaded.module.find_method("forward")) {
    throw input_error("the module has no forward method", spec.path, "script or trace a module that has one");
  }
  const Metadata metadata = read_metadata(archive, spec.path);
  apply_metadata(metadata, loaded.spec, loaded.input_source);
  loaded.archive_input = metadata.input;
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
                        "wrap the model before torch.jit.script: a module whose forward takes the image alone");
    }
  }
  if (schema.arguments().size() < 2) {
    throw input_error("forward takes no image", spec.path, "script or trace a module whose forward takes the image");
  }
  check_takes_image(*schema.arguments()[1].type(), spec.path);
  loaded.operator_libraries = libraries_of(loaded.module);
  loaded.traced_batch = traced_batch(archive);
  separate_views(loaded);
  return loaded;
}

}  // namespace repsim::model
