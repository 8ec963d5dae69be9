#pragma once

#include <compare>
#include <cstdint>
#include <vector>

namespace repsim::graph {

/// From the receiver's input to the donor's input, where the two models may see different parts of the frame: a point
/// at x of the receiver's input is at scale * x + offset of the donor's. Coordinates are relative; 0 and 1 are the
/// outer edges of the outer pixels.
struct Alignment {
  double scale_x = 1, scale_y = 1, offset_x = 0, offset_y = 0;

  /// Both models see the same part of the frame: maps of different sizes need only a resize.
  [[nodiscard]] bool identity() const { return *this == Alignment{}; }
  friend bool operator==(const Alignment&, const Alignment&) = default;
};

/// One direction, vertical or horizontal, in which a donor's map is resampled to a receiver's.
struct ResampledAxis {
  std::int64_t from = 1, to = 1;  ///< cells of the donor's map and of the receiver's
  double scale = 1, offset = 0;   ///< the alignment in this direction

  /// Nothing changes in this direction: no matrix is needed.
  [[nodiscard]] bool identity() const { return from == to && scale == 1 && offset == 0; }
  /// Elements of the matrix of resample_weights(); 0 where none is needed.
  [[nodiscard]] std::int64_t elements() const { return identity() ? 0 : from * to; }
  friend auto operator<=>(const ResampledAxis&, const ResampledAxis&) = default;
};
/// The direction in which a map of from_height (from_width) cells gets height (width) cells. A map of one cell is taken
/// to be constant: it has scale 1 and offset 0.
[[nodiscard]] ResampledAxis vertical_axis(const Alignment& alignment, std::int64_t from_height, std::int64_t height);
[[nodiscard]] ResampledAxis horizontal_axis(const Alignment& alignment, std::int64_t from_width, std::int64_t width);

/// Whether the donor sees the centre of each cell of a height x width map over the receiver's input, row-major.
[[nodiscard]] std::vector<bool> cells_in_view(const Alignment& alignment, std::int64_t height, std::int64_t width);

/// The weights that resample one direction, [to, from], row-major. A receiver cell is the mean of the donor's map over
/// the stretch that the cell covers, or over one donor cell's length about its centre where it covers less. So the
/// result is an average (area resampling) where the donor's map is finer, and bilinear interpolation where it is
/// coarser. Only the part of the stretch within the donor's map counts. If the donor does not see a cell's centre, the
/// cell's row is zero; every other row sums to 1. (To repeat the donor's outer cells outside of its view explained less
/// of the receivers' layers.) Cost: O(to * from).
/// @param axis  from, to >= 1, scale > 0
[[nodiscard]] std::vector<double> resample_weights(const ResampledAxis& axis);

}  // namespace repsim::graph
