#include "repsim/stand_in_input.hpp"

#include "archive.hpp"
#include "metadata.hpp"
#include "repsim/model.hpp"

namespace repsim::model {
namespace {

constexpr std::int64_t kSide = 320;  // pixels of the first input that is tried

bool runs(const Loaded& model) {
  const c10::InferenceMode no_gradients;
  try {
    torch::jit::Module module = model.module.deepcopy();  // it may write to itself
    (void)module.forward({make_input(*model.spec.input, example_frames(*model.spec.input, 1))});
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

std::optional<InputSpec> stand_in_input(const ModelSpec& spec) {
  if (spec.input || read_metadata(read_archive(spec.path, spec.name), spec.path).input) return std::nullopt;
  ModelSpec sized = spec;
  sized.input = InputSpec{};
  sized.input->width = sized.input->height = kSide;
  const Loaded model = load(sized, "");
  return runs(model) ? model.spec.input : working_input(model);
}

}  // namespace repsim::model
