#include "ridge.hpp"

#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_eigh.h>

namespace repsim::fit {

at::Tensor solve_ridge(const at::Tensor& covariance, const at::Tensor& right, double ridge) {
  const double mean_variance = covariance.diagonal().mean().item<double>();
  if (!(mean_variance > 0)) return at::zeros_like(right);
  at::Tensor regularised = covariance.clone();
  regularised.diagonal().add_(ridge * mean_variance);
  const auto [factor, info] = at::linalg_cholesky_ex(regularised);
  // Without ridge rounding can hide that it is singular.
  if (ridge > 0 && info.item<int>() == 0) return at::cholesky_solve(right, factor);
  // Directions without variance carry nothing: leave them out instead of dividing by rounding noise.
  const auto [values, vectors] = at::linalg_eigh(regularised);
  const double floor = 1e-12 * values.max().item<double>();
  const at::Tensor inverse = at::where(values > floor, values.reciprocal(), at::zeros_like(values));
  return vectors.mm(inverse.unsqueeze(1) * vectors.t().mm(right));
}

}  // namespace repsim::fit
