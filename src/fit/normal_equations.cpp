#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_eigh.h>

#include "repsim/base/error.hpp"
#include "repsim/fit.hpp"

namespace repsim::fit {

void NormalEquations::add(const at::Tensor& x, const at::Tensor& y) {
  if (x.size(0) == 0) return;
  at::Tensor left = x.to(at::kDouble), right = y.to(at::kDouble);
  if (rows_ == 0) {
    shift_x_ = left.mean(0);
    shift_y_ = right.mean(0);
    const std::int64_t p = left.size(1), q = right.size(1);
    sum_x_ = at::zeros({p}, at::kDouble);
    sum_y_ = at::zeros({q}, at::kDouble);
    xx_ = at::zeros({p, p}, at::kDouble);
    xy_ = at::zeros({p, q}, at::kDouble);
    yy_ = at::zeros({q}, at::kDouble);
  }
  left = left - shift_x_;
  right = right - shift_y_;
  rows_ += left.size(0);
  sum_x_ += left.sum(0);
  sum_y_ += right.sum(0);
  xx_.addmm_(left.t(), left);
  xy_.addmm_(left.t(), right);
  yy_ += right.square().sum(0);
}

NormalEquations::Solution NormalEquations::solve(double ridge) const {
  if (rows_ == 0) throw Error(ErrorKind::kInternal, "a regression without rows");
  const double n = static_cast<double>(rows_);
  const at::Tensor mean_x = sum_x_ / n, mean_y = sum_y_ / n;
  const at::Tensor cov_xx = xx_ / n - at::outer(mean_x, mean_x);
  const at::Tensor cov_xy = xy_ / n - at::outer(mean_x, mean_y);
  const double mean_variance = cov_xx.diagonal().mean().item<double>();

  at::Tensor weight = at::zeros_like(cov_xy);  // [p, q]
  if (mean_variance > 0) {
    const at::Tensor regularised = cov_xx + ridge * mean_variance * at::eye(cov_xx.size(0), at::kDouble);
    const auto [factor, info] = at::linalg_cholesky_ex(regularised);
    if (ridge > 0 && info.item<int>() == 0) {  // without ridge rounding can hide that it is singular
      weight = at::cholesky_solve(cov_xy, factor);
    } else {
      // Directions without variance carry nothing: leave them out instead of dividing by rounding noise.
      const auto [values, vectors] = at::linalg_eigh(regularised);
      const double floor = 1e-12 * values.max().item<double>();
      const at::Tensor inverse = at::where(values > floor, values.reciprocal(), at::zeros_like(values));
      weight = vectors.mm(inverse.unsqueeze(1) * vectors.t().mm(cov_xy));
    }
  }
  Solution solution;
  solution.weight = weight.t().contiguous();
  solution.bias = mean_y + shift_y_ - solution.weight.mv(mean_x + shift_x_);
  solution.variance = yy_ / n - mean_y.square();
  solution.explained = (2 * weight * cov_xy - weight * cov_xx.mm(weight)).sum(0);
  return solution;
}

double NormalEquations::Solution::r2(std::int64_t begin, std::int64_t end) const {
  const double total = variance.slice(0, begin, end).sum().item<double>();
  return total > 0 ? explained.slice(0, begin, end).sum().item<double>() / total : 0.0;
}

double NormalEquations::r2_unchanged() const {
  const double n = static_cast<double>(rows_);
  const at::Tensor mean_x = sum_x_ / n, mean_y = sum_y_ / n;
  const double variance_y = (yy_ / n - mean_y.square()).sum().item<double>();
  if (!(variance_y > 0)) return 0;
  const at::Tensor variance_x = xx_.diagonal() / n - mean_x.square();
  const at::Tensor covariance = xy_.diagonal() / n - mean_x * mean_y;
  const at::Tensor offset = mean_x + shift_x_ - mean_y - shift_y_;
  const double error = (variance_x - 2 * covariance + offset.square()).sum().item<double>() + variance_y;
  return 1.0 - error / variance_y;
}

}  // namespace repsim::fit
