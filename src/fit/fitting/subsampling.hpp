#pragma once

#include <torch/script.h>

#include <cstdint>
#include <span>

/// Fewer samples for a regression of nearly the same result.
namespace repsim::fit {

/// Which samples of a run of frames are taken, and how much they count.
struct Subsampled {
  at::Tensor indices;  ///< int64, among all samples of the run; undefined: all are taken
  at::Tensor weights;  ///< float64, of the samples taken
};

/// Every how many-th background sample is enough: 1 to 4, so that 10 samples are left for each regressor.
[[nodiscard]] std::int64_t subsampling_step(std::int64_t samples, std::int64_t regressors);

/// Takes every n-th background sample, which then counts n times, and all others. Positions where the receiver finds
/// nothing are most of the samples, and they are much alike from frame to frame. Each frame leaves out other positions:
/// n consecutive frames have each position once, and the sum of the weights stays.
/// @param weights  float64 [B, L]
/// @param floor  weight of a position where nothing is found (SampleWeights)
/// @param positions  of the frames, [B]
[[nodiscard]] Subsampled subsample(const at::Tensor& weights, double floor, std::int64_t n,
                                   std::span<const std::int64_t> positions);

}  // namespace repsim::fit
