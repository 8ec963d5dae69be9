#include "patches.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/remainder.h>

namespace repsim::fit {

graph::ConvGeometry with_ring(graph::ConvGeometry geometry) {
  for (std::size_t i = 0; i < 2; ++i) {
    geometry.weight_shape[2 + i] += 2;
    geometry.padding[i] += geometry.dilation[i];
  }
  return geometry;
}

at::Tensor patches_at(const at::Tensor& x, const graph::ConvGeometry& geometry, const Positions& positions) {
  const auto &padding = geometry.padding, &stride = geometry.stride, &dilation = geometry.dilation;
  const std::int64_t kernel_height = geometry.weight_shape[2], kernel_width = geometry.weight_shape[3];
  at::Tensor map = x.permute({0, 2, 3, 1});
  if (padding[0] > 0 || padding[1] > 0)
    map = at::constant_pad_nd(map, {0, 0, padding[1], padding[1], padding[0], padding[0]});
  map = map.contiguous();
  const std::int64_t height = map.size(1), width = map.size(2), channels = map.size(3);
  const std::int64_t outputs = (width - dilation[1] * (kernel_width - 1) - 1) / stride[1] + 1;
  const at::Tensor first = (positions.maps * height + positions.places.floor_divide(outputs) * stride[0]) * width +
                           positions.places.remainder(outputs) * stride[1];
  const at::Tensor offsets = at::arange(kernel_height, at::kLong).unsqueeze(1) * dilation[0] * width +
                             at::arange(kernel_width, at::kLong).unsqueeze(0) * dilation[1];
  const at::Tensor index = first.unsqueeze(1) + offsets.reshape({1, -1});
  const at::Tensor values = map.view({-1, channels}).index_select(0, index.flatten().to(x.device()));
  return values.view({-1, kernel_height * kernel_width * channels});
}

at::Tensor every_position(const at::Tensor& positions, std::int64_t max_count) {
  const std::int64_t length = positions.size(1), stride = std::max<std::int64_t>(1, length / max_count);
  return stride == 1 ? positions : positions.slice(1, stride / 2, length, stride);
}

at::Tensor inner_values(const graph::ConvGeometry& geometry, std::int64_t channels) {
  const std::int64_t height = geometry.weight_shape[2] + 2, width = geometry.weight_shape[3] + 2;
  const at::Tensor all = at::arange(height * width * channels, at::kLong).view({height, width, channels});
  return all.narrow(0, 1, height - 2).narrow(1, 1, width - 2).reshape({-1});
}

at::Tensor middle_values(const graph::ConvGeometry& geometry, std::int64_t channels) {
  const std::int64_t height = geometry.weight_shape[2], width = geometry.weight_shape[3];
  const at::Tensor all = at::arange(height * width * channels, at::kLong).view({height, width, channels});
  return all.select(0, height / 2).select(0, width / 2);
}

}  // namespace repsim::fit
