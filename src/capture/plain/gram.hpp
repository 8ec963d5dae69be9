#pragma once

#include <cstdint>
#include <vector>

namespace repsim::capture {

/// The largest number of samples in a minibatch.
inline constexpr std::int64_t kMostSamples = 32;

/// The part of a Gram matrix of centred samples that some of the features contribute.
struct GramPart {
  /// n*n, row-major; only entries above the diagonal are set. Rows of the Gram matrix of centred samples sum to 0, so
  /// the diagonal follows from the other entries.
  std::vector<double> gram;
  double mean_square = 0;  ///< sum over the features of the squared mean of the samples
};

/// Centres n samples over the features [begin, end) and sums their products, in one pass over the memory. Products are
/// float32; their sums are widened to float64 every 4096 features.
/// @param first  sample 0; sample i begins i * stride floats later
/// @param samples  n, 1 to kMostSamples
[[nodiscard]] GramPart centred_products(const float* first, std::int64_t stride, std::int64_t samples,
                                        std::int64_t begin, std::int64_t end);

}  // namespace repsim::capture
