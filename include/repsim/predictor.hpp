#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "repsim/program.hpp"

/// Guides to how much a replacement keeps: which there are, how well each goes along with what was measured, and a
/// calibrated combination that foretells it. No torch: numbers in, numbers out.
namespace repsim::planner {

/// What is known of a cut before its merged model is judged.
enum class Predictor {
  kSimilarity,
  kSpatialCka,
  kR2,
  kR2Weighted,
  kOutputError,
  kLastLayers,
  kAgreement,
  kParameters,
  kFlops,
  kElements,
};
struct PredictorName {
  Predictor predictor;
  const char* key;      ///< in JSON and CSV
  const char* title;    ///< in tables
  const char* meaning;  ///< one line
};
/// In the order of the enumeration.
inline constexpr std::array kPredictors{
    PredictorName{Predictor::kSimilarity, "similarity", "S",
                  "linear CKA over frames, the smallest over the cut's layers"},
    PredictorName{Predictor::kSpatialCka, "spatial_cka", "spatial CKA",
                  "linear CKA with positions of all frames as samples, the smallest"},
    PredictorName{Predictor::kR2, "r2", "R2", "R2 of the 1x1 fit, the smallest"},
    PredictorName{Predictor::kR2Weighted, "r2_weighted", "R2 weighted",
                  "R2 of the 1x1 fit, rows weighted by the receiver's own detections, the smallest"},
    PredictorName{Predictor::kOutputError, "output_error", "output error",
                  "root mean square of what the fit's errors change in the outputs to first order, layers added up"},
    PredictorName{Predictor::kLastLayers, "last_layers", "last layers",
                  "R2 of the merged receiver's last layers against its own, calibration frames, the smallest"},
    PredictorName{Predictor::kAgreement, "agreement", "agreement",
                  "fidelity of the merged model on a few calibration frames"},
    PredictorName{Predictor::kParameters, "parameters", "parameters", "parameters of the layers that go (rival)"},
    PredictorName{Predictor::kFlops, "flops", "FLOPs", "FLOPs per frame of the layers that go (rival)"},
    PredictorName{Predictor::kElements, "elements", "elements", "size of the replaced representations (rival)"},
};
/// One value per predictor, in the order of kPredictors; NaN: undefined.
using PredictorValues = std::array<double, kPredictors.size()>;
[[nodiscard]] constexpr std::size_t index_of(Predictor predictor) { return static_cast<std::size_t>(predictor); }

/// A cut of a receiver with one donor layer per replaced layer.
struct StudyCut {
  std::vector<LayerIndex> layers, donor_layers;
  bool equal_depth = false;  ///< every donor layer is as deep in its model as the layer that it replaces
};

/// What the cuts of a study are made of. The programs outlive it.
struct StudyLayers {
  const graph::Program& receiver;
  const graph::Program& donor;
  std::vector<bool> replaceable, givable;                              ///< per layer of the receiver, of the donor
  std::function<bool(LayerIndex layer, LayerIndex donor_layer)> fits;  ///< whether the one can replace the other at all
};

/// Cuts along the depth (depth_cuts) for a study of predictors: up to half of `most` at equal depth, evenly spaced over
/// the depth, the rest with donor layers drawn from all of the same map size (of the nearest one where there is none).
/// Equal depth: of the donor's layers of that size the one whose rank among them, as a fraction, is nearest, layers of
/// the same kind preferred. Equal depth first, then as drawn; none twice.
/// @param most  2 or more
[[nodiscard]] std::vector<StudyCut> study_cuts(const StudyLayers& layers, std::int64_t most, std::uint64_t seed);

/// Product-moment correlation. Pairs with a NaN are left out; NaN where fewer than 3 are left or one side is constant.
[[nodiscard]] double pearson(std::span<const double> x, std::span<const double> y);
/// Pearson of the ranks; equal values have their mean rank.
[[nodiscard]] double spearman(std::span<const double> x, std::span<const double> y);

struct Correlation {
  double value = 0;          ///< NaN: undefined
  double low = 0, high = 0;  ///< 90 % percentile bootstrap over pairs; NaN: undefined
};
/// @param draws  resamples; those in which the coefficient is undefined are left out
/// Seeded, the same on every machine.
[[nodiscard]] Correlation correlated(std::span<const double> x, std::span<const double> y,
                                     double (*coefficient)(std::span<const double>, std::span<const double>),
                                     std::uint64_t seed, int draws = 500);

struct Predicted {
  double fidelity = 0;       ///< 0..1
  double low = 0, high = 1;  ///< holds the measured fidelity nine times in ten
};

/// A calibrated combination of predictors.
struct CombinedPredictor {
  const char* key;      ///< in JSON and CSV
  const char* title;    ///< in tables
  const char* meaning;  ///< one line
  bool trial;           ///< reads what a trial on a few frames tells
};
inline constexpr std::array kCombinedPredictors{
    CombinedPredictor{"predicted", "predicted", "combination of the guides that need no merged model", false},
    CombinedPredictor{"predicted_with_trial", "predicted, trial", "combination of last layers and agreement", true},
};

/// Foretells the fidelity of a cut from its predictors, learned from measured cuts: Gaussian process regression
/// (Rasmussen and Williams 2006, chapter 2) of the log odds of fidelity, with a constant, a linear and a
/// squared-exponential kernel of the logarithms of what predictors leave unexplained, scaled to unit variance. Length
/// and noise are those of the least leave-one-out error (ibid., eq. 5.12). The interval is conformal: the predictive
/// standard deviation times the nine-in-ten quantile of the leave-one-out residuals, each in units of its own. A
/// predictor that is undefined for some cuts counts as average there; one that is undefined for all is not read.
class Calibration {
 public:
  /// Fewer measured cuts than this teach nothing.
  static constexpr std::size_t kFewest = 6;

