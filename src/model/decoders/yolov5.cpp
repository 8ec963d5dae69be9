// yolov5: one row per anchor and cell, [B,N,5+classes] (YOLOv3, v5, v7; YOLOX with one anchor), alone or first in a
// tuple or list whose other entries are the raw maps.
//
//     cx cy w h objectness | class scores ...     score = objectness * class score
//
// Rows are dropped by their objectness first, as the field's NMS does; then every class that is strong enough counts.
#include "yolo_rows.hpp"

namespace repsim::model {
namespace {

constexpr std::int64_t kObjectness = 4, kYolov5FirstScore = 5;

at::Tensor yolov5_rows_of(const c10::IValue& output, const Context& context) {
  const at::Tensor rows = leading_tensor(output);
  const bool shape = rows.defined() && rows.is_floating_point() && rows.dim() == 3 && rows.size(0) == context.batch &&
                     rows.size(2) > kYolov5FirstScore;
  return shape ? rows : at::Tensor();
}

Fit fit_yolov5(const c10::IValue& output, const OutputSpec& spec, const Context& context) {
  const at::Tensor rows = yolov5_rows_of(output, context);
  if (!rows.defined()) return Fit::no();
  const std::int64_t columns = rows.size(2);
  std::string grids;
  if (spec.format == OutputFormat::kAuto) {
    auto found = grids_of(rows.size(1), 3, context.input);
    // One anchor per cell: yolov8 in rows has the same size. Only the number of classes tells them apart.
    const auto classes = static_cast<std::int64_t>(spec.classes.size());
    if (!found && classes > 0 && columns == kYolov5FirstScore + classes)
      found = grids_of(rows.size(1), 1, context.input);
    if (!found) return Fit::no();
    grids = *found;
  }
  Fit fit = fit_rows(rows, kYolov5FirstScore, spec, context);
  if (!fit.fits) return fit;
  if (spec.format == OutputFormat::kAuto && !in_unit_range(rows.select(2, kObjectness))) {
    return Fit::no(shape_text(rows) + " has an objectness outside of 0..1");
  }
  fit.reason = "rows cx cy w h objectness scores " + shape_text(rows) + ", one per cell of " + grids +
               columns_text(columns, kYolov5FirstScore, fit);
  return fit;
}

std::optional<std::vector<Candidates>> decode_rows(const c10::IValue& output, const OutputSpec& spec,
                                                   const Context& context) {
  const at::Tensor rows = yolov5_rows_of(output, context);
  if (!rows.defined()) return std::nullopt;
  const std::int64_t classes = class_count(rows.size(2), kYolov5FirstScore, spec);
  std::vector<Candidates> decoded;
  for (const at::Tensor& frame : rows.unbind(0)) {
    const at::Tensor likely = (frame.select(1, kObjectness).to(at::kFloat) >= kMinScore).nonzero().squeeze(1);
    const at::Tensor kept = frame.index_select(0, likely).to(at::kFloat);
    const at::Tensor scores =
        kept.slice(1, kYolov5FirstScore, kYolov5FirstScore + classes) * kept.slice(1, kObjectness, kYolov5FirstScore);
    decoded.push_back(strong_pairs(corners_of(kept.slice(1, 0, 4)), scores));
  }
  return decoded;
}

}  // namespace

const Decoder kYolov5Decoder{OutputFormat::kYolov5, fit_yolov5, decode_rows};

}  // namespace repsim::model
