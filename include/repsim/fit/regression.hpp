#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// Linear regression on samples that are added up as they come. Knows no models and no frames.
namespace repsim::fit {

/// Strengths of ridges relative to the mean variance of the regressors, where there are too few frames to choose them:
/// of maps, and of corrections, whose many regressors say nearly the same.
inline constexpr double kRidge = 1e-4, kCorrectionRidge = 1e-3;

struct Ridges {
  double map = kRidge, correction = kCorrectionRidge;
};

/// Which regressors a map of two terms reads. Indices int64, in the order of the weights; the two may overlap.
struct LowRankRegressors {
  at::Tensor base;        ///< [b], of the full map
  at::Tensor correction;  ///< [c], of the term of low rank
};

/// The normal equations of a linear regression y ~ W x + b of q outputs on p regressors: float64 sums of samples, of
/// their products and of their weights, about a fixed shift, so that large means cost no digits. Their size does not
/// depend on the number of samples.
class NormalEquations {
 public:
  /// How the products of samples are taken before they are added up in float64. Float32 products are those of 4096
  /// samples at a time about the shift: right to 1e-5 of the variances, which is far below the ridge of a correction,
  /// and twice as fast.
  enum class Products { kDouble, kFloat };
  explicit NormalEquations(Products products = Products::kDouble) : products_(products) {}

  struct Sums {
    std::int64_t samples = 0;
    double total = 0;             ///< of the weights
    at::Tensor shift_x, shift_y;  ///< [p], [q] float64
    at::Tensor x, y;              ///< [p], [q] weighted sums of the samples about the shift; float64 like all below
    at::Tensor xx, xy;            ///< [p, p], [p, q] weighted sums of the samples' products about the shift
    at::Tensor yy;                ///< [q] weighted sums of squares about the shift
  };
  /// @param sums  what another program part has added up
  explicit NormalEquations(Sums sums) : products_(Products::kDouble), sums_(std::move(sums)) {}

  /// @param x  [n, p], @param y  [n, q]; any floating dtype, all on one device, where the sums are and solutions
  ///        will be
  /// @param weights  [n] float64, 0 or more; undefined: 1 each
  void add(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weights = {});

  /// Adds the samples of `other`: the result is that of adding them here, up to rounding.
  void merge(const NormalEquations& other);

  /// Equations without samples about the shift of these. Merging them later costs one addition per sum.
  [[nodiscard]] NormalEquations empty_like() const;

  [[nodiscard]] std::int64_t samples() const { return sums_.samples; }
  /// Bytes that the sums take.
  [[nodiscard]] std::int64_t bytes() const;

  struct Moments {
    at::Tensor mean_x, mean_y;  ///< [p], [q] float64, about the shift
    at::Tensor xx, xy;          ///< [p, p], [p, q] float64 covariances
    at::Tensor yy;              ///< [q] float64 variances
  };
  /// @throws Error{kInternal} without samples, or if all weights are 0; so do all solve functions
  [[nodiscard]] Moments moments() const;

  struct Solution {
    at::Tensor weight;     ///< [q, p] float64
    at::Tensor bias;       ///< [q] float64
    at::Tensor explained;  ///< [q] float64: the part of `variance` that the fit explains
    at::Tensor variance;   ///< [q] float64: the variance of each output
    /// R2 on the samples that fitted it, pooled over the outputs begin..end by variance: 1 at most, may be negative;
    /// 0 where these outputs are constant.
    [[nodiscard]] double r2(std::int64_t begin, std::int64_t end) const;
    [[nodiscard]] double r2() const { return r2(0, variance.size(0)); }
  };
  /// Ridge regression by Cholesky factorisation. Without a ridge, or if the factorisation fails, the minimum-norm
  /// solution by eigenvalues.
  /// @param ridge  0 or more, relative to the mean variance of x
  [[nodiscard]] Solution solve(double ridge) const;
  /// solve() for each of several ridges, without `explained` and `variance`.
  [[nodiscard]] std::vector<Solution> solve_each(std::span<const double> ridges) const;

