#include <algorithm>
#include <cmath>
#include <limits>

#include "repsim/base/error.hpp"
#include "repsim/similarity.hpp"

namespace repsim::similarity {
namespace {

/// Centred entries of equal samples are not exactly zero; this much of the largest entry counts as rounding.
constexpr double kRoundingFloor = 1e-12;

void check_sizes(const Signatures& s) {
  const std::int64_t pairs = s.minibatch * (s.minibatch - 1) / 2;
  const auto frames = static_cast<std::int64_t>(s.frames.size());
  const auto values = static_cast<std::int64_t>(s.values.size());
  if (s.minibatch < 4 || frames % s.minibatch != 0 || s.length != frames / s.minibatch * pairs ||
      values != static_cast<std::int64_t>(s.layers.size()) * s.length) {
    throw input_error("the sizes of the signatures contradict each other: " + std::to_string(frames) +
                          " frames in minibatches of " + std::to_string(s.minibatch) + ", " +
                          std::to_string(s.layers.size()) + " layers of length " + std::to_string(s.length) + ", " +
                          std::to_string(values) + " values",
                      "signatures of '" + s.model + "'", "capture them again");
  }
}

void check_comparable(const Signatures& a, const Signatures& b) {
  check_sizes(a);
  check_sizes(b);
  const std::string where = "signatures of '" + a.model + "' and '" + b.model + "'";
  const std::string remedy = "capture both from the same frames of the same video";
  if (a.minibatch != b.minibatch) {
    throw input_error(
        "minibatches differ: " + std::to_string(a.minibatch) + " and " + std::to_string(b.minibatch) + " frames", where,
        remedy);
  }
  if (a.frames.size() != b.frames.size()) {
    throw input_error(
        "numbers of frames differ: " + std::to_string(a.frames.size()) + " and " + std::to_string(b.frames.size()),
        where, remedy);
  }
  const auto [first, other] = std::mismatch(a.frames.begin(), a.frames.end(), b.frames.begin());
  if (first != a.frames.end()) {
    throw input_error(
        "frames differ: the first difference is " + std::to_string(*first) + " against " + std::to_string(*other),
        where, remedy);
  }
}

/// Four running sums let the compiler use vector registers; the order of additions is fixed all the same.
double dot(const double* x, const double* y, std::int64_t n) {
  double sums[4] = {0, 0, 0, 0};
  std::int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int lane = 0; lane < 4; ++lane) sums[lane] += x[i + lane] * y[i + lane];
  }
  for (; i < n; ++i) sums[0] += x[i] * y[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// Signatures scaled to length 1. One without direction (all zero, or not finite) becomes NaN throughout.
std::vector<double> unit_rows(const Signatures& s) {
  std::vector<double> rows = s.values;
  for (std::size_t layer = 0; layer < s.layers.size(); ++layer) {
    double* row = rows.data() + static_cast<std::int64_t>(layer) * s.length;
    double largest = 0;
    bool finite = true;
    for (std::int64_t i = 0; i < s.length; ++i) {
      finite = finite && std::isfinite(row[i]);
      largest = std::max(largest, std::abs(row[i]));
    }
    if (!finite || largest == 0) {
      std::fill(row, row + s.length, std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    // Scaled by the largest entry first, so that squares neither overflow nor vanish.
    for (std::int64_t i = 0; i < s.length; ++i) row[i] /= largest;
    const double norm = std::sqrt(dot(row, row, s.length));
    for (std::int64_t i = 0; i < s.length; ++i) row[i] /= norm;
  }
  return rows;
}

}  // namespace

void u_centred_upper(const double* gram, std::int64_t n, double* out) {
  if (n < 4) {
    throw Error(ErrorKind::kInternal,
                "a minibatch of " + std::to_string(n) + " frames has no unbiased HSIC, 4 are needed");
  }
  std::vector<double> row_sums(static_cast<std::size_t>(n), 0.0);
  double total = 0, largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      if (j == i) continue;
      sum += gram[i * n + j];
      largest = std::max(largest, std::abs(gram[i * n + j]));
    }
    row_sums[static_cast<std::size_t>(i)] = sum;
    total += sum;
  }
  const auto size = static_cast<double>(n);
  const double grand = total / ((size - 1) * (size - 2));
  double largest_centred = 0;
  double* next = out;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = i + 1; j < n; ++j) {
      const double margins = row_sums[static_cast<std::size_t>(i)] + row_sums[static_cast<std::size_t>(j)];
      *next = gram[i * n + j] - margins / (size - 2) + grand;
      largest_centred = std::max(largest_centred, std::abs(*next));
      ++next;
    }
  }
  if (largest_centred <= kRoundingFloor * largest) std::fill(out, next, 0.0);
}

Matrix cka(const Signatures& a, const Signatures& b) {
  check_comparable(a, b);
  Matrix matrix{a.model, b.model, a.layers, b.layers, {}};
  matrix.values.reserve(a.layers.size() * b.layers.size());
  const std::vector<double> rows = unit_rows(a), cols = unit_rows(b);
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    for (std::size_t j = 0; j < b.layers.size(); ++j) {
      const double cosine = dot(rows.data() + static_cast<std::int64_t>(i) * a.length,
                                cols.data() + static_cast<std::int64_t>(j) * b.length, a.length);
      matrix.values.push_back(std::isnan(cosine) ? cosine : std::clamp(cosine, -1.0, 1.0));
    }
  }
  return matrix;
}

}  // namespace repsim::similarity