  /// @param predictors,fidelity  of measured cuts, equally many, at least kFewest
  /// @param trial  read what a trial on a few frames tells, else what is known before it
  /// @throws Error{kInternal} when there are fewer, or not equally many
  /// Cost: O(n^3), about twenty times.
  Calibration(std::span<const PredictorValues> predictors, std::span<const double> fidelity, bool trial);

  [[nodiscard]] Predicted predict(const PredictorValues& predictors) const;

 private:
  struct Kernel {
    double length = 1, noise = 0.1;
  };
  [[nodiscard]] std::vector<double> scaled(const PredictorValues& predictors) const;
  [[nodiscard]] double kernel(const std::vector<double>& a, const std::vector<double>& b) const;
  void learn(const std::vector<double>& target, std::span<const double> fidelity);

  bool trial_;
  std::vector<double> mean_, spread_;      // per feature
  std::vector<std::vector<double>> rows_;  // scaled features of the measured cuts
  double target_mean_ = 0, target_spread_ = 1;
  Kernel kernel_;
  std::vector<double> inverse_;  // of kernel plus noise, n x n
  std::vector<double> weights_;  // n
  double quantile_ = 0;
};

/// Each cut foretold from the cuts of the other folds (8, drawn with the seed). NaN where these are too few.
[[nodiscard]] std::vector<Predicted> predicted_from_others(std::span<const PredictorValues> predictors,
                                                           std::span<const double> fidelity, bool trial,
                                                           std::uint64_t seed);

/// 0..count-1 in an order drawn with the seed.
[[nodiscard]] std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed);

/// A whole number of 0..count-1 from 64 random bits each try, without bias (values of the last incomplete run are
/// drawn again). `next` gives the bits.
template <typename Next>
[[nodiscard]] std::size_t below(std::size_t count, Next&& next) {
  const std::uint64_t whole = count, reject = (0 - whole) % whole;
  for (;;) {
    const std::uint64_t bits = next();
    if (bits >= reject) return static_cast<std::size_t>(bits % whole);
  }
}

}  // namespace repsim::planner
