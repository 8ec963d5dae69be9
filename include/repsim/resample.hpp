#pragma once

#include <compare>
#include <cstdint>
#include <vector>

namespace repsim::graph {

/// Where two models that see other parts of the frame look: a point of the receiver's input and the same point of the
/// frame in the donor's input, both relative (0 and 1 are the outer edges of the outer pixels).
struct Alignment {
  double scale_x = 1, scale_y = 1, offset_x = 0, offset_y = 0;  ///< donor = scale * receiver + offset

  /// Equal coordinates: a resize is all that maps of other sizes need.
  [[nodiscard]] bool identity() const { return *this == Alignment{}; }
  friend bool operator==(const Alignment&, const Alignment&) = default;
};

/// One direction (height or width) of a map that is brought into the coordinates of another.
struct ResampledAxis {
  std::int64_t from = 1, to = 1;  ///< cells of the donor's map, of the receiver's
  double scale = 1, offset = 0;   ///< of the Alignment in this direction

  /// Nothing changes in this direction: no matrix is needed.
  [[nodiscard]] bool identity() const { return from == to && scale == 1 && offset == 0; }
  [[nodiscard]] std::int64_t elements() const { return identity() ? 0 : from * to; }
  friend auto operator<=>(const ResampledAxis&, const ResampledAxis&) = default;
};
/// The axes of a map of from_height x from_width cells that becomes height x width. A single cell is the same
/// everywhere.
[[nodiscard]] ResampledAxis vertical_axis(const Alignment& alignment, std::int64_t from_height, std::int64_t height);
[[nodiscard]] ResampledAxis horizontal_axis(const Alignment& alignment, std::int64_t from_width, std::int64_t width);

/// Whether the donor sees the centre of each cell of a height x width map over the receiver's input, row-major.
[[nodiscard]] std::vector<bool> cells_in_view(const Alignment& alignment, std::int64_t height, std::int64_t width);

/// Weights [to, from], row-major: a receiver cell is the mean of the donor's map over what the cell covers in it, or
/// over one donor cell's length about its centre where it covers less. So it is an average (area resampling) where the
/// donor is finer, bilinear interpolation where it is coarser, and both agree where cells are of one length; only what
/// lies within the donor's map counts. A cell whose centre the donor does not see is 0: its row is zero, the others sum
/// to 1. (Carrying the donor's outer cells on instead invents responses there; it explained less of the receiver's
/// layers.)
/// @param axis  from, to >= 1, scale > 0
/// Cost: O(to * from).
[[nodiscard]] std::vector<double> resample_weights(const ResampledAxis& axis);

}  // namespace repsim::graph
