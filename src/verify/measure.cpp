#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

std::vector<Detections> detect(const Head& head, const Forward& forward, std::int64_t frames, Progress& progress) {
  std::vector<Detections> found;
  for (const auto& positions : capture::batches(frames, head.batch())) {
    const auto batch = static_cast<std::int64_t>(positions.size());
    for (Detections& one : read_detections(head, forward(positions), batch)) found.push_back(std::move(one));
    progress.step(batch);
  }
  return found;
}

/// Floating outputs as float32, in order.
std::vector<at::Tensor> float_outputs(const c10::IValue& output) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& tensor : model::tensors_of(output)) {
    if (tensor.is_floating_point()) result.push_back(tensor.to(at::kFloat).contiguous());
  }
  return result;
}

std::span<const float> values_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

std::vector<Detections> read_detections(const Head& head, const c10::IValue& output, std::int64_t batch) {
  std::vector<Detections> frames = model::decode(output, head.output, head.input, batch);
  const video::AffineMap& map = head.to_frame;
  for (Detections& detections : frames) {
    for (Detection& one : detections) {
      one.x1 = one.x1 * map.scale_x + map.offset_x;
      one.x2 = one.x2 * map.scale_x + map.offset_x;
      one.y1 = one.y1 * map.scale_y + map.offset_y;
      one.y2 = one.y2 * map.scale_y + map.offset_y;
    }
    detections = suppress(detections);
  }
  return frames;
}

Reference reference(const Head& head, const Forward& original, std::int64_t frames, Progress& progress) {
  Reference result;
  if (head.output.format == model::OutputFormat::kTensor) return result;
  progress.begin("original " + head.name, frames);
  result.own = detect(head, original, frames, progress);
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
    result.found = detect(head, merged, frames, progress);
    result.fidelity = average_precision(result.found, reference.targets);
    // If the original detects nothing on these frames, a merged model that detects nothing agrees with it.
    if (reference.own_detections == 0) {
      const bool silent = std::all_of(result.found.begin(), result.found.end(), [&](const Detections& detections) {
        return std::none_of(detections.begin(), detections.end(),
                            [&](const Detection& one) { return one.score >= head.output.score_threshold; });
      });
      result.fidelity = silent ? 1.0 : 0.0;
    }
  } else {
    TensorAgreement agreement;
    for (const auto& positions : capture::batches(frames, head.batch())) {
      const auto own = float_outputs(original(positions)), other = float_outputs(merged(positions));
      if (own.size() != other.size())
        throw Error(ErrorKind::kInternal, "merged and original return different structures");
      for (std::size_t i = 0; i < own.size(); ++i) {
        if (own[i].numel() != other[i].numel()) {
          throw input_error("the number of outputs depends on the picture: raw outputs cannot be compared", head.name,
                            "give the format of its detections: --format " + head.name + "=boxes-scores-labels");
        }
        agreement.add(i, values_of(own[i]), values_of(other[i]));
      }
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
    result.fidelity = agreement.fidelity().value_or(1);
  }
  progress.end();
  return result;
}

}  // namespace repsim::verify
