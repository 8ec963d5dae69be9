#include "candidates.hpp"

namespace repsim::model {

Candidates strong_boxes(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& labels) {
  const at::Tensor values = scores.to(at::kFloat);
  const at::Tensor strong = (values >= kMinScore).nonzero().squeeze(1);
  return {boxes.index_select(0, strong), values.index_select(0, strong), labels.index_select(0, strong)};
}

Candidates strong_pairs(const at::Tensor& boxes, const at::Tensor& class_scores) {
  const at::Tensor values = class_scores.to(at::kFloat);
  const at::Tensor pairs = (values >= kMinScore).nonzero();
  const at::Tensor rows = pairs.select(1, 0), labels = pairs.select(1, 1);
  return {boxes.index_select(0, rows), values.index({rows, labels}), labels};
}

at::Tensor corners_of(const at::Tensor& centred) {
  const at::Tensor centre = centred.slice(-1, 0, 2), half = centred.slice(-1, 2, 4) / 2;
  return at::cat({centre - half, centre + half}, -1);
}

at::Tensor leading_tensor(const c10::IValue& output) {
  if (output.isTensor()) return output.toTensor();
  std::vector<c10::IValue> elements;
  if (output.isTuple()) {
    const auto& parts = output.toTupleRef().elements();
    for (const c10::IValue& part : parts) elements.push_back(part);
  } else if (output.isList()) {
    for (const c10::IValue& part : output.toListRef()) elements.push_back(part);
  }
  if (elements.empty() || !elements.front().isTensor()) return {};
  at::Tensor first = elements.front().toTensor();
  for (std::size_t i = 1; i < elements.size(); ++i) {
    if (elements[i].isTensor() && elements[i].toTensor().dim() == first.dim()) return {};
  }
  return first;
}

bool in_unit_range(const at::Tensor& values) {
  constexpr double kRounding = 1e-4;
  if (values.numel() == 0) return true;
  return values.min().to(at::kDouble).item<double>() >= -kRounding &&
         values.max().to(at::kDouble).item<double>() <= 1 + kRounding;
}

bool corners_in_order(const at::Tensor& boxes) {
  if (boxes.numel() == 0) return true;
  const at::Tensor ordered = (boxes.slice(-1, 2, 4) >= boxes.slice(-1, 0, 2)).all(-1);
  return ordered.to(at::kDouble).mean().item<double>() >= 0.999;
}

std::string doubt_about_corners(const at::Tensor& boxes, const at::Tensor& scores) {
  // Decoded corners are in order but for rounding and a regression gone astray; of centres and sizes most are not.
  constexpr double kMostReversed = 0.05;
  at::Tensor rows = boxes.reshape({-1, 4}).to(at::kFloat);
  const at::Tensor values = scores.reshape({-1}).to(at::kFloat), strong = (values >= kMinScore).nonzero().squeeze(1);
  if (strong.numel() > 0 && in_unit_range(values)) rows = rows.index_select(0, strong);
  // Padding and boxes that were clipped to an edge have no width or height: they tell nothing.
  const at::Tensor sides = rows.slice(1, 2, 4) - rows.slice(1, 0, 2);
  rows = rows.index_select(0, (at::isfinite(sides) & (sides != 0)).all(1).nonzero().squeeze(1));
  if (rows.size(0) == 0) return {};
  const at::Tensor reversed = (rows.slice(1, 2, 4) < rows.slice(1, 0, 2)).any(1);
  const auto count = reversed.sum().item<std::int64_t>();
  if (static_cast<double>(count) <= kMostReversed * static_cast<double>(rows.size(0))) return {};
  const bool sizes = (rows.slice(1, 2, 4) >= 0).all().item<bool>();
  return (sizes ? "boxes look like centre and size, not x1 y1 x2 y2" : "boxes are not x1 y1 x2 y2") +
         std::string(": x2 < x1 or y2 < y1 in ") + std::to_string(count) + " of " + std::to_string(rows.size(0));
}

std::string shape_text(const at::Tensor& tensor) {
  std::string text;
  for (const std::int64_t size : tensor.sizes()) text += (text.empty() ? "" : ",") + std::to_string(size);
  return "[" + text + "]";
}

}  // namespace repsim::model
