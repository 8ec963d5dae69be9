#include "metadata.hpp"

namespace repsim::model {
namespace {

/// The picture that forward was traced with: [B,3,H,W], or a list of [3,H,W].
std::optional<InputSpec> from_traced(const std::vector<c10::IValue>& inputs) {
  if (inputs.empty()) return std::nullopt;
  const c10::IValue& first = inputs.front();
  InputSpec input;
  at::Tensor picture;
  if (first.isTensor()) {
    picture = first.toTensor();
    if (!picture.defined() || picture.dim() != 4 || picture.size(1) != 3) return std::nullopt;
  } else if (first.isTensorList() && !first.toTensorVector().empty()) {
    picture = first.toTensorVector().front();
    if (!picture.defined() || picture.dim() != 3 || picture.size(0) != 3) return std::nullopt;
    input.kind = InputKind::kList;
  } else {
    return std::nullopt;
  }
  input.height = picture.size(-2);
  input.width = picture.size(-1);
  if (!usable_side(input.width) || !usable_side(input.height)) return std::nullopt;
  return input;
}

}  // namespace

Metadata read_metadata(const Archive& archive, const std::string& path) {
  Metadata found;
  const auto config = archive.extra_files.find("config.txt");
  if (config != archive.extra_files.end()) read_extra_file(config->first, config->second, path, found);
  for (const auto& [record, text] : archive.extra_files) {
    if (record != "config.txt") read_extra_file(record, text, path, found);
  }
  if (!found.input && archive.traced_inputs) {
    found.input = from_traced(*archive.traced_inputs);
    found.input_record = "traced_inputs.pkl";
  }
  return found;
}

}  // namespace repsim::model
