#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_eigh.h>

#include "repsim/base/error.hpp"
#include "repsim/fit.hpp"
#include "symmetric.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kFloatRows = 4096;  // whose products are taken in float32 at a time

/// (covariance + ridge) weight = right, ridge relative to the mean variance.
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

}  // namespace

void NormalEquations::add(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weights) {
  if (x.size(0) == 0) return;
  if (sums_.rows == 0) {
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
  sums_.rows += x.size(0);
  sums_.total += weights.defined() ? weights.sum().item<double>() : static_cast<double>(x.size(0));
  const at::ScalarType type = products_ == Products::kFloat ? at::kFloat : at::kDouble;
  const at::Tensor shift_x = sums_.shift_x.to(type), shift_y = sums_.shift_y.to(type);
  // Both sides of a product by the root of the weight: rows are written once, not once with and once without.
  at::Tensor roots;
  if (weights.defined()) roots = weights.to(x.device()).sqrt().to(type);
  const std::int64_t chunk = products_ == Products::kFloat ? kFloatRows : x.size(0);
  for (std::int64_t begin = 0; begin < x.size(0); begin += chunk) {
    const std::int64_t count = std::min(chunk, x.size(0) - begin);
    const auto about = [&](const at::Tensor& rows, const at::Tensor& shift) {
      return rows.narrow(0, begin, count).to(type, /*non_blocking=*/false, /*copy=*/true).sub_(shift);
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
  if (other.sums_.rows == 0) return;
  if (sums_.rows == 0) {
    // Own sums, not the other's tensors, which it may still add to.
    *this = other;
    for (at::Tensor* sum : {&sums_.x, &sums_.y, &sums_.xx, &sums_.xy, &sums_.yy}) *sum = sum->clone();
    return;
  }
  sums_.xx += other.sums_.xx;
  sums_.xy += other.sums_.xy;
  sums_.yy += other.sums_.yy;
  if (!sums_.shift_x.is_same(other.sums_.shift_x)) {
    // Sums about the other's shift, brought to this one: (x + d)(y + e)' = xy' + x e' + d y' + d e'.
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
  sums_.rows += other.sums_.rows;
}

NormalEquations NormalEquations::beside() const {
  NormalEquations result(products_);
  result.sums_.shift_x = sums_.shift_x;
  result.sums_.shift_y = sums_.shift_y;
  return result;
}

NormalEquations::Moments NormalEquations::moments() const {
  if (sums_.rows == 0 || !(sums_.total > 0)) throw Error(ErrorKind::kInternal, "a regression without rows");
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

void NormalEquations::judge(const Moments& moments, const at::Tensor& weight, Solution& solution) const {
  solution.bias = bias_of(moments, weight);
  solution.variance = moments.yy;
  solution.explained = (2 * weight * moments.xy - weight * moments.xx.mm(weight)).sum(0);
}

NormalEquations::Solution NormalEquations::solve(double ridge) const {
  const Moments at = moments();
  const at::Tensor weight = solve_ridge(at.xx, at.xy, ridge);  // [p, q]
  Solution solution;
  solution.weight = weight.t().contiguous();
  judge(at, weight, solution);
  return solution;
}

std::vector<NormalEquations::Solution> NormalEquations::solve_several(std::span<const double> ridges) const {
  const Moments at = moments();
  std::vector<Solution> solutions;
  for (const double ridge : ridges) {
    const at::Tensor weight = solve_ridge(at.xx, at.xy, ridge);
    solutions.push_back({weight.t().contiguous(), bias_of(at, weight), {}, {}});
  }
  return solutions;
}

NormalEquations::LowRank NormalEquations::solve_low_rank(const at::Tensor& of_base, const at::Tensor& of_correction,
                                                         std::int64_t rank, double ridge,
                                                         double correction_ridge) const {
  return std::move(solve_low_ranks(of_base, of_correction, {&rank, 1}, ridge, correction_ridge).front());
}

std::vector<NormalEquations::LowRank> NormalEquations::solve_low_ranks(const at::Tensor& of_base,
                                                                       const at::Tensor& of_correction,
                                                                       std::span<const std::int64_t> ranks,
                                                                       double ridge, double correction_ridge) const {
  const Moments all = moments();
  std::vector<LowRank> results = low_ranks(all, of_base, of_correction, ranks, ridge, {&correction_ridge, 1});
  for (LowRank& one : results) judge(all, one.both.t(), one.base);
  return results;
}

std::vector<NormalEquations::LowRank> NormalEquations::solve_low_ranks(
    const at::Tensor& of_base, const at::Tensor& of_correction, std::int64_t rank, double ridge,
    std::span<const double> correction_ridges) const {
  return low_ranks(moments(), of_base, of_correction, {&rank, 1}, ridge, correction_ridges);
}

/// One per ridge and, for each of these, per rank.
std::vector<NormalEquations::LowRank> NormalEquations::low_ranks(const Moments& all, const at::Tensor& of_base,
                                                                 const at::Tensor& of_correction,
                                                                 std::span<const std::int64_t> ranks, double ridge,
                                                                 std::span<const double> correction_ridges) const {
  const at::Tensor columns = of_base.to(all.xx.device()), more = of_correction.to(all.xx.device());
  const at::Tensor some = all.xx.index_select(0, columns);  // [columns, p]
  const at::Tensor base = solve_ridge(some.index_select(1, columns), all.xy.index_select(0, columns), ridge);
  const at::Tensor covariance = all.xx.index_select(0, more).index_select(1, more);
  // Covariance of the correction's regressors and what the base leaves over.
  const at::Tensor left_over = all.xy.index_select(0, more) - some.index_select(1, more).t().mm(base);
  std::vector<LowRank> results;
  for (const double one : correction_ridges) {
    const at::Tensor full = solve_ridge(covariance, left_over, one);
    // Covariance of the fitted values, F'CF: CF is L - sF where (C + s) F = L.
    const double strength = one * covariance.diagonal().mean().item<double>();
    const at::Tensor fitted = full.t().mm(left_over) - strength * full.t().mm(full);
    const at::Tensor vectors = std::get<1>(at::linalg_eigh(fitted));  // ascending
    for (const std::int64_t rank : ranks) {
      const std::int64_t kept = std::min(rank, vectors.size(1));
      LowRank& result = results.emplace_back();
      result.up = vectors.narrow(1, vectors.size(1) - kept, kept).contiguous();
      result.down = full.mm(result.up).t().contiguous();
      at::Tensor weight = at::zeros_like(all.xy);
      weight.index_add_(0, more, result.down.t().mm(result.up.t()));
      weight.index_add_(0, columns, base);
      result.base.weight = base.t().contiguous();
      result.base.bias = bias_of(all, weight);
      result.both = weight.t().contiguous();
    }
  }
  return results;
}

at::Tensor NormalEquations::principal_directions(const at::Tensor& columns, std::int64_t count) const {
  const at::Tensor all = moments().xx, which = columns.to(all.device());
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
  if (sums_.rows == 0) return 0;
  return error_of(weight, bias, (weight.mm(sums_.xx) * weight).sum().item<double>());
}

double NormalEquations::error_of(const LowRank& map, const at::Tensor& of_base, const at::Tensor& of_correction) const {
  if (sums_.rows == 0) return 0;
  const at::Tensor columns = of_base.to(sums_.xx.device()), more = of_correction.to(sums_.xx.device());
  const at::Tensor& base = map.base.weight;
  const at::Tensor by_base = sums_.xx.index_select(0, columns).index_select(1, columns);
  const at::Tensor by_correction = map.down.mm(sums_.xx.index_select(0, more));  // [rank, p]
  const at::Tensor across = by_correction.index_select(1, columns), within = by_correction.index_select(1, more);
  const at::Tensor quadratic = (base.mm(by_base) * base).sum() + 2 * (map.up.t().mm(base) * across).sum() +
                               (map.up.t().mm(map.up) * within.mm(map.down.t())).sum();
  return error_of(map.both, map.base.bias, quadratic.item<double>());
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
