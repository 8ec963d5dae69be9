#include "yolo_rows.hpp"

namespace repsim::model {
namespace {

/// Whether the centres are spread over the picture as one per cell are: each field of a 4x4 raster has at least a
/// quarter of an even share. Sigmoids that nobody has moved to their cells sit in the middle.
bool covers(const at::Tensor& x, const at::Tensor& y) {
  constexpr std::int64_t kRaster = 4;
  const auto field = [](const at::Tensor& v) { return (v * kRaster).floor().clamp(0, kRaster - 1).to(at::kLong); };
  const at::Tensor counts = at::bincount((field(y) * kRaster + field(x)).flatten(), {}, kRaster * kRaster);
  return counts.min().item<std::int64_t>() * kRaster * kRaster * 4 >= x.numel();
}

/// Why these cannot be boxes cx cy w h of a grid; empty when they can.
std::string doubt_about_boxes(const at::Tensor& boxes, const InputSpec& input) {
  const bool pixels = boxes.abs().max().to(at::kDouble).item<double>() > 2.0;
  const at::Tensor x = boxes.select(-1, 0) / (pixels ? static_cast<double>(input.width) : 1.0);
  const at::Tensor y = boxes.select(-1, 1) / (pixels ? static_cast<double>(input.height) : 1.0);
  if (!(boxes.slice(-1, 2, 4) >= 0).all().item<bool>()) return "its widths and heights are not all positive";
  for (const at::Tensor& centre : {x, y}) {
    if (centre.min().to(at::kDouble).item<double>() < -0.5 || centre.max().to(at::kDouble).item<double>() > 1.5) {
      return "its centres lie far outside of the picture";
    }
  }
  return covers(x, y) ? "" : "its centres do not cover the picture";
}

}  // namespace

std::optional<std::string> grids_of(std::int64_t rows, std::int64_t anchors, const InputSpec& input) {
  for (const std::int64_t first : {4, 8, 16}) {
    std::int64_t cells = 0;
    std::string text;
    for (std::int64_t stride = first; stride <= 64; stride *= 2) {
      const std::int64_t columns = (input.width + stride - 1) / stride, lines = (input.height + stride - 1) / stride;
      cells += columns * lines;
      text += (text.empty() ? "" : " + ") + std::to_string(columns) + "x" + std::to_string(lines);
      if (stride > first && stride >= 16 && anchors * cells == rows) {
        return anchors == 1 ? text : std::to_string(anchors) + " x (" + text + ")";
      }
    }
  }
  return std::nullopt;
}

Fit fit_rows(const at::Tensor& rows, std::int64_t first_score, const OutputSpec& spec, const Context& context) {
  const bool asked = spec.format != OutputFormat::kAuto;
  const std::int64_t columns = rows.size(2) - first_score;
  const auto named = static_cast<std::int64_t>(spec.classes.size());
  const std::string shape = shape_text(rows);
  if (rows.numel() == 0 || columns < std::max<std::int64_t>(named, 1)) {
    return Fit::no(shape + " has no room for the scores of " + std::to_string(std::max<std::int64_t>(named, 1)) +
                   " classes");
  }
  Fit fit;
  fit.classes = spec.classes;
  fit.boxes = rows.slice(2, 0, 4);
  if (in_unit_range(rows.slice(2, first_score))) {
    // All of them can be scores: names that are fewer are names of the first ones.
    if (named > 0) fit.classes.resize(static_cast<std::size_t>(columns));
  } else if (named == 0) {
    return Fit::no(shape + " has columns that are no scores in 0..1, and no output.classes tells how many are scores");
  } else if (!in_unit_range(rows.slice(2, first_score, first_score + named))) {
    return Fit::no(shape + " has class columns that are no scores in 0..1");
  }
  if (!asked) {
    if (const std::string doubt = doubt_about_boxes(fit.boxes, context.input); !doubt.empty()) {
      return Fit::no(shape + " has the size of rows of a YOLO, but " + doubt);
    }
  }
  fit.fits = true;
  return fit;
}

std::int64_t class_count(std::int64_t columns, std::int64_t first_score, const OutputSpec& spec) {
  const std::int64_t all = columns - first_score;
  return spec.classes.empty() ? all : std::min(all, static_cast<std::int64_t>(spec.classes.size()));
}

std::string columns_text(std::int64_t columns, std::int64_t first_score, const Fit& fit) {
  OutputSpec resolved;
  resolved.classes = fit.classes;
  const std::int64_t classes = class_count(columns, first_score, resolved);
  const std::int64_t others = columns - first_score - classes;
  std::string text = ", " + std::to_string(classes) + (classes == 1 ? " class" : " classes");
  if (others > 0) text += " and " + std::to_string(others) + " further values per box that are not compared";
  return text;
}

}  // namespace repsim::model
