#include "coordinates.hpp"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <algorithm>

#include "repsim/base/error.hpp"

namespace repsim::fit {
namespace {

at::Tensor weights_of(const graph::ResampledAxis& axis) {
  std::vector<double> weights = graph::resample_weights(axis);
  return at::from_blob(weights.data(), {axis.to, axis.from}, at::kDouble).to(at::kFloat);
}

}  // namespace

graph::Alignment alignment(const capture::ModelSet& set, ModelIndex receiver, ModelIndex donor) {
  if (set.views.empty()) return {};
  if (set.views.size() != set.specs.size()) throw Error(ErrorKind::kInternal, "a view is missing");
  const auto view = [&](ModelIndex model) { return set.views[set.groups[model]]; };
  const video::AffineMap to = view(receiver), from = view(donor);
  if (to == from) return {};
  // Receiver's input -> frame -> donor's input.
  return {to.scale_x / from.scale_x, to.scale_y / from.scale_y, (to.offset_x - from.offset_x) / from.scale_x,
          (to.offset_y - from.offset_y) / from.scale_y};
}

std::vector<graph::Alignment> alignments(const capture::ModelSet& set, ModelIndex receiver,
                                         const std::vector<ModelIndex>& donors) {
  std::vector<graph::Alignment> result;
  for (const ModelIndex donor : donors) {
    const graph::Alignment one = alignment(set, receiver, donor);
    if (std::find(result.begin(), result.end(), one) == result.end()) result.push_back(one);
  }
  return result;
}

Matrices matrices(const graph::Alignment& alignment, at::IntArrayRef from, at::IntArrayRef to) {
  const graph::ResampledAxis height = graph::vertical_axis(alignment, from[1], to[1]),
                             width = graph::horizontal_axis(alignment, from[2], to[2]);
  Matrices result;
  if (!height.identity()) result.vertical = weights_of(height);
  if (!width.identity()) result.horizontal = weights_of(width).t().contiguous();
  return result;
}

graph::Resampling resampling_of(const capture::ModelSet& set, ModelIndex receiver, const graph::DonorLayer& from,
                                at::IntArrayRef to) {
  const auto& shape = set.models[from.donor]->program.layers[from.donor_layer].shape;
  const graph::Alignment aligned = alignment(set, receiver, from.donor);
  if (!aligned.identity()) {
    const Matrices maps = matrices(aligned, shape, to);
    return {0, 0, maps.vertical, maps.horizontal};
  }
  if (shape[1] != to[1] || shape[2] != to[2]) return {to[1], to[2], {}, {}};
  return {};
}

at::Tensor Matrices::apply(const at::Tensor& map) const {
  at::Tensor value = map;
  if (horizontal.defined()) value = at::matmul(value, horizontal.to(map.device()));
  if (vertical.defined()) value = at::matmul(vertical.to(map.device()), value);
  return value;
}

at::Tensor resample_to(const at::Tensor& map, const Matrices& matrices, std::int64_t height, std::int64_t width) {
  if (matrices.vertical.defined() || matrices.horizontal.defined()) return matrices.apply(map);
  if (map.size(2) == height && map.size(3) == width) return map;
  return graph::resizes_by_pooling(map.size(2), map.size(3), height, width)
             ? at::adaptive_avg_pool2d(map, {height, width})
             : at::upsample_bilinear2d(map, {height, width}, /*align_corners=*/false);
}

at::Tensor cells_in_view(const at::Tensor& cells, const std::vector<graph::Alignment>& alignments, std::int64_t height,
                         std::int64_t width) {
  std::vector<bool> seen(height * width, true);
  for (const graph::Alignment& alignment : alignments) {
    if (alignment.identity()) continue;
    const std::vector<bool> by_donor = graph::cells_in_view(alignment, height, width);
    for (std::size_t i = 0; i < seen.size(); ++i) seen[i] = seen[i] && by_donor[i];
  }
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < height * width; ++i) {
    if (seen[i]) positions.push_back(i);
  }
  if (positions.empty() || positions.size() == seen.size()) return cells;
  return cells.index_select(1, at::tensor(positions, at::kLong).to(cells.device()));
}

}  // namespace repsim::fit
