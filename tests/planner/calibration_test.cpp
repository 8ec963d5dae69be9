// The calibrated prediction: against a slow reference of its own kind, and as promises on made-up data.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "repsim/base/error.hpp"
#include "repsim/predictor.hpp"

namespace repsim::planner {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

class Noise {
 public:
  explicit Noise(std::uint64_t seed) : engine_(seed) {}
  double uniform() { return static_cast<double>(engine_() >> 11) / 9007199254740992.0; }
  /// About normal, spread 1.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  std::mt19937_64 engine_;
};

/// Cuts whose fidelity falls with what is left unexplained, by a curve that no predictor shows, with noise.
struct Cuts {
  std::vector<PredictorValues> predictors;
  std::vector<double> fidelity;

  Cuts(std::uint64_t seed, std::size_t count, double noise) {
    Noise random(seed);
    for (std::size_t i = 0; i < count; ++i) {
      const double lost = std::pow(random.uniform(), 2);  // 0..1, many small
      PredictorValues one;
      one.fill(kNaN);
      const auto set = [&](Predictor predictor, double value) { one[index_of(predictor)] = value; };
      set(Predictor::kSimilarity, 1 - 0.5 * lost - 0.2 * random.uniform());
      set(Predictor::kSpatialCka, 1 - 0.6 * lost - 0.3 * random.uniform());
      set(Predictor::kR2, 1 - 0.8 * lost - 0.05 * random.uniform());
      set(Predictor::kR2Weighted, 1 - 0.8 * lost - 0.02 * random.uniform());
      set(Predictor::kOutputError, 0.01 + lost * (0.9 + 0.2 * random.uniform()));
      set(Predictor::kLastLayers, 1 - 0.9 * lost);
      const double truth = 1 / (1 + std::exp(8 * (lost - 0.5)));
      fidelity.push_back(std::clamp(truth + noise * random.normal(), 0.0, 1.0));
      set(Predictor::kAgreement, std::clamp(truth + noise * random.normal(), 0.0, 1.0));
      predictors.push_back(one);
    }
  }
};

/// The regression of Calibration by solving a system anew for each cut that is left out.
class Slow {
 public:
  Slow(const Cuts& cuts, bool trial) : trial_(trial) {
    for (const PredictorValues& one : cuts.predictors) raw_.push_back(features(one));
    const std::size_t width = raw_.front().size(), n = raw_.size();
    for (std::size_t k = 0; k < width; ++k) {
      long double sum = 0, squares = 0;
      for (const auto& row : raw_) sum += row[k];
      const auto mean = static_cast<double>(sum / static_cast<long double>(n));
      for (const auto& row : raw_) squares += (row[k] - mean) * (row[k] - mean);
      mean_.push_back(mean);
      spread_.push_back(std::sqrt(static_cast<double>(squares / static_cast<long double>(n))));
    }
    for (const auto& row : raw_) rows_.push_back(scaled(row));
    double sum = 0, squares = 0;
    for (const double one : cuts.fidelity) sum += odds(one);
    center_ = sum / static_cast<double>(n);
    for (const double one : cuts.fidelity) squares += std::pow(odds(one) - center_, 2);
    scale_ = std::sqrt(squares / static_cast<double>(n));
    for (const double one : cuts.fidelity) target_.push_back((odds(one) - center_) / scale_);
    double least = 1e300;
    for (const double length : {1.0, 2.0, 4.0}) {
      for (const double noise : {0.03, 0.1, 0.3}) {
        std::vector<double> residuals;
        double error = 0;
        for (std::size_t out = 0; out < n; ++out) {
          std::vector<std::size_t> others;
          for (std::size_t i = 0; i < n; ++i) {
            if (i != out) others.push_back(i);
          }
          const auto [mean, variance] = at(rows_[out], others, length, noise);
          error += std::pow(back(mean) - cuts.fidelity[out], 2);
          residuals.push_back(std::abs(target_[out] - mean) / std::sqrt(variance));
        }
        if (error >= least) continue;
        least = error;
        length_ = length;
        noise_ = noise;
        std::sort(residuals.begin(), residuals.end());
        quantile_ = residuals[std::min(n, static_cast<std::size_t>(std::ceil(0.9 * static_cast<double>(n + 1)))) - 1];
      }
    }
  }

