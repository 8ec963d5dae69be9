#include "patches.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/im2col.h>

namespace repsim::fit {

graph::ConvGeometry with_ring(graph::ConvGeometry geometry) {
  for (std::size_t i = 0; i < 2; ++i) {
    geometry.weight_shape[2 + i] += 2;
    geometry.padding[i] += geometry.dilation[i];
  }
  return geometry;
}

at::Tensor patches(const at::Tensor& x, const graph::ConvGeometry& geometry) {
  const bool pointwise = geometry.weight_shape[2] == 1 && geometry.weight_shape[3] == 1 && geometry.stride[0] == 1 &&
                         geometry.stride[1] == 1 && geometry.padding[0] == 0 && geometry.padding[1] == 0;
  if (pointwise) return positions_of(x);
  return at::im2col(x, {geometry.weight_shape[2], geometry.weight_shape[3]}, geometry.dilation, geometry.padding,
                    geometry.stride)
      .transpose(1, 2);
}

at::Tensor every_position(const at::Tensor& rows, std::int64_t most) {
  const std::int64_t stride = std::max<std::int64_t>(1, rows.size(1) / most);
  return stride == 1 ? rows : rows.slice(1, stride / 2, rows.size(1), stride);
}

at::Tensor inner_values(const graph::ConvGeometry& geometry, std::int64_t channels) {
  const std::int64_t height = geometry.weight_shape[2] + 2, width = geometry.weight_shape[3] + 2;
  const at::Tensor all = at::arange(channels * height * width, at::kLong).view({channels, height, width});
  return all.narrow(1, 1, height - 2).narrow(2, 1, width - 2).reshape({-1});
}

at::Tensor middle_values(const graph::ConvGeometry& geometry, std::int64_t channels) {
  const std::int64_t height = geometry.weight_shape[2], width = geometry.weight_shape[3];
  const at::Tensor all = at::arange(channels * height * width, at::kLong).view({channels, height, width});
  return all.select(1, height / 2).select(1, width / 2).reshape({-1});
}

}  // namespace repsim::fit
