#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "repsim/fit/fitting.hpp"
#include "repsim/fit/screening.hpp"

/// Predictors of merged fidelity that need activations: what is known of a replacement before the merged model is
/// measured.
namespace repsim::fit {

/// A donor layer in the place of a receiver layer, attached by a 1x1 ridge regression. NaN: undefined.
struct PairPredictors {
  /// Linear CKA with positions of all frames as samples, in the receiver's coordinates (Kornblith et al. 2019, eq. 4);
  /// 0..1; NaN where a layer is constant.
  double spatial_cka = std::numeric_limits<double>::quiet_NaN();
  double r2 = 0;           ///< pooled over channels by variance; up to 1, may be negative
  double r2_weighted = 0;  ///< of a fit with samples weighted by the receiver's own detections
  /// How much the error of the fit changes the receiver's outputs to first order: mean square over random projections
  /// of the outputs, each output scaled to unit variance; 0: nothing. Errors at different positions count as
  /// independent.
  double output_error = std::numeric_limits<double>::quiet_NaN();
};

struct PredictorsOfPairs {
  std::vector<PairPredictors> pairs;
  std::string not_differentiable;  ///< why output_error is undefined for all pairs; empty: it is defined
};

/// The pairs of one direction, and the frames on which predictors() rates them. What is referred to outlives the call.
struct PredictorQuery {
  const capture::ModelSet& set;
  const capture::Stores& calibration;
  ModelIndex receiver = -1, donor = -1;
  const std::vector<LayerPair>& pairs;         ///< layers of four dimensions
  const SampleWeights& weights;                ///< of the receiver's samples, for r2_weighted
  const std::vector<std::int64_t>& positions;  ///< of the frames for the backward pass
  std::uint64_t seed = 0;                      ///< of the random projections (signs)
  double ridge = kRidge;
};

/// Rates all pairs in one pass over the calibration frames and a backward pass over some of them.
/// @throws Error{kInterrupted}
[[nodiscard]] PredictorsOfPairs predictors(const PredictorQuery& query, Progress& progress);

/// The last layers of a model: those that its results read without another layer between, of four dimensions.
[[nodiscard]] std::vector<LayerIndex> last_layers(const graph::Program& program);

/// How much of its last layers a merged receiver still computes as its original does: R2 of the merged value as it is,
/// nothing fitted, samples weighted, the worst of the last layers; up to 1, may be negative; NaN where there is none.
/// @param positions  of the frames it is taken on
/// @throws Error{kInput} where the splice cannot be computed; Error{kInterrupted}
[[nodiscard]] double agreement_behind(const capture::ModelSet& set, const capture::Stores& calibration,
                                      const graph::Splice& splice, const SampleWeights& weights,
                                      const std::vector<std::int64_t>& positions, Progress& progress);

}  // namespace repsim::fit
