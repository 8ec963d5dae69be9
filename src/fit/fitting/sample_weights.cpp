#include <algorithm>

#include "repsim/fit/fitting.hpp"

namespace repsim::fit {
namespace {

/// Length of what two intervals have in common.
double common(double a1, double a2, double b1, double b2) { return std::min(a2, b2) - std::max(a1, b1); }

}  // namespace

at::Tensor SampleWeights::of(std::span<const std::int64_t> positions, std::int64_t height, std::int64_t width) const {
  at::Tensor weights = at::zeros({static_cast<std::int64_t>(positions.size()), height * width}, at::kDouble);
  if (boxes.empty()) return weights.fill_(1.0);
  const double cell_height = 1.0 / static_cast<double>(height), cell_width = 1.0 / static_cast<double>(width);
  auto* row = weights.data_ptr<double>();
  for (const std::int64_t position : positions) {
    for (const model::Detection& box : boxes[position]) {
      const double box_height = box.y2 - box.y1, box_width = box.x2 - box.x1;
      if (!(box_height > 0) || !(box_width > 0)) continue;
      const auto cell = [](double at, std::int64_t cells) {
        return static_cast<std::int64_t>(std::clamp(at * static_cast<double>(cells), 0.0, static_cast<double>(cells)));
      };
      const double smaller = std::min(box_height * box_width, cell_height * cell_width);
      for (std::int64_t i = cell(box.y1, height); i <= std::min(cell(box.y2, height), height - 1); ++i) {
        const double y = static_cast<double>(i) * cell_height, tall = common(box.y1, box.y2, y, y + cell_height);
        for (std::int64_t j = cell(box.x1, width); j <= std::min(cell(box.x2, width), width - 1); ++j) {
          const double x = static_cast<double>(j) * cell_width, wide = common(box.x1, box.x2, x, x + cell_width);
          if (!(tall > 0) || !(wide > 0)) continue;
          double& weight = row[i * width + j];
          weight = std::max(weight, box.score * std::min(1.0, tall * wide / smaller));
        }
      }
    }
    row += height * width;
  }
  return weights.add_(floor);
}

}  // namespace repsim::fit
