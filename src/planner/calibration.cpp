#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "repsim/base/error.hpp"
#include "repsim/predictor.hpp"

namespace repsim::planner {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kFloor = 1e-3;     // what is left unexplained at least, before the logarithm
constexpr double kSoftness = 0.02;  // of the log odds: fidelities of 0 and 1 stay finite
constexpr double kConfidence = 0.9;
constexpr std::size_t kFolds = 8;
constexpr std::array kLengths{1.0, 2.0, 4.0};
constexpr std::array kNoises{0.03, 0.1, 0.3};

double log_odds(double fidelity) { return std::log((fidelity + kSoftness) / (1 - fidelity + kSoftness)); }

double fidelity_of(double odds) {
  const double e = std::exp(std::clamp(odds, -40.0, 40.0));
  return std::clamp((e * (1 + kSoftness) - kSoftness) / (1 + e), 0.0, 1.0);
}

/// What a combination is made of; NaN where a predictor is undefined.
std::vector<double> features_of(const PredictorValues& predictors, bool trial) {
  const auto value = [&](Predictor predictor) { return predictors[index_of(predictor)]; };
  const auto unexplained = [&](Predictor predictor) { return std::log(std::max(1 - value(predictor), kFloor)); };
  const auto logarithm = [&](Predictor predictor) { return std::log(std::max(value(predictor), 1e-6)); };
  const auto defined = [&](Predictor predictor, double feature) {
    return std::isnan(value(predictor)) ? kNaN : feature;
  };
  std::vector<double> features;
  if (trial) {
    // A trial says more than all predictors before it: with these beside it, few measured cuts would teach less.
    features.push_back(defined(Predictor::kLastLayers, unexplained(Predictor::kLastLayers)));
    features.push_back(defined(Predictor::kAgreement, log_odds(std::clamp(value(Predictor::kAgreement), 0.0, 1.0))));
    return features;
  }
  for (const Predictor predictor :
       {Predictor::kSimilarity, Predictor::kSpatialCka, Predictor::kR2, Predictor::kR2Weighted})
    features.push_back(defined(predictor, unexplained(predictor)));
  features.push_back(defined(Predictor::kOutputError, logarithm(Predictor::kOutputError)));
  return features;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Inverse of a symmetric positive definite matrix, row-major, by its Cholesky factor.
std::vector<double> inverse_of(std::vector<double> a, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {  // lower factor in place
    for (std::size_t k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    a[j * n + j] = std::sqrt(a[j * n + j]);
    for (std::size_t i = j + 1; i < n; ++i) {
      for (std::size_t k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
  std::vector<double> factor(n * n, 0.0);  // inverse of the factor, transposed so that rows are read in order
  for (std::size_t j = 0; j < n; ++j) {
    factor[j * n + j] = 1 / a[j * n + j];
    for (std::size_t i = j + 1; i < n; ++i) {
      double sum = 0;
      for (std::size_t k = j; k < i; ++k) sum += a[i * n + k] * factor[j * n + k];
      factor[j * n + i] = -sum / a[i * n + i];
    }
  }
  std::vector<double> inverse(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (std::size_t k = i; k < n; ++k) sum += factor[i * n + k] * factor[j * n + k];
      inverse[i * n + j] = inverse[j * n + i] = sum;
    }
  }
  return inverse;
}

}  // namespace

Calibration::Calibration(std::span<const PredictorValues> predictors, std::span<const double> fidelity, bool trial)
    : trial_(trial) {
  if (predictors.size() != fidelity.size() || predictors.size() < kFewest)
    throw Error(ErrorKind::kInternal, "too few measured cuts to learn from");
  std::vector<std::vector<double>> raw;
  for (const PredictorValues& one : predictors) raw.push_back(features_of(one, trial));
  for (std::size_t feature = 0; feature < raw.front().size(); ++feature) {
    double count = 0, sum = 0, squares = 0;
    for (const auto& row : raw) {
      if (std::isnan(row[feature])) continue;
      ++count;
      sum += row[feature];
    }
    const double mean = count > 0 ? sum / count : 0;
    for (const auto& row : raw) {
      if (!std::isnan(row[feature])) squares += (row[feature] - mean) * (row[feature] - mean);
    }
    const double spread = count > 0 ? std::sqrt(squares / count) : 0;
    mean_.push_back(mean);
    spread_.push_back(spread > 1e-9 ? spread : 1);
  }
  for (const PredictorValues& one : predictors) rows_.push_back(scaled(one));
  std::vector<double> target;
  for (const double one : fidelity) target.push_back(log_odds(one));
  const auto n = static_cast<double>(target.size());
  target_mean_ = std::accumulate(target.begin(), target.end(), 0.0) / n;
  double squares = 0;
  for (double& one : target) {
    one -= target_mean_;
    squares += one * one;
  }
  target_spread_ = std::max(std::sqrt(squares / n), 1e-6);
  for (double& one : target) one /= target_spread_;
  learn(target, fidelity);
}

std::vector<double> Calibration::scaled(const PredictorValues& predictors) const {
  std::vector<double> features = features_of(predictors, trial_);
  for (std::size_t i = 0; i < features.size(); ++i)
    features[i] = std::isnan(features[i]) ? 0 : (features[i] - mean_[i]) / spread_[i];
  return features;
}

double Calibration::kernel(const std::vector<double>& a, const std::vector<double>& b) const {
  double distance = 0;
  for (std::size_t i = 0; i < a.size(); ++i) distance += (a[i] - b[i]) * (a[i] - b[i]);
  const auto features = static_cast<double>(a.size());
  return 1 + dot(a, b) / features + std::exp(-distance / features / (2 * kernel_.length * kernel_.length));
}

void Calibration::learn(const std::vector<double>& target, std::span<const double> fidelity) {
  const std::size_t n = target.size();
  double least = std::numeric_limits<double>::infinity();
  Kernel best;
  for (const double length : kLengths) {
    kernel_.length = length;
    std::vector<double> kernels(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j <= i; ++j) kernels[i * n + j] = kernels[j * n + i] = kernel(rows_[i], rows_[j]);
    }
    for (const double noise : kNoises) {
      std::vector<double> noisy = kernels;
      for (std::size_t i = 0; i < n; ++i) noisy[i * n + i] += noise;
      const std::vector<double> inverse = inverse_of(std::move(noisy), n);
      std::vector<double> weights(n), residuals(n);
      double error = 0;
      for (std::size_t i = 0; i < n; ++i) {
        weights[i] =
            std::inner_product(target.begin(), target.end(), inverse.begin() + static_cast<std::ptrdiff_t>(i * n), 0.0);
        const double left_out = weights[i] / inverse[i * n + i];  // target less what the others foretell
        residuals[i] = std::abs(weights[i]) / std::sqrt(inverse[i * n + i]);
        const double missed = fidelity_of(target_mean_ + target_spread_ * (target[i] - left_out)) - fidelity[i];
        error += missed * missed;
      }
      if (error >= least) continue;
      least = error;
      best = {length, noise};
      inverse_ = inverse;
      weights_ = weights;
      std::sort(residuals.begin(), residuals.end());
      const auto rank = static_cast<std::size_t>(std::ceil(kConfidence * static_cast<double>(n + 1)));
      quantile_ = residuals[std::min(rank, n) - 1];
    }
  }
  kernel_ = best;
}

Predicted Calibration::predict(const PredictorValues& predictors) const {
  const std::vector<double> row = scaled(predictors);
  const std::size_t n = rows_.size();
  std::vector<double> to_known(n);
  for (std::size_t i = 0; i < n; ++i) to_known[i] = kernel(row, rows_[i]);
  double variance = kernel(row, row) + kernel_.noise;
  for (std::size_t i = 0; i < n; ++i) {
    variance -= to_known[i] * std::inner_product(to_known.begin(), to_known.end(),
                                                 inverse_.begin() + static_cast<std::ptrdiff_t>(i * n), 0.0);
  }
  const double reach = quantile_ * std::sqrt(std::max(variance, 0.0)), center = dot(to_known, weights_);
  const auto back = [&](double z) { return fidelity_of(target_mean_ + target_spread_ * z); };
  return {back(center), back(center - reach), back(center + reach)};
}

std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t left = count; left > 1; --left) std::swap(order[left - 1], order[below(left, engine)]);
  return order;
}

std::vector<Predicted> predicted_from_others(std::span<const PredictorValues> predictors,
                                             std::span<const double> fidelity, bool trial, std::uint64_t seed) {
  std::vector<Predicted> result(predictors.size(), Predicted{kNaN, kNaN, kNaN});
  const std::vector<std::size_t> order = shuffled(predictors.size(), seed);
  for (std::size_t fold = 0; fold < kFolds; ++fold) {
    std::vector<PredictorValues> known;
    std::vector<double> measured;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i % kFolds == fold) continue;
      known.push_back(predictors[order[i]]);
      measured.push_back(fidelity[order[i]]);
    }
    if (known.size() < Calibration::kFewest) continue;
    const Calibration calibration(known, measured, trial);
    for (std::size_t i = fold; i < order.size(); i += kFolds)
      result[order[i]] = calibration.predict(predictors[order[i]]);
  }
  return result;
}

}  // namespace repsim::planner