  Predicted predict(const PredictorValues& predictors) const {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < rows_.size(); ++i) all.push_back(i);
    const auto [mean, variance] = at(scaled(features(predictors)), all, length_, noise_);
    const double reach = quantile_ * std::sqrt(variance);
    return {back(mean), back(mean - reach), back(mean + reach)};
  }

 private:
  using Row = std::vector<double>;
  static double odds(double f) { return std::log(f + 0.02) - std::log(1.02 - f); }
  double back(double z) const {
    const double e = std::exp(center_ + scale_ * z), f = (1.02 * e - 0.02) / (1 + e);
    return f < 0 ? 0 : f > 1 ? 1 : f;
  }
  Row features(const PredictorValues& g) const {
    Row row;
    if (trial_) {
      row.push_back(std::log(std::max(1e-3, 1 - g[index_of(Predictor::kLastLayers)])));
      row.push_back(odds(g[index_of(Predictor::kAgreement)]));
      return row;
    }
    for (const Predictor one : {Predictor::kSimilarity, Predictor::kSpatialCka, Predictor::kR2, Predictor::kR2Weighted})
      row.push_back(std::log(std::max(1e-3, 1 - g[index_of(one)])));
    row.push_back(std::log(g[index_of(Predictor::kOutputError)]));
    return row;
  }
  Row scaled(Row row) const {
    for (std::size_t k = 0; k < row.size(); ++k) row[k] = (row[k] - mean_[k]) / spread_[k];
    return row;
  }
  static double kernel(const Row& a, const Row& b, double length) {
    double product = 0, distance = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
      product += a[k] * b[k];
      distance += std::pow(a[k] - b[k], 2);
    }
    const auto width = static_cast<double>(a.size());
    return 1 + product / width + std::exp(-distance / width / 2 / length / length);
  }
  /// Mean and variance by Gaussian elimination with pivots.
  std::pair<double, double> at(const Row& row, const std::vector<std::size_t>& known, double length,
                               double noise) const {
    const std::size_t n = known.size();
    std::vector<std::vector<long double>> system(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        system[i].push_back(kernel(rows_[known[i]], rows_[known[j]], length) + (i == j ? noise : 0));
      }
      system[i].push_back(target_[known[i]]);
      system[i].push_back(kernel(row, rows_[known[i]], length));
    }
    for (std::size_t k = 0; k < n; ++k) {
      std::size_t pivot = k;
      for (std::size_t i = k; i < n; ++i) {
        if (std::abs(system[i][k]) > std::abs(system[pivot][k])) pivot = i;
      }
      std::swap(system[k], system[pivot]);
      for (std::size_t i = 0; i < n; ++i) {
        if (i == k) continue;
        const long double factor = system[i][k] / system[k][k];
        for (std::size_t j = k; j < n + 2; ++j) system[i][j] -= factor * system[k][j];
      }
    }
    long double mean = 0, explained = 0;
    for (std::size_t k = 0; k < n; ++k) {
      const long double to_known = kernel(row, rows_[known[k]], length);
      mean += to_known * system[k][n] / system[k][k];
      explained += to_known * system[k][n + 1] / system[k][k];
    }
    return {static_cast<double>(mean), static_cast<double>(kernel(row, row, length) + noise - explained)};
  }

  bool trial_;
  std::vector<Row> raw_, rows_;
  Row mean_, spread_, target_;
  double center_ = 0, scale_ = 1, length_ = 1, noise_ = 0, quantile_ = 0;
};

