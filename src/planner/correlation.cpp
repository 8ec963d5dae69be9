#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "repsim/predictor.hpp"

namespace repsim::planner {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kConfidence = 0.9;

/// The pairs in which both are numbers.
void defined(std::span<const double> x, std::span<const double> y, std::vector<double>& left,
             std::vector<double>& right) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) || std::isnan(y[i])) continue;
    left.push_back(x[i]);
    right.push_back(y[i]);
  }
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = static_cast<double>(begin + end - 1) / 2;
    for (; begin < end; ++begin) result[order[begin]] = rank;
  }
  return result;
}

/// Of values in ascending order, between two interpolated.
double percentile(const std::vector<double>& sorted, double part) {
  const double place = part * static_cast<double>(sorted.size() - 1);
  const auto lower = static_cast<std::size_t>(place);
  const std::size_t upper = std::min(lower + 1, sorted.size() - 1);
  return sorted[lower] + (place - static_cast<double>(lower)) * (sorted[upper] - sorted[lower]);
}

}  // namespace

double pearson(std::span<const double> x, std::span<const double> y) {
  std::vector<double> left, right;
  defined(x, y, left, right);
  if (left.size() < 3) return kNaN;
  const double mean_left = mean_of(left), mean_right = mean_of(right);
  double xx = 0, xy = 0, yy = 0, size_x = 0, size_y = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const double a = left[i] - mean_left, b = right[i] - mean_right;
    xx += a * a;
    xy += a * b;
    yy += b * b;
    size_x += left[i] * left[i];
    size_y += right[i] * right[i];
  }
  // What is left of equal values is rounding.
  constexpr double kRounding = 1e-24;
  if (!(xx > kRounding * size_x) || !(yy > kRounding * size_y)) return kNaN;
  return std::clamp(xy / std::sqrt(xx) / std::sqrt(yy), -1.0, 1.0);
}

double spearman(std::span<const double> x, std::span<const double> y) {
  std::vector<double> left, right;
  defined(x, y, left, right);
  if (left.size() < 3) return kNaN;
  return pearson(ranks(left), ranks(right));
}

Correlation correlated(std::span<const double> x, std::span<const double> y,
                       double (*coefficient)(std::span<const double>, std::span<const double>), std::uint64_t seed,
                       int draws) {
  std::vector<double> left, right;
  defined(x, y, left, right);
  Correlation result{coefficient(left, right), kNaN, kNaN};
  if (std::isnan(result.value)) return result;
  std::mt19937_64 engine(seed);
  std::vector<double> values, drawn_x(left.size()), drawn_y(left.size());
  for (int draw = 0; draw < draws; ++draw) {
    for (std::size_t i = 0; i < left.size(); ++i) {
      const std::size_t one = below(left.size(), engine);
      drawn_x[i] = left[one];
      drawn_y[i] = right[one];
    }
    const double value = coefficient(drawn_x, drawn_y);
    if (!std::isnan(value)) values.push_back(value);
  }
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  result.low = percentile(values, (1 - kConfidence) / 2);
  result.high = percentile(values, (1 + kConfidence) / 2);
  return result;
}

}  // namespace repsim::planner
