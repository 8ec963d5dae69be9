#include "regressors.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/remainder.h>

#include "coordinates.hpp"
#include "subsampling.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kMaxRowsPerFrame = 1024;  // positions of large maps are strided down to about this many

std::int64_t values_seen(const Gathered::Map& map) {
  return map.channels * map.geometry.weight_shape[2] * map.geometry.weight_shape[3];
}

/// Channels, or combinations of them, that a correction sees.
std::int64_t channels_seen(const Gathered::Map& map) {
  return map.projection.defined() ? map.projection.size(0) : map.channels;
}

std::int64_t side_channels(const Gathered::Map& map) {
  std::int64_t channels = 0;
  for (const Gathered::Map::Beside& auxiliary : map.auxiliary_inputs) channels += auxiliary.channels;
  return channels;
}

}  // namespace

Rows rows_of(const at::Tensor& weights, double floor, const std::vector<graph::Alignment>& aligned, std::int64_t height,
             std::int64_t width, std::int64_t frames, std::int64_t regressors, std::span<const std::int64_t> run) {
  const at::Tensor all = at::arange(height * width, at::kLong).view({1, -1, 1});
  const at::Tensor places = every_position(rows_in_view(all, aligned, height, width), kMaxRowsPerFrame).flatten();
  const std::int64_t each = places.size(0);
  const at::Tensor seen = weights.index_select(1, places);
  const Subsampled thinned = subsample(seen, floor, subsampling(frames * each, regressors), run);
  const at::Tensor rows = thinned.rows.defined() ? thinned.rows : at::arange(seen.numel(), at::kLong);
  return {{rows.floor_divide(each), places.index_select(0, rows.remainder(each))}, thinned.weights};
}

std::int64_t count_of_regressors(const Gathered::Map& map) {
  if (!map.corrections) return values_seen(map);
  const std::int64_t more = channels_seen(map) * larger_kernel(map.geometry) + side_channels(map);
  return map.projection.defined() ? values_seen(map) + more : more;
}

at::Tensor regressors_at(const at::Tensor& x, std::span<const at::Tensor> auxiliary_inputs, const Gathered::Map& map,
                         std::int64_t height, std::int64_t width, const Positions& positions) {
  if (!map.corrections) return patches_at(x, map.geometry, positions);
  const graph::ConvGeometry larger = with_ring(map.geometry);
  std::vector<at::Tensor> parts;
  if (map.projection.defined()) {
    const at::Tensor seen = at::einsum("kc,bchw->bkhw", {map.projection.to(x.device(), at::kFloat), x.to(at::kFloat)});
    parts = {patches_at(x, map.geometry, positions), patches_at(seen, larger, positions)};
  } else {
    parts = {patches_at(x, larger, positions)};
  }
  for (std::size_t i = 0; i < map.auxiliary_inputs.size(); ++i) {
    const graph::Resampling& to = map.auxiliary_inputs[i].resampling;
    const at::Tensor auxiliary = resample_to(auxiliary_inputs[i], {to.vertical, to.horizontal}, height, width);
    parts.push_back(patches_at(auxiliary, graph::pointwise_geometry(), positions));
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, 1);
}

at::Tensor Taken::by_correction() const {
  return auxiliary_inputs.numel() == 0 ? neighbourhood : at::cat({neighbourhood, auxiliary_inputs});
}

Taken taken_by(const Gathered::Map& map) {
  const bool projected = map.projection.defined();
  const std::int64_t own = values_seen(map), first = projected ? own : 0,
                     neighbours = channels_seen(map) * larger_kernel(map.geometry);
  return {projected ? at::arange(own, at::kLong) : inner_values(map.geometry, map.channels),
          at::arange(first, first + neighbours, at::kLong),
          at::arange(first + neighbours, first + neighbours + side_channels(map), at::kLong)};
}

}  // namespace repsim::fit
