#include "coordinates.hpp"

#include "repsim/base/error.hpp"

namespace repsim::fit {
namespace {

at::Tensor weights_of(const graph::Axis& axis) {
  std::vector<double> weights = graph::resample_weights(axis);
  return at::from_blob(weights.data(), {axis.to, axis.from}, at::kDouble).to(at::kFloat);
}

}  // namespace

graph::Alignment alignment(const capture::ModelSet& set, int receiver, int donor) {
  if (set.views.empty()) return {};
  if (set.views.size() != set.specs.size()) throw Error(ErrorKind::kInternal, "a view is missing");
  const auto view = [&](int model) {
    return set.views[static_cast<std::size_t>(set.groups[static_cast<std::size_t>(model)])];
  };
  const video::AffineMap to = view(receiver), from = view(donor);
  if (to == from) return {};
  // Receiver's input -> frame -> donor's input.
  return {to.scale_x / from.scale_x, to.scale_y / from.scale_y, (to.offset_x - from.offset_x) / from.scale_x,
          (to.offset_y - from.offset_y) / from.scale_y};
}

Matrices matrices(const graph::Alignment& alignment, at::IntArrayRef from, at::IntArrayRef to) {
  const graph::Axis height = graph::vertical(alignment, from[1], to[1]),
                    width = graph::horizontal(alignment, from[2], to[2]);
  Matrices result;
  if (!height.identity()) result.rows = weights_of(height);
  if (!width.identity()) result.columns = weights_of(width).t().contiguous();
  return result;
}

at::Tensor Matrices::apply(const at::Tensor& map) const {
  at::Tensor value = map;
  if (columns.defined()) value = at::matmul(value, columns);
  if (rows.defined()) value = at::matmul(rows, value);
  return value;
}

at::Tensor rows_in_view(const at::Tensor& rows, const graph::Alignment& alignment, std::int64_t height,
                        std::int64_t width) {
  if (alignment.identity()) return rows;
  const std::vector<bool> seen = graph::cells_in_view(alignment, height, width);
  std::vector<std::int64_t> positions;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (seen[i]) positions.push_back(static_cast<std::int64_t>(i));
  }
  if (positions.empty() || positions.size() == seen.size()) return rows;
  return rows.index_select(1, at::tensor(positions, at::kLong));
}

}  // namespace repsim::fit
