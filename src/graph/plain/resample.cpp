#include "repsim/resample.hpp"

#include <algorithm>

namespace repsim::graph {
namespace {

ResampledAxis axis_of(std::int64_t from, std::int64_t to, double scale, double offset) {
  return from == 1 ? ResampledAxis{1, to, 1, 0} : ResampledAxis{from, to, scale, offset};
}

/// Of a cell's centre in the donor's input, 0..1 where the donor sees it.
double position(double scale, double offset, std::int64_t cell, std::int64_t cells) {
  return scale * (static_cast<double>(cell) + 0.5) / static_cast<double>(cells) + offset;
}

bool in_view(double scale, double offset, std::int64_t cell, std::int64_t cells) {
  const double centre = position(scale, offset, cell, cells);
  return centre >= 0 && centre <= 1;
}

}  // namespace

ResampledAxis vertical_axis(const Alignment& alignment, std::int64_t from_height, std::int64_t height) {
  return axis_of(from_height, height, alignment.scale_y, alignment.offset_y);
}

ResampledAxis horizontal_axis(const Alignment& alignment, std::int64_t from_width, std::int64_t width) {
  return axis_of(from_width, width, alignment.scale_x, alignment.offset_x);
}

std::vector<bool> cells_in_view(const Alignment& alignment, std::int64_t height, std::int64_t width) {
  std::vector<bool> seen;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      seen.push_back(in_view(alignment.scale_y, alignment.offset_y, y, height) &&
                     in_view(alignment.scale_x, alignment.offset_x, x, width));
    }
  }
  return seen;
}

std::vector<double> resample_weights(const ResampledAxis& axis) {
  const auto from = static_cast<double>(axis.from), to = static_cast<double>(axis.to);
  const double length = std::max(1.0, axis.scale * from / to);  // in donor cells
  std::vector<double> weights(static_cast<std::size_t>(axis.from * axis.to), 0.0);
  for (std::int64_t i = 0; i < axis.to; ++i) {
    if (!in_view(axis.scale, axis.offset, i, axis.to)) continue;
    const double centre = from * position(axis.scale, axis.offset, i, axis.to);
    const double begin = std::max(0.0, centre - length / 2), end = std::min(from, centre + length / 2);
    double* row = weights.data() + i * axis.from;
    for (std::int64_t j = 0; j < axis.from; ++j) {
      const auto left = static_cast<double>(j);
      row[j] = std::max(0.0, std::min(end, left + 1) - std::max(begin, left)) / (end - begin);
    }
  }
  return weights;
}

}  // namespace repsim::graph
