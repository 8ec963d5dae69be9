#pragma once

#include <torch/script.h>

#include "repsim/graph.hpp"

/// What convolutions read, as samples of a regression.
namespace repsim::fit {

/// The convolution of a correction: its kernel is larger by one cell on each side, its output has the same size.
[[nodiscard]] graph::ConvGeometry with_ring(graph::ConvGeometry geometry);

/// Values per channel that the kernel of with_ring() reads.
[[nodiscard]] inline std::int64_t larger_kernel(const graph::ConvGeometry& geometry) {
  return (geometry.weight_shape[2] + 2) * (geometry.weight_shape[3] + 2);
}

/// Output positions of a convolution over a batch of maps.
struct Positions {
  at::Tensor maps;    ///< int64 [n], index in the batch
  at::Tensor places;  ///< int64 [n], index among the outputs of that map, row-major
};

/// What a convolution reads at these positions, by place in the kernel and then by channel.
/// @param x  [B,C,H,W]
/// @return [n, kh*kw*C]
[[nodiscard]] at::Tensor patches_at(const at::Tensor& x, const graph::ConvGeometry& geometry,
                                    const Positions& positions);

/// [B,C,H,W] -> [B, H*W, C]
[[nodiscard]] inline at::Tensor positions_of(const at::Tensor& map) { return map.flatten(2).transpose(1, 2); }

/// Every stride-th position of [B, L, C], so that at most about `max_count` remain.
[[nodiscard]] at::Tensor every_position(const at::Tensor& positions, std::int64_t max_count);

/// [B, L, C] -> [B * L, C]
[[nodiscard]] inline at::Tensor samples_of(const at::Tensor& positions) {
  return positions.reshape({-1, positions.size(-1)});
}

/// Which of the values that with_ring() reads the convolution itself reads, in its order: int64 [kh*kw*C].
[[nodiscard]] at::Tensor inner_values(const graph::ConvGeometry& geometry, std::int64_t channels);

/// Which of the values that a convolution reads are in the middle of its kernel, one per channel: int64 [C].
[[nodiscard]] at::Tensor middle_values(const graph::ConvGeometry& geometry, std::int64_t channels);

}  // namespace repsim::fit
