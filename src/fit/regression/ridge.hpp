#pragma once

#include <ATen/core/Tensor.h>

namespace repsim::fit {

/// Solves (covariance + s) weight = right, where s is `ridge` times the mean variance. By Cholesky factorisation;
/// without a ridge, or if that fails, by eigenvalues, with 0 in directions without variance.
/// @param covariance  [p, p] float64, symmetric, @param right  [p, q] float64
[[nodiscard]] at::Tensor solve_ridge(const at::Tensor& covariance, const at::Tensor& right, double ridge);

}  // namespace repsim::fit
