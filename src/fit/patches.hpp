#pragma once

#include <torch/script.h>

#include "repsim/graph.hpp"

/// What convolutions see, as rows of a regression.
namespace repsim::fit {

/// The same convolution with a kernel that is larger by a ring of one, of the same output size.
[[nodiscard]] graph::ConvGeometry with_ring(graph::ConvGeometry geometry);

/// Values per channel that such a kernel sees.
[[nodiscard]] inline std::int64_t larger_kernel(const graph::ConvGeometry& geometry) {
  return (geometry.weight_shape[2] + 2) * (geometry.weight_shape[3] + 2);
}

/// [B,C,H,W] -> [B, L, C*kh*kw]: what a convolution sees at each of its L output positions, in the order of its
/// weights.
[[nodiscard]] at::Tensor patches(const at::Tensor& x, const graph::ConvGeometry& geometry);

/// Which of the values of `with_ring` the convolution itself sees, in its order: int64 [C*kh*kw].
[[nodiscard]] at::Tensor inner_values(const graph::ConvGeometry& geometry, std::int64_t channels);

}  // namespace repsim::fit
