#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "repsim/fit.hpp"

/// What can be known of a replacement before the merged model is judged: predictors that need activations.
namespace repsim::fit {

/// Of a donor layer in the place of a receiver layer, joined by a 1x1 ridge regression. NaN: undefined.
struct PairPredictors {
  /// Linear CKA with positions of all frames as samples, in the receiver's coordinates (Kornblith et al. 2019, eq. 4);
  /// 0..1; NaN where a layer is constant.
  double spatial_cka = std::numeric_limits<double>::quiet_NaN();
  double r2 = 0;           ///< pooled over channels by variance; up to 1, may be negative
  double r2_weighted = 0;  ///< of a fit with rows weighted by the receiver's own detections
  /// What the error of the fit does to the receiver's outputs to first order: mean square over random projections of
  /// the outputs, each output scaled to unit variance; 0: nothing. Errors at different positions count as independent.
  double output_error = std::numeric_limits<double>::quiet_NaN();
};

struct PredictorsOfPairs {
  std::vector<PairPredictors> pairs;
  std::string not_differentiable;  ///< why output_error is undefined for all pairs; empty: it is defined
};

/// One pass over the calibration frames, and a backward pass over some of them: all pairs at once.
/// @param pairs  layers of four dimensions
/// @param weights  of the rows, for r2_weighted
/// @param positions  of the frames for the backward pass
/// @param seed  of the random projections (signs)
/// @throws Error{kInterrupted}
[[nodiscard]] PredictorsOfPairs predictors(const capture::ModelSet& set, const capture::Stores& calibration,
                                           ModelIndex receiver, ModelIndex donor, const std::vector<LayerPair>& pairs,
                                           const Options& options, const SampleWeights& weights,
                                           const std::vector<std::int64_t>& positions, std::uint64_t seed,
                                           Progress& progress);

/// The last layers of a model: those that its results read without another layer between, of four dimensions.
[[nodiscard]] std::vector<int> last_layers(const graph::Program& program);

/// How much of its last layers a merged receiver still computes as its original does: R2 of the merged value as it is,
/// nothing fitted, rows weighted, the worst of the last layers; up to 1, may be negative; NaN where there is none.
/// @param positions  of the frames it is taken on
/// @throws Error{kInput} where the splice cannot be computed; Error{kInterrupted}
[[nodiscard]] double agreement_behind(const capture::ModelSet& set, const capture::Stores& calibration,
                                      const graph::Splice& splice, const SampleWeights& weights,
                                      const std::vector<std::int64_t>& positions, Progress& progress);

}  // namespace repsim::fit
