#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "repsim/base/index.hpp"

namespace repsim::similarity {

/// The signatures of one model's layers over the calibration frames. A signature holds, for each minibatch of n frames,
/// the strictly upper triangle of the layer's U-centred n x n Gram matrix (linear kernel), one after another, in
/// float64.
struct Signatures {
  std::string model;
  std::vector<std::string> layers;   ///< in execution order
  std::vector<std::int64_t> frames;  ///< video indices, minibatch after minibatch
  std::int64_t minibatch = 16;       ///< frames per minibatch, n >= 4
  std::int64_t length = 0;           ///< doubles per layer: minibatches * n*(n-1)/2
  std::vector<double> values;        ///< layers.size() * length, row-major
};

/// Similarity S of every layer of one model with every layer of another.
struct Matrix {
  std::string row_model, col_model;
  std::vector<std::string> rows, cols;  ///< layer names in execution order; sizes R and C
  std::vector<double> values;           ///< R*C, row-major, in [-1, 1]; NaN: one of the two layers is constant on
                                        ///< these frames (its signature is all zero) or not finite
  [[nodiscard]] double at(std::size_t row, std::size_t col) const { return values[row * cols.size() + col]; }
};

/// U-centres a Gram matrix (Szekely & Rizzo 2014). Inner products of U-centred matrices are the unbiased HSIC_1 of Song
/// et al. 2012 up to the factor 1/(n(n-3)), which the cosine cancels. A vector that is added to all samples does not
/// change the result.
/// @param gram  n x n, row-major, symmetric; n >= 4. The diagonal is not read
/// @param out   receives n*(n-1)/2 doubles: the strictly upper triangle, row by row. All zero when no centred entry
///              exceeds 1e-12 of the largest entry of `gram`: the samples are equal up to rounding
/// @throws Error{kInternal} if n < 4
void u_centred_upper(const double* gram, std::int64_t n, double* out);

/// Linear CKA of all pairs of layers of two models: the cosine of the layers' signatures. Cost O(R*C*length). Source:
/// Nguyen et al. 2021 (arXiv 2010.15327) eq. 2-4 with HSIC_1 of Song et al. 2012.
/// @throws Error{kInput} if frames or minibatches differ (it names both models) or if the sizes of one model's
///         signatures contradict each other (it names the model)
[[nodiscard]] Matrix cka(const Signatures& a, const Signatures& b);

/// A matrix as it is, or with rows and columns exchanged. The matrix outlives the view.
class MatrixView {
 public:
  MatrixView(const Matrix& matrix, bool transposed = false) : matrix_(&matrix), transposed_(transposed) {}

  [[nodiscard]] double at(LayerIndex row, LayerIndex col) const {
    const auto first = static_cast<std::size_t>(row), second = static_cast<std::size_t>(col);
    return transposed_ ? matrix_->at(second, first) : matrix_->at(first, second);
  }

 private:
  const Matrix* matrix_;
  bool transposed_;
};

/// S of every two models of a run. Each pair of models is computed once: cka(b, a) has the bits of cka(a, b).
class ModelPairs {
 public:
  /// @param signatures  per model; a model without layers has no matrix
  /// @throws Error{kInput} as cka() does
  explicit ModelPairs(const std::vector<Signatures>& signatures);

  /// S of the layers of one model (rows) with those of another one (columns). If one of them has no layers, the view
  /// has no values. The object outlives the view.
  [[nodiscard]] MatrixView between(ModelIndex row_model, ModelIndex col_model) const;

  /// Of the pairs (0, 1), (0, 2), ..., (1, 2), ... that have layers.
  [[nodiscard]] const std::vector<Matrix>& matrices() const { return matrices_; }

 private:
  std::vector<Matrix> matrices_;
  Matrix empty_;
  std::map<std::pair<ModelIndex, ModelIndex>, std::size_t> place_;  // in matrices_; the smaller index first
};

/// Similarity S of every layer of several models with every layer of these models, as one symmetric matrix.
struct AllPairs {
  std::vector<std::string> models;
  std::vector<std::vector<std::string>> layers;  ///< per model, in execution order
  std::vector<std::int64_t> first;               ///< per model, the row (and column) of its first layer
  std::int64_t size = 0;                         ///< layers of all models
  std::vector<double> values;                    ///< size*size, row-major, in [-1, 1]; NaN as in Matrix

  /// The part of the matrix that belongs to two models.
  [[nodiscard]] Matrix between(std::size_t row_model, std::size_t col_model) const;
};

/// Linear CKA of all pairs of layers of all models, as one blocked product in float64. Cost: size^2 * length / 2
/// multiply-adds; memory for the matrix and one copy of the signatures.
/// @param threads  at least 1; their number does not change the values
/// @throws Error{kInput} as cka() does
[[nodiscard]] AllPairs all_pairs(const std::vector<Signatures>& signatures, int threads = 1);

}  // namespace repsim::similarity
