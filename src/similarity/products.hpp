#pragma once

#include <cstdint>
#include <vector>

namespace repsim::similarity {

/// Rows of doubles, padded with zeros to whole vectors, and with rows of zeros to whole tiles, so that the kernel of
/// inner_products() needs no special case at the edges.
class PaddedRows {
 public:
  PaddedRows(std::int64_t rows, std::int64_t length);

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t stride() const { return stride_; }
  [[nodiscard]] double* row(std::int64_t index) { return values_.data() + index * stride_; }
  [[nodiscard]] const double* row(std::int64_t index) const { return values_.data() + index * stride_; }

 private:
  std::int64_t rows_, stride_;
  std::vector<double> values_;
};

/// Inner products of all rows of `a` with all rows of `b`, as one blocked matrix product in float64.
/// @param a,b  of equal stride. If both are one object, the product is symmetric, and half of it is computed
/// @param out  receives a.rows() * b.rows() doubles, row-major
/// @param threads  at least 1; the order of additions, and so the result, does not depend on it
void inner_products(const PaddedRows& a, const PaddedRows& b, int threads, double* out);

}  // namespace repsim::similarity
