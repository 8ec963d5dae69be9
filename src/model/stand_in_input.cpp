#include "repsim/stand_in_input.hpp"

#include "archive.hpp"
#include "metadata.hpp"
#include "repsim/base/log.hpp"
#include "repsim/failure_text.hpp"
#include "repsim/model.hpp"

namespace repsim::model {
namespace {

constexpr std::int64_t kSide = 320;  // pixels of the first input that is tried

/// @return nothing where forward runs, else whether the input's size may be the reason, by the text of its exception
std::optional<bool> size_may_be_wrong(const Loaded& model) {
  const c10::InferenceMode no_gradients;
  const CrashNote note = note_of_run(model.spec.path);
  try {
    torch::jit::Module module = copy_of(model.module);  // it may write to itself
    (void)module.forward({make_input(*model.spec.input, example_frames(*model.spec.input, 1))});
    return std::nullopt;
  } catch (const std::exception& error) {
    log::debug(error.what());
    const auto kind = cause_of(error.what()).kind;
    return kind == FailureCause::Kind::kUnknown || kind == FailureCause::Kind::kBatch ||
           kind == FailureCause::Kind::kOwnCheck;
  }
}

}  // namespace

std::optional<InputSpec> stand_in_input(const ModelSpec& spec) {
  if (spec.input || read_metadata(read_archive(spec.path, spec.name), spec.path).input) return std::nullopt;
  ModelSpec sized = spec;
  sized.input = InputSpec{};
  sized.input->width = sized.input->height = kSide;
  const Loaded model = load(sized, "");
  const std::optional<bool> wrong = size_may_be_wrong(model);
  // What fails for another reason fails at every size: who opens the model with this one says why.
  return !wrong || !*wrong ? model.spec.input : working_input(model);
}

}  // namespace repsim::model
