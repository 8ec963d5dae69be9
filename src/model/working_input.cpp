#include <array>

#include "repsim/base/log.hpp"
#include "repsim/failure_text.hpp"
#include "repsim/model.hpp"

namespace repsim::model {
namespace {

constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool runs(const Loaded& model, const InputSpec& spec, std::int64_t batch = 1) {
  const c10::InferenceMode no_gradients;
  const CrashNote note = note_of_run(model.spec.path);
  try {
    torch::jit::Module module = copy_of(model.module);  // it may write to itself
    (void)module.forward({make_input(spec, example_frames(spec, batch))});
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

/// Lists and tensors are no alternatives to each other: the signature says which one forward takes.
InputKind declared_kind(const Loaded& model) {
  const auto& schema = model.module.get_method("forward").function().getSchema();
  return schema.arguments().at(1).type()->kind() == c10::TypeKind::ListType ? InputKind::kList : InputKind::kTensor;
}

/// A spec with another dtype. The scale of one dtype does not fit another.
InputSpec in_form(InputSpec spec, Layout layout, InputDtype dtype) {
  if ((spec.dtype == InputDtype::kUint8) != (dtype == InputDtype::kUint8)) {
    spec.scale = default_scale(dtype);
    spec.mean = InputSpec{}.mean;
    spec.std = InputSpec{}.std;
  }
  spec.layout = layout;
  spec.dtype = dtype;
  return spec;
}

/// Sizes to try: the stated size with sides exchanged, rounded to what pyramids need, and in the shape of common
/// cameras; then the usual sizes of exported detectors.
std::vector<std::pair<std::int64_t, std::int64_t>> other_sizes(const InputSpec& spec) {
  const auto rounded = [](std::int64_t pixels) { return std::max<std::int64_t>(32, (pixels + 16) / 32 * 32); };
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes{
      {spec.height, spec.width},
      {rounded(spec.width), rounded(spec.height)},
      {spec.width, spec.width * 3 / 4},
      {spec.width, rounded(spec.width * 9 / 16 + 15)},  // up: 640x384, not 640x352
      {spec.height * 4 / 3, spec.height}};
  for (const std::int64_t side : {320, 640, 416, 352, 300, 224, 256, 384, 512}) sizes.emplace_back(side, side);
  return sizes;
}

/// What the text says, held against the model: a shape that was fixed for more frames shows in a run of as many.
FailureCause settled_cause(const Loaded& model, std::string_view text) {
  constexpr std::int64_t kMostFrames = 64;
  FailureCause cause = cause_of(text);
  using Kind = FailureCause::Kind;
  if (cause.kind != Kind::kUnknown && cause.kind != Kind::kBatch) return cause;
  for (const std::int64_t frames : {model.traced_batch, cause.wanted}) {
    if (frames > 1 && frames <= kMostFrames && runs(model, *model.spec.input, frames))
      return {Kind::kBatch, {}, frames};
  }
  return {};
}

}  // namespace

Error forward_error(const Loaded& model, const std::exception& error) {
  log::debug(error.what());
  static const std::string kNoCopy = "Can't deepcopy IValue with tag: ";
  const std::string text = error.what();
  if (const auto at = text.find(kNoCopy); at != std::string::npos) {
    const std::size_t begin = at + kNoCopy.size();
    return input_error("the model has an attribute of the kind " +
                           text.substr(begin, text.find_first_not_of(kLetters, begin) - begin) +
                           ", which Torch cannot copy",
                       model.spec.path, "make it a tensor, or numbers and strings, before the export");
  }
  const InputSpec& input = *model.spec.input;
  const FailureCause cause = settled_cause(model, error.what());
  const std::optional<Advice> advice = advice_on(cause, input);
  if (advice && !advice->problem.empty()) return input_error(advice->problem, model.spec.path, advice->remedy);
  const std::string flag = "--input " + model.spec.name + "=";
  const std::optional<InputSpec> works = working_input(model);
  std::string remedy = "check the input: " + flag + "WIDTHxHEIGHT[,nhwc][,uint8][,list][,...]";
  if (works) {
    remedy = "forward works with " + flag + input_flag(*works) + ": use that if it is what the model was made for";
  } else if (advice) {
    remedy =
        cause.kind == FailureCause::Kind::kOwnCheck ? remedy + "; if it is right, " + advice->remedy : advice->remedy;
  }
  return input_error("forward fails with " + flag + input_flag(input) + ": " + own_words(error.what()), model.spec.path,
                     remedy);
}

std::optional<InputSpec> working_input(const Loaded& model) {
  InputSpec stated = *model.spec.input;
  stated.kind = declared_kind(model);
  const auto form = [&](const InputSpec& spec) { return std::pair(spec.layout, spec.dtype); };
  std::vector<InputSpec> attempts{stated};
  if (model.archive_input) {
    InputSpec sized = stated;
    sized.width = model.archive_input->width;
    sized.height = model.archive_input->height;
    attempts.insert(attempts.begin(), {sized, *model.archive_input});
  }
  for (const Layout layout : {Layout::kNchw, Layout::kNhwc}) {
    for (const InputDtype dtype : {InputDtype::kFloat32, InputDtype::kUint8, InputDtype::kFloat16}) {
      attempts.push_back(in_form(stated, layout, dtype));
    }
  }
  for (const auto& [width, height] : other_sizes(stated)) {
    InputSpec sized = stated;
    sized.width = width;
    sized.height = height;
    attempts.push_back(sized);
    const InputSpec usual = in_form(sized, Layout::kNchw, InputDtype::kFloat32);
    if (form(usual) != form(sized)) attempts.push_back(usual);
  }
  for (const InputSpec& attempt : attempts) {
    if (attempt == *model.spec.input) continue;  // that is what failed
    if (runs(model, attempt)) return attempt;
    log::debug(model.spec.name + ": forward fails with " + input_flag(attempt) + " too");
  }
  return std::nullopt;
}

}  // namespace repsim::model