TEST(Calibration, EqualsARegressionThatLeavesEachCutOutAnew) {
  for (const bool trial : {false, true}) {
    const Cuts known(3, 14, 0.05), others(4, 6, 0.05);
    const Calibration quick(known.predictors, known.fidelity, trial);
    const Slow slow(known, trial);
    for (const PredictorValues& one : others.predictors) {
      const Predicted a = quick.predict(one), b = slow.predict(one);
      EXPECT_NEAR(a.fidelity, b.fidelity, 1e-8);
      EXPECT_NEAR(a.low, b.low, 1e-8);
      EXPECT_NEAR(a.high, b.high, 1e-8);
    }
  }
}

TEST(Calibration, IntervalsHoldNineInTenOutOfSample) {
  for (const std::size_t count : {16U, 48U}) {
    double held = 0, all = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      const Cuts known(100 + seed, count, 0.06), others(900 + seed, 25, 0.06);
      const Calibration calibration(known.predictors, known.fidelity, false);
      for (std::size_t i = 0; i < others.predictors.size(); ++i) {
        const Predicted one = calibration.predict(others.predictors[i]);
        EXPECT_LE(one.low, one.fidelity);
        EXPECT_GE(one.high, one.fidelity);
        held += one.low <= others.fidelity[i] && others.fidelity[i] <= one.high ? 1 : 0;
        ++all;
      }
    }
    EXPECT_GE(held / all, 0.86) << count << " cuts";
    EXPECT_LE(held / all, 0.97) << count << " cuts";
  }
}

TEST(Calibration, FollowsACurveThatNoGuideShows) {
  const Cuts cuts(7, 64, 0.02);
  std::vector<double> predicted;
  for (const Predicted& one : predicted_from_others(cuts.predictors, cuts.fidelity, false, 1))
    predicted.push_back(one.fidelity);
  EXPECT_GT(pearson(predicted, cuts.fidelity), 0.97);
}

TEST(Calibration, TakesUndefinedGuidesForAverage) {
  Cuts cuts(8, 40, 0.02);
  for (PredictorValues& one : cuts.predictors) one[index_of(Predictor::kOutputError)] = kNaN;
  cuts.predictors[3][index_of(Predictor::kSimilarity)] = kNaN;
  std::vector<double> predicted;
  for (const Predicted& one : predicted_from_others(cuts.predictors, cuts.fidelity, false, 1))
    predicted.push_back(one.fidelity);
  EXPECT_GT(pearson(predicted, cuts.fidelity), 0.95);
}

TEST(Calibration, OfEqualFidelitiesForetellsThem) {
  Cuts cuts(9, 20, 0.02);
  std::fill(cuts.fidelity.begin(), cuts.fidelity.end(), 1.0);
  const Predicted one = Calibration(cuts.predictors, cuts.fidelity, true).predict(cuts.predictors.front());
  EXPECT_NEAR(one.fidelity, 1, 1e-6);
  EXPECT_NEAR(one.low, 1, 1e-4);
}

TEST(Calibration, RefusesToLearnFromTooLittle) {
  const Cuts cuts(10, Calibration::kFewest - 1, 0.02);
  EXPECT_THROW(Calibration(cuts.predictors, cuts.fidelity, false), Error);
  for (const Predicted& one : predicted_from_others(cuts.predictors, cuts.fidelity, false, 1))
    EXPECT_TRUE(std::isnan(one.fidelity));
}

TEST(Calibration, NeverLooksAtTheCutThatItForetells) {
  // Another fidelity of one cut changes nothing of what is foretold for it.
  Cuts cuts(11, 30, 0.05);
  const auto before = predicted_from_others(cuts.predictors, cuts.fidelity, true, 5);
  cuts.fidelity[4] = 1 - cuts.fidelity[4];
  const auto after = predicted_from_others(cuts.predictors, cuts.fidelity, true, 5);
  EXPECT_EQ(before[4].fidelity, after[4].fidelity);
  EXPECT_EQ(before[4].high, after[4].high);
}

}  // namespace
}  // namespace repsim::planner
