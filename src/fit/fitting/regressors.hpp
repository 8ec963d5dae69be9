#pragma once

#include <torch/script.h>

#include <cstdint>
#include <span>
#include <vector>

#include "patches.hpp"
#include "repsim/fit/fitting.hpp"
#include "repsim/resample.hpp"

/// The samples and the regressors of a map's regression.
namespace repsim::fit {

/// The samples of one run of frames.
struct Samples {
  Positions positions;
  at::Tensor weights;  ///< float64 [n]
};
/// What decides which positions of a map become samples.
struct SampleSelection {
  std::vector<graph::Alignment> alignments;  ///< of the donors that have to see the position
  std::int64_t height = 0, width = 0;        ///< of the map
  std::int64_t frames = 0;                   ///< of all runs
  std::int64_t regressors = 0;
  double floor = 0;  ///< see SampleWeights
};
/// The samples of a run: the positions that receiver and donors see, of large maps about 1024 per frame, subsampled if
/// the regression has many more samples than regressors.
/// @param weights  of the map's cells, float64 [B, height * width]
/// @param run  positions of the run's frames among all frames, [B]
[[nodiscard]] Samples samples_of(const SampleSelection& selection, const at::Tensor& weights,
                                 std::span<const std::int64_t> run);

/// How many regressors the sums of a map hold: what the map reads, and what its correction reads as well.
[[nodiscard]] std::int64_t count_of_regressors(const MapSums& map);

/// The values of a map's regressors.
/// @param x  [B,C,H,W], what the map reads
/// @param auxiliary_inputs  [B,C,H,W], the donors' layers, one per map.auxiliary_inputs
/// @param size  [height, width] of what the map returns
/// @return [n, count_of_regressors()]
[[nodiscard]] at::Tensor regressors_at(const MapSums& map, const at::Tensor& x,
                                       std::span<const at::Tensor> auxiliary_inputs, at::IntArrayRef size,
                                       const Positions& positions);

/// Which of the regressors a map and its correction read: int64, in the order of their weights.
struct RegressorIndices {
  at::Tensor map, neighbourhood, auxiliary_inputs;

  /// With all that the correction reads: its neighbourhood, then the auxiliary inputs.
  [[nodiscard]] LowRankRegressors low_rank() const;
};
[[nodiscard]] RegressorIndices regressor_indices(const MapSums& map);

}  // namespace repsim::fit
