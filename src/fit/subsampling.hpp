#pragma once

#include <torch/script.h>

#include <cstdint>
#include <span>

/// Fewer rows for the same regression.
namespace repsim::fit {

/// Which rows of a run are taken, and how much they count.
struct Subsampled {
  at::Tensor rows;     ///< int64, of the matrix of all rows; undefined: all
  at::Tensor weights;  ///< float64, of the rows taken
};

/// Every how many-th background row is enough: up to 4, as long as 10 rows are left for each regressor.
[[nodiscard]] std::int64_t subsampling(std::int64_t rows, std::int64_t regressors);

/// Where nothing is found there are most rows, and they say the least and much the same from frame to frame. Of those
/// every n-th is taken, another one in each frame, and counts for n. Rows of n consecutive frames so have each place
/// once, and the sum of the weights stays.
/// @param weights  float64 [B, L]
/// @param floor  weight of a row where nothing is found (SampleWeights)
/// @param positions  of the frames, [B]
[[nodiscard]] Subsampled subsample(const at::Tensor& weights, double floor, std::int64_t n,
                                   std::span<const std::int64_t> positions);

}  // namespace repsim::fit
