// yolov8: one column per cell, [B,4+classes,N] (YOLOv8, v9, v11, v12), alone or first in a tuple or list.
//
//     cx cy w h | class scores ... | mask coefficients, key points ...     down a column
//
// Every class that is strong enough counts. Rows [B,N,4+classes] are read too; auto takes them only where the number of
// classes is known, since one-anchor rows with an objectness look the same.
#include "yolo_rows.hpp"

namespace repsim::model {
namespace {

constexpr std::int64_t kYolov8FirstScore = 4;

/// [B,N,4+classes] whichever way round the output is: the side that is the number of cells, else the longer one.
at::Tensor yolov8_rows_of(const c10::IValue& output, const Context& context, bool* turned = nullptr) {
  const at::Tensor found = leading_tensor(output);
  if (!found.defined() || !found.is_floating_point() || found.dim() != 3 || found.size(0) != context.batch) return {};
  const bool by_cells = grids_of(found.size(2), 1, context.input).has_value();
  const bool is_rows = !by_cells && (grids_of(found.size(1), 1, context.input) || found.size(1) > found.size(2));
  if (turned != nullptr) *turned = is_rows;
  const at::Tensor rows = is_rows ? found : found.transpose(1, 2);
  return rows.size(2) > kYolov8FirstScore ? rows : at::Tensor();
}

Fit fit_yolov8(const c10::IValue& output, const OutputSpec& spec, const Context& context) {
  bool turned = false;
  const at::Tensor rows = yolov8_rows_of(output, context, &turned);
  if (!rows.defined()) return Fit::no();
  const bool asked = spec.format != OutputFormat::kAuto;
  const auto grids = grids_of(rows.size(1), 1, context.input);
  if (!asked && !grids) return Fit::no();
  const auto named = static_cast<std::int64_t>(spec.classes.size());
  if (named > 0 && rows.size(2) == kYolov8FirstScore + named + 1) {
    if (turned) return Fit::no();  // yolov5's
    return Fit::no(shape_text(leading_tensor(output)) + " has one value per box beyond the " + std::to_string(named) +
                   " classes of output.classes: the angle of a rotated box, or a class without a name");
  }
  Fit fit = fit_rows(rows, kYolov8FirstScore, spec, context);
  if (!fit.fits) return fit;
  if (!asked && turned && rows.size(2) != kYolov8FirstScore + named) {
    return Fit::no(shape_text(rows) + " has one row per cell of " + *grids +
                   ", and column 5 may be a class or an objectness (then --format yolov5); class names would tell");
  }
  fit.reason = std::string(turned ? "rows" : "columns") + " cx cy w h scores " + shape_text(leading_tensor(output)) +
               ", one per cell" + (grids ? " of " + *grids : "") + columns_text(rows.size(2), kYolov8FirstScore, fit);
  return fit;
}

std::optional<std::vector<Candidates>> decode_columns(const c10::IValue& output, const OutputSpec& spec,
                                                      const Context& context) {
  const at::Tensor rows = yolov8_rows_of(output, context);
  if (!rows.defined()) return std::nullopt;
  const std::int64_t classes = class_count(rows.size(2), kYolov8FirstScore, spec);
  std::vector<Candidates> decoded;
  for (const at::Tensor& frame : rows.unbind(0)) {
    const at::Tensor scores = frame.slice(1, kYolov8FirstScore, kYolov8FirstScore + classes).to(at::kFloat);
    const at::Tensor likely = (std::get<0>(scores.max(1)) >= kMinScore).nonzero().squeeze(1);
    decoded.push_back(strong_pairs(corners_of(frame.slice(1, 0, 4).index_select(0, likely).to(at::kFloat)),
                                   scores.index_select(0, likely)));
  }
  return decoded;
}

}  // namespace

const Decoder kYolov8Decoder{OutputFormat::kYolov8, fit_yolov8, decode_columns};

}  // namespace repsim::model
