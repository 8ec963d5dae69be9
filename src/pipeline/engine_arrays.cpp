#include "engine_arrays.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"

namespace repsim::pipeline {
namespace {

constexpr std::int64_t kCalibrationFrames = 64;
constexpr const char *kFrames = "frames", *kCalibration = "calibration_";
constexpr const char *kOriginal = "original", *kBundle = "bundle";

struct DtypeName {
  at::ScalarType type;
  const char* numpy;
};
constexpr std::array kDtypeNames{DtypeName{at::kFloat, "<f4"},  DtypeName{at::kHalf, "<f2"},
                                 DtypeName{at::kDouble, "<f8"}, DtypeName{at::kLong, "<i8"},
                                 DtypeName{at::kInt, "<i4"},    DtypeName{at::kByte, "|u1"},
                                 DtypeName{at::kBool, "|b1"}};

std::string numpy_name(at::ScalarType type) {
  for (const DtypeName& one : kDtypeNames) {
    if (one.type == type) return one.numpy;
  }
  throw Error(ErrorKind::kInternal, std::string("no NumPy dtype for ") + c10::toString(type));
}

at::ScalarType scalar_type(const std::string& numpy) {
  for (const DtypeName& one : kDtypeNames) {
    if (one.numpy == numpy) return one.type;
  }
  throw Error(ErrorKind::kInternal, "no type for the NumPy dtype " + numpy);
}

std::string_view bytes_of(const at::Tensor& contiguous) {
  return {static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes()};
}

/// "images", or "images_<model>" after the first model of the group, as scripts/bundle_to_onnx.py names inputs.
std::string input_name(const session::Session& session, int group) {
  if (session.set.specs.size() == 1) return "images";
  const auto found = std::find_if(session.models.begin(), session.models.end(),
                                  [group](const session::Model& model) { return model.group == group; });
  return "images_" + found->identifier;
}

void write_stores(model::NpzWriter& writer, const session::Session& session, const capture::Stores& stores,
                  const std::string& prefix) {
  for (int group = 0; group < static_cast<int>(session.set.specs.size()); ++group) {
    const std::int64_t count = stores.front().size();
    for (std::int64_t position = 0; position < count; ++position) {
      const std::int64_t positions[] = {position};
      const c10::IValue input = capture::group_inputs(session.set, stores, {&group, 1}, positions).front();
      // One frame: [1, ...], or a list of one tensor without a batch dimension.
      const at::Tensor frame = model::tensors_of(input).front().contiguous();
      if (position == 0) {
        std::vector<std::int64_t> shape = frame.sizes().vec();
        if (input.isTensor()) shape.erase(shape.begin());
        shape.insert(shape.begin(), count);
        writer.begin(prefix + input_name(session, group), {numpy_name(frame.scalar_type()), shape});
      }
      writer.append(bytes_of(frame));
    }
    writer.end();
  }
  const at::Tensor indices = at::tensor(stores.front().frames(), at::kLong);
  writer.begin(prefix + kFrames, {"<i8", {indices.numel()}});
  writer.append(bytes_of(indices));
  writer.end();
}

/// The same structure with other tensors, in the order of model::tensors_of().
c10::IValue with_tensors(const c10::IValue& value, const std::vector<at::Tensor>& tensors, std::size_t& next) {
  if (value.isTensor()) return tensors.at(next++);
  if (value.isTuple()) {
    std::vector<c10::IValue> elements;
    for (const c10::IValue& element : value.toTupleRef().elements())
      elements.push_back(with_tensors(element, tensors, next));
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  if (value.isList()) {
    c10::impl::GenericList list(value.toListRef().empty() ? c10::AnyType::get() : value.toList().elementType());
    for (const c10::IValue& element : value.toListRef()) list.push_back(with_tensors(element, tensors, next));
    return list;
  }
  if (value.isGenericDict()) {
    const auto dict = value.toGenericDict();
    c10::impl::GenericDict made(dict.keyType(), dict.valueType());
    for (const auto& entry : dict) made.insert(entry.key(), with_tensors(entry.value(), tensors, next));
    return made;
  }
  return value;
}

std::string shape_text(c10::IntArrayRef sizes) {
  std::string text;
  for (const std::int64_t size : sizes) text += (text.empty() ? "" : ",") + std::to_string(size);
  return "[" + text + "]";
}

std::string array_name(const std::string& side, const session::Model& model, std::size_t output) {
  return side + "/" + model.identifier + "/" + std::to_string(output);
}

}  // namespace

std::vector<std::int64_t> calibration_for_engines(const std::vector<std::int64_t>& frames) {
  const auto all = static_cast<std::int64_t>(frames.size()), count = std::min(all, kCalibrationFrames);
  std::vector<std::int64_t> some;
  for (std::int64_t i = 0; i < count; ++i) some.push_back(frames[static_cast<std::size_t>(i * all / count)]);
  return some;
}

void write_engine_inputs(const std::filesystem::path& path, const session::Session& session,
                         const capture::Stores& frames, const capture::Stores* calibration) {
  StagedFile staged(path, /*force=*/true);
  model::NpzWriter writer(staged.path(), path.string());
  write_stores(writer, session, frames, "");
  if (calibration != nullptr) write_stores(writer, session, *calibration, kCalibration);
  writer.finish();
  sync_file(staged.path(), path);
  staged.commit();
}

EngineOutputs::EngineOutputs(const std::filesystem::path& path, const session::Session& session,
                             std::vector<std::int64_t> frames)
    : reader_(path), session_(session), frames_(std::move(frames)) {
  check_names();
  if (!reader_.has(kFrames))
    throw input_error("there is no array 'frames'", reader_.path(),
                      "copy 'frames' of the file of --dump-inputs into it");
  const model::NpyArray stated = reader_.read(kFrames);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(stated.header.elements()));
  if (stated.header.dtype != "<i8")
    throw input_error("the frames have the type " + stated.header.dtype + ", not <i8", reader_.path() + ": frames",
                      "copy 'frames' of the file of --dump-inputs into it");
  std::memcpy(indices.data(), stated.values.data(), stated.values.size());
  if (indices != frames_) {
    throw input_error("these are outputs for other frames", reader_.path() + ": frames",
                      "the --video and --frames that --dump-inputs had, or run the engine on a new file of it");
  }
}

void EngineOutputs::check_names() const {
  std::vector<std::string> known{kFrames};
  for (const char* side : {kOriginal, kBundle}) {
    for (const session::Model& model : session_.models) known.push_back(std::string(side) + "/" + model.identifier);
  }
  for (const std::string& name : reader_.names()) {
    const std::string stem = name.substr(0, name.rfind('/'));
    if (name == kFrames || std::find(known.begin() + 1, known.end(), stem) != known.end()) continue;
    throw input_error("there is no place for an array '" + name + "'", reader_.path(),
                      did_you_mean(stem, known) + "; arrays are called bundle/MODEL/0, original/MODEL/1, frames");
  }
}

at::Tensor EngineOutputs::read(const std::string& name, const at::Tensor& like) const {
  const model::NpyArray array = reader_.read(name);
  const std::string where = reader_.path() + ": " + name;
  const at::ScalarType type = scalar_type(array.header.dtype);
  if (at::isFloatingType(type) != like.is_floating_point()) {
    throw input_error("it has the type " + array.header.dtype + ", where the model returns " +
                          std::string(c10::toString(like.scalar_type())),
                      where, like.is_floating_point() ? "an array of float32" : "an array of int64");
  }
  const auto count = static_cast<std::int64_t>(frames_.size());
  std::vector<std::int64_t> stacked = like.sizes().vec();
  if (!stacked.empty() && stacked.front() == 1) stacked.erase(stacked.begin());
  stacked.insert(stacked.begin(), count);
  std::vector<std::int64_t> with_batch = like.sizes().vec();
  with_batch.insert(with_batch.begin(), count);
  if (array.header.shape != stacked && array.header.shape != with_batch) {
    throw input_error("it has the shape " + shape_text(array.header.shape), where,
                      "the outputs of all frames, one after another: " + shape_text(stacked));
  }
  const at::Tensor values = at::empty(with_batch, type);
  std::memcpy(values.mutable_data_ptr(), array.values.data(), array.values.size());
  return values.to(like.scalar_type());
}

std::optional<verify::Forward> EngineOutputs::forward_of(const std::string& side, std::size_t index,
                                                         const verify::Forward& original) const {
  const session::Model& model = session_.models[index];
  const std::string prefix = side + "/" + model.identifier + "/";
  const auto given = std::count_if(reader_.names().begin(), reader_.names().end(),
                                   [&](const std::string& name) { return name.starts_with(prefix); });
  if (given == 0) return std::nullopt;
  constexpr std::int64_t kFirst[] = {0};
  const std::vector<at::Tensor> like = model::tensors_of(original(kFirst));
  if (given != std::ssize(like)) {
    throw input_error("it has " + std::to_string(given) + " arrays " + prefix + "..., where the model returns " +
                          std::to_string(like.size()) + (like.size() == 1 ? " tensor" : " tensors"),
                      reader_.path(), prefix + "0 to " + prefix + std::to_string(like.size() - 1));
  }
  std::vector<at::Tensor> outputs;
  for (std::size_t i = 0; i < like.size(); ++i) outputs.push_back(read(array_name(side, model, i), like[i]));
  return [outputs, original](std::span<const std::int64_t> positions) {
    std::vector<at::Tensor> frame;
    for (const at::Tensor& output : outputs) frame.push_back(output.select(0, positions.front()));
    std::size_t next = 0;
    return with_tensors(original(positions), frame, next);
  };
}

void EngineOutputs::judge(verify::BundleCheck& check, report::Verification& result, Progress& progress) const {
  for (std::size_t i = 0; i < session_.models.size(); ++i) {
    const session::Model& model = session_.models[i];
    verify::Forward& original = check.models[i].original;  // one frame at a time, for both sides
    original =
        verify::remembered(verify::original_forward(model.loaded, session_.set, *check.frames, model.head.group));
    report::Verification::Model& entry = result.models[i];
    if (const auto forward = forward_of(kOriginal, i, original))
      entry.original_on_engine = verify::judge(check, i, *forward, progress);
    if (const auto forward = forward_of(kBundle, i, original))
      entry.bundle_on_engine = verify::judge(check, i, *forward, progress);
  }
}

}  // namespace repsim::pipeline
