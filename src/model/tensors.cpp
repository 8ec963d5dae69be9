#include <optional>

#include "repsim/base/error.hpp"
#include "repsim/model.hpp"

namespace repsim::model {
namespace {

void collect(const c10::IValue& value, std::vector<at::Tensor>& out) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) out.push_back(value.toTensor());
  } else if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) collect(element, out);
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) collect(element, out);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) collect(entry.value(), out);
  }
}

at::ScalarType dtype_of(const InputSpec& spec) {
  switch (spec.dtype) {
    case InputDtype::kUint8:
      return at::kByte;
    case InputDtype::kFloat16:
      return at::kHalf;
    case InputDtype::kFloat32:
      break;
  }
  return at::kFloat;
}

/// What stands in the way of comparing a tensor's numbers, and the call that makes others of it.
struct Obstacle {
  std::string kind, call;
};

std::optional<Obstacle> obstacle_of(const at::Tensor& tensor) {
  const at::ScalarType type = tensor.scalar_type();
  if (tensor.is_quantized()) return Obstacle{"a quantised tensor", ".dequantize()"};
  if (tensor.layout() != at::kStrided) return Obstacle{"a sparse tensor", ".to_dense()"};
  if (c10::isFloat8Type(type) || c10::isBitsType(type))
    return Obstacle{"a tensor of the type " + std::string(c10::toString(type)), ".float()"};
  if (c10::isBarebonesUnsignedType(type))
    return Obstacle{"a tensor of the type " + std::string(c10::toString(type)), ".long()"};
  return std::nullopt;
}

}  // namespace

void check_output_kinds(const c10::IValue& output, const std::string& path) {
  for (const at::Tensor& tensor : tensors_of(output)) {
    if (const auto obstacle = obstacle_of(tensor))
      throw input_error("the model returns " + obstacle->kind + ", whose numbers cannot be compared", path,
                        "let forward return its numbers: add " + obstacle->call + " before the export");
  }
}

c10::IValue make_input(const InputSpec& spec, const at::Tensor& frames) {
  const at::Tensor elements = frames.to(dtype_of(spec));
  const at::Tensor ordered = (spec.layout == Layout::kNhwc ? elements.permute({0, 2, 3, 1}) : elements).contiguous();
  if (spec.kind == InputKind::kTensor) return ordered;
  c10::List<at::Tensor> images;
  for (const at::Tensor& frame : ordered.unbind(0)) images.push_back(frame);
  return images;
}

std::vector<at::Tensor> tensors_of(const c10::IValue& value) {
  std::vector<at::Tensor> tensors;
  collect(value, tensors);
  return tensors;
}

at::Tensor example_frames(const InputSpec& spec, std::int64_t batch) {
  at::Tensor pixels = at::empty({batch, 3, spec.height, spec.width}, at::kFloat);
  auto values = pixels.accessor<float, 4>();
  std::uint32_t state = 12345;  // a small linear congruential generator: the same picture with every Torch
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t c = 0; c < 3; ++c) {
      for (std::int64_t y = 0; y < spec.height; ++y) {
        for (std::int64_t x = 0; x < spec.width; ++x) {
          state = state * 1664525u + 1013904223u;
          const double noise = static_cast<double>(state >> 24) / 4.0;
          const double slope =
              96.0 * static_cast<double>(x) / static_cast<double>(spec.width) +
              64.0 * static_cast<double>((y + 37 * b + 11 * c) % spec.height) / static_cast<double>(spec.height);
          const double pixel = std::min(255.0, std::floor(noise + slope));
          const auto channel = static_cast<std::size_t>(c);
          values[b][c][y][x] = static_cast<float>((pixel * spec.scale - spec.mean[channel]) / spec.std[channel]);
        }
      }
    }
  }
  return pixels;
}

}  // namespace repsim::model
