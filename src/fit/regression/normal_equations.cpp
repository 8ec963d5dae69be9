#include <ATen/ATen.h>

#include "repsim/base/error.hpp"
#include "repsim/fit/regression.hpp"
#include "ridge.hpp"
#include "symmetric.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kFloatSamples = 4096;  // whose products are taken in float32 at a time

}  // namespace

void NormalEquations::add(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weights) {
  if (x.size(0) == 0) return;
  if (sums_.samples == 0) {
    if (!sums_.shift_x.defined()) {
      sums_.shift_x = x.to(at::kDouble).mean(0);
      sums_.shift_y = y.to(at::kDouble).mean(0);
    }
    const std::int64_t p = x.size(1), q = y.size(1);
    sums_.x = at::zeros({p}, sums_.shift_x.options());
    sums_.y = at::zeros({q}, sums_.shift_x.options());
    sums_.xx = at::zeros({p, p}, sums_.shift_x.options());
    sums_.xy = at::zeros({p, q}, sums_.shift_x.options());
    sums_.yy = at::zeros({q}, sums_.shift_x.options());
  }
  sums_.samples += x.size(0);
  sums_.total += weights.defined() ? weights.sum().item<double>() : static_cast<double>(x.size(0));
  const at::ScalarType type = products_ == Products::kFloat ? at::kFloat : at::kDouble;
  const at::Tensor shift_x = sums_.shift_x.to(type), shift_y = sums_.shift_y.to(type);
  // The root of the weight on both sides of a product: one weighted copy of the samples serves all sums.
  at::Tensor roots;
  if (weights.defined()) roots = weights.to(x.device()).sqrt().to(type);
  const std::int64_t chunk = products_ == Products::kFloat ? kFloatSamples : x.size(0);
  for (std::int64_t begin = 0; begin < x.size(0); begin += chunk) {
    const std::int64_t count = std::min(chunk, x.size(0) - begin);
    const auto about = [&](const at::Tensor& samples, const at::Tensor& shift) {
      return samples.narrow(0, begin, count).to(type, /*non_blocking=*/false, /*copy=*/true).sub_(shift);
    };
    const at::Tensor left = about(x, shift_x), right = about(y, shift_y);
    if (roots.defined()) {
      const at::Tensor root = roots.narrow(0, begin, count);
      left.mul_(root.unsqueeze(1));
      right.mul_(root.unsqueeze(1));
      sums_.x += left.t().mv(root);
      sums_.y += right.t().mv(root);
    } else {
      sums_.x += left.sum(0);
      sums_.y += right.sum(0);
    }
    sums_.yy += right.square().sum(0);
    add_symmetric(sums_.xx, left);
    sums_.xy += left.t().mm(right);
  }
}

std::int64_t NormalEquations::bytes() const {
  std::int64_t bytes = 0;
  for (const at::Tensor* sum : {&sums_.shift_x, &sums_.shift_y, &sums_.x, &sums_.y, &sums_.xx, &sums_.xy, &sums_.yy})
    bytes += sum->defined() ? static_cast<std::int64_t>(sum->nbytes()) : 0;
  return bytes;
}

void NormalEquations::merge(const NormalEquations& other) {
  if (other.sums_.samples == 0) return;
  if (sums_.samples == 0) {
    // Copies: `other` may still add to its tensors.
    *this = other;
    for (at::Tensor* sum : {&sums_.x, &sums_.y, &sums_.xx, &sums_.xy, &sums_.yy}) *sum = sum->clone();
    return;
  }
  sums_.xx += other.sums_.xx;
  sums_.xy += other.sums_.xy;
  sums_.yy += other.sums_.yy;
  if (!sums_.shift_x.is_same(other.sums_.shift_x)) {
    // From sums about the other's shift to sums about this one: (x + d)(y + e)' = xy' + x e' + d y' + d e'.
    const at::Tensor dx = other.sums_.shift_x - sums_.shift_x, dy = other.sums_.shift_y - sums_.shift_y;
    sums_.xx += at::outer(other.sums_.x, dx) + at::outer(dx, other.sums_.x) + other.sums_.total * at::outer(dx, dx);
    sums_.xy += at::outer(other.sums_.x, dy) + at::outer(dx, other.sums_.y) + other.sums_.total * at::outer(dx, dy);
    sums_.yy += 2 * other.sums_.y * dy + other.sums_.total * dy.square();
    sums_.x += other.sums_.total * dx;
    sums_.y += other.sums_.total * dy;
  }
  sums_.x += other.sums_.x;
  sums_.y += other.sums_.y;
  sums_.total += other.sums_.total;
  sums_.samples += other.sums_.samples;
}