  /// A map from some regressors plus a map of low rank: y ~ base x[base] + up down x[correction] + bias.
  struct LowRank {
    Solution base;        ///< weight [q, b]; bias, explained and variance are those of the whole
    at::Tensor down;      ///< [rank, c] float64
    at::Tensor up;        ///< [q, rank] float64
    at::Tensor combined;  ///< [q, p] float64: base and correction as one map
  };
  /// Reduced-rank regression (Izenman 1975) on the residual of a map: the base is the solution of solve() on its
  /// regressors. The residual is regressed on the correction's regressors, and the result cut down to the directions of
  /// y in which it explains most.
  /// @param rank  1 or more; at most q directions are kept
  [[nodiscard]] LowRank solve_low_rank(const LowRankRegressors& regressors, std::int64_t rank,
                                       const Ridges& ridges) const;
  /// solve_low_rank() for several ranks, at little more than the cost of one.
  [[nodiscard]] std::vector<LowRank> solve_ranks(const LowRankRegressors& regressors,
                                                 std::span<const std::int64_t> ranks, const Ridges& ridges) const;
  /// solve_low_rank() for several ridges of the correction, without `explained` and `variance`.
  /// @param ridge  of the base
  [[nodiscard]] std::vector<LowRank> solve_correction_ridges(const LowRankRegressors& regressors, std::int64_t rank,
                                                             double ridge,
                                                             std::span<const double> correction_ridges) const;

  /// The `count` directions in which some regressors vary most: orthonormal, float64 [count, regressors.size(0)].
  /// @param regressors  int64 indices
  [[nodiscard]] at::Tensor principal_directions(const at::Tensor& regressors, std::int64_t count) const;

  /// Weighted sum of squared errors of a map on these samples, which need not be those that fitted it; 0 without
  /// samples.
  /// @param weight  [q, p] float64, @param bias  [q] float64
  [[nodiscard]] double error_of(const at::Tensor& weight, const at::Tensor& bias) const;
  /// error_of() of a map of low rank, at a fraction of the cost.
  [[nodiscard]] double error_of(const LowRank& map, const LowRankRegressors& regressors) const;

  /// R2 of y ~ x as it is, with nothing fitted: 1 at most, may be negative; 0 if y is constant. x and y have one width.
  [[nodiscard]] double r2_unchanged() const;

 private:
  [[nodiscard]] std::vector<LowRank> low_ranks(const Moments& all, const LowRankRegressors& regressors,
                                               std::span<const std::int64_t> ranks, double ridge,
                                               std::span<const double> correction_ridges) const;
  [[nodiscard]] double error_of(const at::Tensor& weight, const at::Tensor& bias, double quadratic) const;
  [[nodiscard]] at::Tensor bias_of(const Moments& moments, const at::Tensor& weight) const;
  void explain(const Moments& moments, const at::Tensor& weight, Solution& solution) const;

  Products products_;
  Sums sums_;
};

/// The samples of all blocks, added up in order.
[[nodiscard]] NormalEquations merged(std::span<const NormalEquations> blocks);

/// Chooses the ridge of a map by cross-validation: for each block and each of `ridges`, a regression on all other
/// blocks gives an error on this one.
/// @param blocks  sums over consecutive frames, so that no near-copy of a frame stands on both sides
/// @return the strongest ridge whose error is within a thousandth of the least; nothing if fewer than two blocks have
///         samples
[[nodiscard]] std::optional<double> best_ridge(std::span<const NormalEquations> blocks, std::span<const double> ridges);
/// Chooses the ridge of corrections as best_ridge() does, by corrections of rank 8. Only every second block measures
/// the error: these solutions are most of what the choice costs.
/// @param ridge  of the map
[[nodiscard]] std::optional<double> best_correction_ridge(std::span<const NormalEquations> blocks,
                                                          const LowRankRegressors& regressors, double ridge,
                                                          std::span<const double> ridges);

}  // namespace repsim::fit
