#pragma once

#include <cstdint>
#include <vector>

namespace repsim::capture {

/// Most samples per minibatch that CentredGram takes.
inline constexpr std::int64_t kMostSamples = 32;

/// What a pass over some features adds to a Gram matrix of samples whose mean was taken out.
struct GramPart {
  /// n*n, row-major; only entries above the diagonal. Centred samples add up to nothing, so each entry on it is what
  /// the others of its row lack.
  std::vector<double> gram;
  double mean_square = 0;  ///< sum over the features of the squared mean of the samples
};

/// Sums over features [begin, end) of n samples, each a row of floats: one pass over the memory, samples centred in the
/// cache, float32 products, their sums widened every 4096 features.
/// @param first  sample 0; sample i begins i * stride floats later
/// @param samples  n, 1 to kMostSamples
[[nodiscard]] GramPart centred_products(const float* first, std::int64_t stride, std::int64_t samples,
                                        std::int64_t begin, std::int64_t end);

}  // namespace repsim::capture
