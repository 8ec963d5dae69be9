#include <algorithm>
#include <cmath>
#include <limits>

#include "products.hpp"
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

/// Writes signatures scaled to length 1 into `rows`, from row `first` on. One without direction (all zero, or not
/// finite) becomes NaN throughout.
void append_unit_rows(const Signatures& s, std::int64_t first, PaddedRows& rows) {
  for (std::size_t layer = 0; layer < s.layers.size(); ++layer) {
    const double* values = s.values.data() + static_cast<std::int64_t>(layer) * s.length;
    double* row = rows.row(first + static_cast<std::int64_t>(layer));
    double largest = 0;
    bool finite = true;
    for (std::int64_t i = 0; i < s.length; ++i) {
      finite = finite && std::isfinite(values[i]);
      largest = std::max(largest, std::abs(values[i]));
    }
    if (!finite || largest == 0) {
      std::fill(row, row + s.length, std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    // Scaled by the largest entry first, so that squares neither overflow nor vanish.
    double square = 0;
    for (std::int64_t i = 0; i < s.length; ++i) {
      row[i] = values[i] / largest;
      square += row[i] * row[i];
    }
    const double norm = std::sqrt(square);
    for (std::int64_t i = 0; i < s.length; ++i) row[i] /= norm;
  }
}

PaddedRows unit_rows(const Signatures& s) {
  PaddedRows rows(static_cast<std::int64_t>(s.layers.size()), s.length);
  append_unit_rows(s, 0, rows);
  return rows;
}

void clamp_cosines(std::vector<double>& values) {
  for (double& value : values) value = std::isnan(value) ? value : std::clamp(value, -1.0, 1.0);
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
  Matrix matrix{a.model, b.model, a.layers, b.layers, std::vector<double>(a.layers.size() * b.layers.size())};
  inner_products(unit_rows(a), unit_rows(b), /*threads=*/1, matrix.values.data());
  clamp_cosines(matrix.values);
  return matrix;
}

ModelPairs::ModelPairs(const std::vector<Signatures>& signatures) {
  const auto models = static_cast<ModelIndex>(signatures.size());
  for (ModelIndex a = 0; a < models; ++a) {
    for (ModelIndex b = a + 1; b < models; ++b) {
      if (signatures[a].layers.empty() || signatures[b].layers.empty()) continue;
      place_[{a, b}] = matrices_.size();
      matrices_.push_back(cka(signatures[a], signatures[b]));
    }
  }
}

MatrixView ModelPairs::between(ModelIndex row_model, ModelIndex col_model) const {
  const auto [first, second] = std::minmax(row_model, col_model);
  const auto found = place_.find({first, second});
  return found == place_.end() ? empty_ : MatrixView(matrices_[found->second], row_model > col_model);
}

AllPairs all_pairs(const std::vector<Signatures>& signatures, int threads) {
  AllPairs all;
  std::int64_t size = 0;
  for (const Signatures& one : signatures) {
    check_comparable(signatures.front(), one);
    all.models.push_back(one.model);
    all.layers.push_back(one.layers);
    all.first.push_back(size);
    size += static_cast<std::int64_t>(one.layers.size());
  }
  all.size = size;
  all.values.resize(static_cast<std::size_t>(size * size));
  if (size == 0) return all;
  PaddedRows rows(size, signatures.front().length);
  for (std::size_t i = 0; i < signatures.size(); ++i) append_unit_rows(signatures[i], all.first[i], rows);
  inner_products(rows, rows, threads, all.values.data());
  clamp_cosines(all.values);
  return all;
}

Matrix AllPairs::between(std::size_t row_model, std::size_t col_model) const {
  Matrix matrix{models.at(row_model), models.at(col_model), layers[row_model], layers[col_model], {}};
  for (std::size_t row = 0; row < matrix.rows.size(); ++row) {
    const auto begin = values.begin() + (first[row_model] + static_cast<std::int64_t>(row)) * size + first[col_model];
    matrix.values.insert(matrix.values.end(), begin, begin + static_cast<std::ptrdiff_t>(matrix.cols.size()));
  }
  return matrix;
}

}  // namespace repsim::similarity
