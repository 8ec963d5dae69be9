#include "regressors.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/remainder.h>

#include "coordinates.hpp"
#include "thinning.hpp"

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

}  // namespace

Rows rows_of(const at::Tensor& weights, double floor, const std::vector<graph::Alignment>& aligned, std::int64_t height,
             std::int64_t width, std::int64_t frames, std::int64_t regressors, std::span<const std::int64_t> run) {
  const at::Tensor all = at::arange(height * width, at::kLong).view({1, -1, 1});
  const at::Tensor places = every_position(rows_in_view(all, aligned, height, width), kMaxRowsPerFrame).flatten();
  const std::int64_t each = places.size(0);
  const at::Tensor seen = weights.index_select(1, places);
  const Thinned thinned = thin(seen, floor, thinning(frames * each, regressors), run);
  const at::Tensor rows = thinned.rows.defined() ? thinned.rows : at::arange(seen.numel(), at::kLong);
  return {{rows.floor_divide(each), places.index_select(0, rows.remainder(each))}, thinned.weights};
}

std::int64_t count_of_regressors(const Gathered::Map& map) {
  if (!map.corrections) return values_seen(map);
  const std::int64_t more = channels_seen(map) * larger_kernel(map.geometry);
  return map.projection.defined() ? values_seen(map) + more : more;
}

at::Tensor regressors_at(const at::Tensor& x, const Gathered::Map& map, const Positions& positions) {
  if (!map.corrections) return patches_at(x, map.geometry, positions);
  const graph::ConvGeometry larger = with_ring(map.geometry);
  if (!map.projection.defined()) return patches_at(x, larger, positions);
  const at::Tensor seen = at::einsum("kc,bchw->bkhw", {map.projection.to(x.device(), at::kFloat), x.to(at::kFloat)});
  return at::cat({patches_at(x, map.geometry, positions), patches_at(seen, larger, positions)}, 1);
}

std::pair<at::Tensor, at::Tensor> taken_by(const Gathered::Map& map) {
  const bool projected = map.projection.defined();
  const std::int64_t own = values_seen(map);
  const at::Tensor more =
      at::arange(channels_seen(map) * larger_kernel(map.geometry), at::kLong) + (projected ? own : 0);
  return {projected ? at::arange(own, at::kLong) : inner_values(map.geometry, map.channels), more};
}

}  // namespace repsim::fit
