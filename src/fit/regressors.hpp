#pragma once

#include <torch/script.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "patches.hpp"
#include "repsim/fit.hpp"

/// What a map's regression is made of: rows, and what stands in them.
namespace repsim::fit {

/// Rows of one run of frames.
struct Rows {
  Positions positions;
  at::Tensor weights;  ///< float64 [n]
};
/// Positions of the map, of large ones about 1024 a frame, that receiver and donors see, thinned where the regression
/// has many more rows than regressors.
/// @param weights  of the map's cells, float64 [B, height * width]; floor: see SampleWeights
/// @param frames  of all runs
/// @param run  positions of this run's frames among all
[[nodiscard]] Rows rows_of(const at::Tensor& weights, double floor, const std::vector<graph::Alignment>& aligned,
                           std::int64_t height, std::int64_t width, std::int64_t frames, std::int64_t regressors,
                           std::span<const std::int64_t> run);

/// Of a map: what it sees, and what a correction sees beside it.
[[nodiscard]] std::int64_t count_of_regressors(const Gathered::Map& map);
/// Their values. @param x  [B,C,H,W], what the map reads
/// @param sides  the donors' layers, one per map.sides
/// @param height,width  of what the map returns
/// @return [n, count_of_regressors()]
[[nodiscard]] at::Tensor regressors_at(const at::Tensor& x, std::span<const at::Tensor> auxiliary_inputs,
                                       const Gathered::Map& map, std::int64_t height, std::int64_t width,
                                       const Positions& positions);

/// Which of them the map takes, which its correction does from the neighbourhood, and which from its sides: int64, in
/// the order of their weights.
struct Taken {
  at::Tensor map, neighbourhood, auxiliary_inputs;

  [[nodiscard]] at::Tensor by_correction() const;
};
[[nodiscard]] Taken taken_by(const Gathered::Map& map);

}  // namespace repsim::fit
