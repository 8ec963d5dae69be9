#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

at::Tensor as_floats(const at::Tensor& tensor) {
  return (tensor.is_complex() ? at::view_as_real(tensor.resolve_conj()) : tensor).to(at::kFloat).contiguous();
}

template <typename Value>
std::span<const Value> values_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<Value>(), static_cast<std::size_t>(tensor.numel())};
}

bool finds_anything(const std::vector<Detections>& frames, double threshold) {
  return std::any_of(frames.begin(), frames.end(), [&](const Detections& detections) {
    return std::any_of(detections.begin(), detections.end(),
                       [&](const Detection& one) { return one.score >= threshold; });
  });
}

/// What a model finds on some frames.
struct Found {
  std::vector<Detections> frames;
  std::int64_t boxes_without_area = 0;
};

Found detect(const Head& head, const Forward& forward, std::int64_t frames, Progress& progress) {
  Found found;
  for (const auto& positions : capture::batches(frames, head.batch())) {
    const auto batch = static_cast<std::int64_t>(positions.size());
    for (Detections& one : read_detections(head, forward(positions), batch, &found.boxes_without_area))
      found.frames.push_back(std::move(one));
    progress.step(batch);
  }
  return found;
}

/// The values of one frame in an output for several; an output without a batch dimension belongs to its first frame.
at::Tensor of_frame(const at::Tensor& output, std::int64_t frame, std::int64_t frames) {
  if (frames == 1) return output;
  if (output.dim() > 0 && output.size(0) == frames) return output.select(0, frame);
  return frame == 0 ? output : output.new_empty({0});
}

/// Adds one output of one frame: floating values as float32, complex ones as pairs, integers and bools as they are.
void add_output(std::size_t index, const at::Tensor& own, const at::Tensor& merged, TensorAgreement& agreement) {
  if (own.is_floating_point() || own.is_complex()) {
    const at::Tensor left = as_floats(own), right = as_floats(merged);
    agreement.add(index, values_of<float>(left), values_of<float>(right));
  } else {
    const at::Tensor left = own.to(at::kLong).contiguous(), right = merged.to(at::kLong).contiguous();
    agreement.add_exact(index, values_of<std::int64_t>(left), values_of<std::int64_t>(right));
  }
}

/// Adds the outputs of one run.
void add_outputs(const Head& head, const c10::IValue& own, const c10::IValue& merged, std::int64_t frames,
                 TensorAgreement& agreement) {
  const std::vector<at::Tensor> left = model::tensors_of(own), right = model::tensors_of(merged);
  if (left.size() != right.size()) throw Error(ErrorKind::kInternal, "merged and original return different structures");
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].numel() == right[i].numel() && left[i].is_complex() == right[i].is_complex() &&
        left[i].is_floating_point() == right[i].is_floating_point())
      continue;
    throw input_error("the number of outputs depends on the picture: raw outputs cannot be compared", head.name,
                      "give the format of its detections: --format " + head.name + "=boxes-scores-labels");
  }
  for (std::int64_t frame = 0; frame < frames; ++frame) {
    for (std::size_t i = 0; i < left.size(); ++i)
      add_output(i, of_frame(left[i], frame, frames), of_frame(right[i], frame, frames), agreement);
    agreement.next_frame();
  }
}

}  // namespace

std::vector<Detections> read_detections(const Head& head, const c10::IValue& output, std::int64_t batch,
                                        std::int64_t* boxes_without_area) {
  std::vector<Detections> frames = model::decode(output, head.output, head.input, batch);
  const video::AffineMap& map = head.to_frame;
  for (Detections& detections : frames) {
    for (Detection& one : detections) {
      one.x1 = one.x1 * map.scale_x + map.offset_x;
      one.x2 = one.x2 * map.scale_x + map.offset_x;
      one.y1 = one.y1 * map.scale_y + map.offset_y;
      one.y2 = one.y2 * map.scale_y + map.offset_y;
    }
    const std::int64_t dropped = drop_boxes_without_area(detections);
    if (boxes_without_area != nullptr) *boxes_without_area += dropped;
    detections = suppress(detections);
  }
  return frames;
}

Reference reference(const Head& head, const Forward& original, std::int64_t frames, Progress& progress) {
  Reference result;
  if (head.output.format == model::OutputFormat::kTensor) return result;
  progress.begin("original " + head.name, frames);
  Found found = detect(head, original, frames, progress);
  result.own = std::move(found.frames);
  result.boxes_without_area = found.boxes_without_area;
  progress.end();
  result.targets = targets_from_own(result.own, head.output.score_threshold);
  for (const Target& target : result.targets) result.own_detections += static_cast<std::int64_t>(target.sure.size());
  return result;
}

Measured measure(const Head& head, const Reference& reference, const Forward& original, const Forward& merged,
                 std::int64_t frames, Progress& progress) {
  Measured result;
  progress.begin("measure " + head.name, frames);
  if (head.output.format != model::OutputFormat::kTensor) {
    Found found = detect(head, merged, frames, progress);
    result.found = std::move(found.frames);
    result.boxes_without_area = found.boxes_without_area;
    if (reference.own_detections > 0) {
      result.fidelity = average_precision(result.found, reference.targets);
    } else if (finds_anything(result.found, head.output.score_threshold)) {
      result.fidelity = 0;  // all that it finds are false alarms
    }
  } else {
    TensorAgreement agreement;
    for (const auto& positions : capture::batches(frames, head.batch())) {
      add_outputs(head, original(positions), merged(positions), static_cast<std::int64_t>(positions.size()), agreement);
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
    result.fidelity = agreement.fidelity();
    result.raw = std::move(agreement);
  }
  progress.end();
  return result;
}

}  // namespace repsim::verify
