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

/// Output positions of a convolution over a batch of maps, int64 [n] each: the map, and its place among the outputs,
/// row by row.
struct Positions {
  at::Tensor maps, places;
};

/// [B,C,H,W] -> [n, kh*kw*C]: what a convolution sees at these positions, by place in the kernel and then by channel.
[[nodiscard]] at::Tensor patches_at(const at::Tensor& x, const graph::ConvGeometry& geometry,
                                    const Positions& positions);

/// [B,C,H,W] -> [B, H*W, C]
[[nodiscard]] inline at::Tensor positions_of(const at::Tensor& map) { return map.flatten(2).transpose(1, 2); }

/// Every stride-th position of [B, L, C], so that at most about `most` remain.
[[nodiscard]] at::Tensor every_position(const at::Tensor& rows, std::int64_t most);

/// [B, L, C] -> [B * L, C]
[[nodiscard]] inline at::Tensor matrix(const at::Tensor& rows) { return rows.reshape({-1, rows.size(-1)}); }

/// Which of the values of `with_ring` the convolution itself sees, in its order: int64 [kh*kw*C].
[[nodiscard]] at::Tensor inner_values(const graph::ConvGeometry& geometry, std::int64_t channels);

/// Which of the values of the convolution are those of the kernel's middle, one per channel: int64 [C].
[[nodiscard]] at::Tensor middle_values(const graph::ConvGeometry& geometry, std::int64_t channels);

}  // namespace repsim::fit
