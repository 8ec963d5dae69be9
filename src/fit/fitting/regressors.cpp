#include "regressors.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/remainder.h>

#include "../attachment/coordinates.hpp"
#include "subsampling.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kMaxSamplesPerFrame = 1024;  // positions of large maps are strided down to about this many

std::int64_t values_of_map(const MapSums& map) {
  return map.channels * map.geometry.weight_shape[2] * map.geometry.weight_shape[3];
}

/// Channels, or combinations of them, that a correction reads.
std::int64_t correction_channels(const MapSums& map) {
  return map.projection.defined() ? map.projection.size(0) : map.channels;
}

std::int64_t auxiliary_channels(const MapSums& map) {
  std::int64_t channels = 0;
  for (const MapSums::AuxiliaryInput& auxiliary : map.auxiliary_inputs) channels += auxiliary.channels;
  return channels;
}

}  // namespace

Samples samples_of(const SampleSelection& selection, const at::Tensor& weights, std::span<const std::int64_t> run) {
  const std::int64_t height = selection.height, width = selection.width;
  const at::Tensor all = at::arange(height * width, at::kLong).view({1, -1, 1});
  const at::Tensor visible = cells_in_view(all, selection.alignments, height, width);
  const at::Tensor places = every_position(visible, kMaxSamplesPerFrame).flatten();
  const std::int64_t per_frame = places.size(0);
  const at::Tensor seen = weights.index_select(1, places);
  const std::int64_t step = subsampling_step(selection.frames * per_frame, selection.regressors);
  const Subsampled chosen = subsample(seen, selection.floor, step, run);
  const at::Tensor indices = chosen.indices.defined() ? chosen.indices : at::arange(seen.numel(), at::kLong);
  return {{indices.floor_divide(per_frame), places.index_select(0, indices.remainder(per_frame))}, chosen.weights};
}

std::int64_t count_of_regressors(const MapSums& map) {
  if (!map.corrections) return values_of_map(map);
  const std::int64_t more = correction_channels(map) * larger_kernel(map.geometry) + auxiliary_channels(map);
  return map.projection.defined() ? values_of_map(map) + more : more;
}

at::Tensor regressors_at(const MapSums& map, const at::Tensor& x, std::span<const at::Tensor> auxiliary_inputs,
                         at::IntArrayRef size, const Positions& positions) {
  if (!map.corrections) return patches_at(x, map.geometry, positions);
  const graph::ConvGeometry larger = with_ring(map.geometry);
  std::vector<at::Tensor> values;
  if (map.projection.defined()) {
    const at::Tensor seen = at::einsum("kc,bchw->bkhw", {map.projection.to(x.device(), at::kFloat), x.to(at::kFloat)});
    values = {patches_at(x, map.geometry, positions), patches_at(seen, larger, positions)};
  } else {
    values = {patches_at(x, larger, positions)};
  }
  for (std::size_t i = 0; i < map.auxiliary_inputs.size(); ++i) {
    const graph::Resampling& to = map.auxiliary_inputs[i].resampling;
    const at::Tensor auxiliary = resample_to(auxiliary_inputs[i], {to.vertical, to.horizontal}, size[0], size[1]);
    values.push_back(patches_at(auxiliary, graph::pointwise_geometry(), positions));
  }
  return values.size() == 1 ? values.front() : at::cat(values, 1);
}

LowRankRegressors RegressorIndices::low_rank() const {
  return {map, auxiliary_inputs.numel() == 0 ? neighbourhood : at::cat({neighbourhood, auxiliary_inputs})};
}

RegressorIndices regressor_indices(const MapSums& map) {
  const bool projected = map.projection.defined();
  const std::int64_t own = values_of_map(map), first = projected ? own : 0,
                     neighbours = correction_channels(map) * larger_kernel(map.geometry),
                     auxiliary = auxiliary_channels(map);
  return {projected ? at::arange(own, at::kLong) : inner_values(map.geometry, map.channels),
          at::arange(first, first + neighbours, at::kLong),
          at::arange(first + neighbours, first + neighbours + auxiliary, at::kLong)};
}

}  // namespace repsim::fit