NormalEquations NormalEquations::empty_like() const {
  NormalEquations result(products_);
  result.sums_.shift_x = sums_.shift_x;
  result.sums_.shift_y = sums_.shift_y;
  return result;
}

NormalEquations::Moments NormalEquations::moments() const {
  if (sums_.samples == 0 || !(sums_.total > 0)) throw Error(ErrorKind::kInternal, "a regression without samples");
  Moments result;
  result.mean_x = sums_.x / sums_.total;
  result.mean_y = sums_.y / sums_.total;
  result.xx = sums_.xx / sums_.total - at::outer(result.mean_x, result.mean_x);
  result.xy = sums_.xy / sums_.total - at::outer(result.mean_x, result.mean_y);
  result.yy = sums_.yy / sums_.total - result.mean_y.square();
  return result;
}

at::Tensor NormalEquations::bias_of(const Moments& moments, const at::Tensor& weight) const {
  return moments.mean_y + sums_.shift_y - weight.t().mv(moments.mean_x + sums_.shift_x);
}

/// Sets the bias and the explained variance of a solution. @param weight  [p, q]
void NormalEquations::explain(const Moments& moments, const at::Tensor& weight, Solution& solution) const {
  solution.bias = bias_of(moments, weight);
  solution.variance = moments.yy;
  solution.explained = (2 * weight * moments.xy - weight * moments.xx.mm(weight)).sum(0);
}

NormalEquations::Solution NormalEquations::solve(double ridge) const {
  const Moments at = moments();
  const at::Tensor weight = solve_ridge(at.xx, at.xy, ridge);  // [p, q]
  Solution solution;
  solution.weight = weight.t().contiguous();
  explain(at, weight, solution);
  return solution;
}

std::vector<NormalEquations::Solution> NormalEquations::solve_each(std::span<const double> ridges) const {
  const Moments at = moments();
  std::vector<Solution> solutions;
  for (const double ridge : ridges) {
    const at::Tensor weight = solve_ridge(at.xx, at.xy, ridge);
    solutions.push_back({weight.t().contiguous(), bias_of(at, weight), {}, {}});
  }
  return solutions;
}

at::Tensor NormalEquations::principal_directions(const at::Tensor& regressors, std::int64_t count) const {
  const at::Tensor all = moments().xx, which = regressors.to(all.device());
  const at::Tensor covariance = all.index_select(0, which).index_select(1, which);
  const at::Tensor vectors = std::get<1>(at::linalg_eigh(covariance));  // ascending
  return vectors.narrow(1, vectors.size(1) - count, count).flip(1).t().contiguous();
}

double NormalEquations::Solution::r2(std::int64_t begin, std::int64_t end) const {
  const double total = variance.slice(0, begin, end).sum().item<double>();
  return total > 0 ? explained.slice(0, begin, end).sum().item<double>() / total : 0.0;
}

/// @param quadratic  sum of squares of the map's values about the shift
double NormalEquations::error_of(const at::Tensor& weight, const at::Tensor& bias, double quadratic) const {
  // y - Wx - b = (y - shift) - W (x - shift) - c
  const at::Tensor c = bias - sums_.shift_y + weight.mv(sums_.shift_x);
  const at::Tensor squares = sums_.yy.sum() - 2 * (weight.t() * sums_.xy).sum() +
                             2 * c.dot(weight.mv(sums_.x) - sums_.y) + sums_.total * c.dot(c);
  return squares.item<double>() + quadratic;
}

double NormalEquations::error_of(const at::Tensor& weight, const at::Tensor& bias) const {
  if (sums_.samples == 0) return 0;
  return error_of(weight, bias, (weight.mm(sums_.xx) * weight).sum().item<double>());
}

double NormalEquations::r2_unchanged() const {
  const Moments at = moments();
  const double variance_y = at.yy.sum().item<double>();
  if (!(variance_y > 0)) return 0;
  const at::Tensor offset = at.mean_x + sums_.shift_x - at.mean_y - sums_.shift_y;
  const double error = (at.xx.diagonal() - 2 * at.xy.diagonal() + offset.square()).sum().item<double>() + variance_y;
  return 1.0 - error / variance_y;
}

}  // namespace repsim::fit
