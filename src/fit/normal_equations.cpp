#include <ATen/ops/linalg_cholesky_ex.h>
#include <ATen/ops/linalg_eigh.h>

#include "repsim/base/error.hpp"
#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kFloatRows = 4096;  // whose products are taken in float32 at a time
constexpr std::int64_t kColumns = 256;     // of a symmetric product at a time

/// Adds weighted^T left, which is symmetric: what lies below the diagonal blocks is copied, not computed.
void add_symmetric(at::Tensor& sum, const at::Tensor& weighted, const at::Tensor& left) {
  const std::int64_t p = left.size(1);
  for (std::int64_t begin = 0; begin < p; begin += kColumns) {
    const std::int64_t count = std::min(kColumns, p - begin), behind = begin + count;
    const at::Tensor rows = weighted.narrow(1, begin, count).t().mm(left.narrow(1, begin, p - begin));
    sum.narrow(0, begin, count).narrow(1, begin, p - begin).add_(rows);
    if (behind < p) {
      sum.narrow(0, behind, p - behind).narrow(1, begin, count).add_(rows.narrow(1, count, p - behind).t());
    }
  }
}

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
  if (rows_ == 0) {
    if (!shift_x_.defined()) {
      shift_x_ = x.to(at::kDouble).mean(0);
      shift_y_ = y.to(at::kDouble).mean(0);
    }
    const std::int64_t p = x.size(1), q = y.size(1);
    sum_x_ = at::zeros({p}, shift_x_.options());
    sum_y_ = at::zeros({q}, shift_x_.options());
    xx_ = at::zeros({p, p}, shift_x_.options());
    xy_ = at::zeros({p, q}, shift_x_.options());
    yy_ = at::zeros({q}, shift_x_.options());
  }
  rows_ += x.size(0);
  total_ += weights.defined() ? weights.sum().item<double>() : static_cast<double>(x.size(0));
  const at::ScalarType type = products_ == Products::kFloat ? at::kFloat : at::kDouble;
  const at::Tensor shift_x = shift_x_.to(type), shift_y = shift_y_.to(type);
  const std::int64_t chunk = products_ == Products::kFloat ? kFloatRows : x.size(0);
  for (std::int64_t begin = 0; begin < x.size(0); begin += chunk) {
    const std::int64_t count = std::min(chunk, x.size(0) - begin);
    const at::Tensor left = x.narrow(0, begin, count).to(type) - shift_x,
                     right = y.narrow(0, begin, count).to(type) - shift_y;
    at::Tensor weighted = left, weighted_right = right;
    if (weights.defined()) {
      const at::Tensor column = weights.narrow(0, begin, count).to(x.device(), type).unsqueeze(1);
      weighted = left * column;
      weighted_right = right * column;
    }
    sum_x_ += weighted.sum(0);
    sum_y_ += weighted_right.sum(0);
    yy_ += (weighted_right * right).sum(0);
    add_symmetric(xx_, weighted, left);
    xy_ += weighted.t().mm(right);
  }
}

std::int64_t NormalEquations::bytes() const {
  std::int64_t bytes = 0;
  for (const at::Tensor* sum : {&shift_x_, &shift_y_, &sum_x_, &sum_y_, &xx_, &xy_, &yy_})
    bytes += sum->defined() ? static_cast<std::int64_t>(sum->nbytes()) : 0;
  return bytes;
}

void NormalEquations::merge(const NormalEquations& other) {
  if (other.rows_ == 0) return;
  if (rows_ == 0) {
    // Own sums, not the other's tensors, which it may still add to.
    *this = other;
    for (at::Tensor* sum : {&sum_x_, &sum_y_, &xx_, &xy_, &yy_}) *sum = sum->clone();
    return;
  }
  xx_ += other.xx_;
  xy_ += other.xy_;
  yy_ += other.yy_;
  if (!shift_x_.is_same(other.shift_x_)) {
    // Sums about the other's shift, brought to this one: (x + d)(y + e)' = xy' + x e' + d y' + d e'.
    const at::Tensor dx = other.shift_x_ - shift_x_, dy = other.shift_y_ - shift_y_;
    xx_ += at::outer(other.sum_x_, dx) + at::outer(dx, other.sum_x_) + other.total_ * at::outer(dx, dx);
    xy_ += at::outer(other.sum_x_, dy) + at::outer(dx, other.sum_y_) + other.total_ * at::outer(dx, dy);
    yy_ += 2 * other.sum_y_ * dy + other.total_ * dy.square();
    sum_x_ += other.total_ * dx;
    sum_y_ += other.total_ * dy;
  }
  sum_x_ += other.sum_x_;
  sum_y_ += other.sum_y_;
  total_ += other.total_;
  rows_ += other.rows_;
}

NormalEquations NormalEquations::beside() const {
  NormalEquations result(products_);
  result.shift_x_ = shift_x_;
  result.shift_y_ = shift_y_;
  return result;
}

NormalEquations::Moments NormalEquations::moments() const {
  if (rows_ == 0 || !(total_ > 0)) throw Error(ErrorKind::kInternal, "a regression without rows");
  Moments result;
  result.mean_x = sum_x_ / total_;
  result.mean_y = sum_y_ / total_;
  result.xx = xx_ / total_ - at::outer(result.mean_x, result.mean_x);
  result.xy = xy_ / total_ - at::outer(result.mean_x, result.mean_y);
  result.yy = yy_ / total_ - result.mean_y.square();
  return result;
}

at::Tensor NormalEquations::bias_of(const Moments& moments, const at::Tensor& weight) const {
  return moments.mean_y + shift_y_ - weight.t().mv(moments.mean_x + shift_x_);
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

NormalEquations::LowRank NormalEquations::solve_low_rank(const at::Tensor& of_base, const at::Tensor& of_correction,
                                                         std::int64_t rank, double ridge,
                                                         double correction_ridge) const {
  const Moments all = moments();
  LowRank result = std::move(low_ranks(all, of_base, of_correction, rank, ridge, {&correction_ridge, 1}).front());
  judge(all, result.both.t(), result.base);
  return result;
}

std::vector<NormalEquations::LowRank> NormalEquations::solve_low_ranks(
    const at::Tensor& of_base, const at::Tensor& of_correction, std::int64_t rank, double ridge,
    std::span<const double> correction_ridges) const {
  return low_ranks(moments(), of_base, of_correction, rank, ridge, correction_ridges);
}

std::vector<NormalEquations::LowRank> NormalEquations::low_ranks(const Moments& all, const at::Tensor& of_base,
                                                                 const at::Tensor& of_correction, std::int64_t rank,
                                                                 double ridge,
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
  const at::Tensor c = bias - shift_y_ + weight.mv(shift_x_);
  const at::Tensor squares =
      yy_.sum() - 2 * (weight.t() * xy_).sum() + 2 * c.dot(weight.mv(sum_x_) - sum_y_) + total_ * c.dot(c);
  return squares.item<double>() + quadratic;
}

double NormalEquations::error_of(const at::Tensor& weight, const at::Tensor& bias) const {
  if (rows_ == 0) return 0;
  return error_of(weight, bias, (weight.mm(xx_) * weight).sum().item<double>());
}

double NormalEquations::error_of(const LowRank& map, const at::Tensor& of_base, const at::Tensor& of_correction) const {
  if (rows_ == 0) return 0;
  const at::Tensor columns = of_base.to(xx_.device()), more = of_correction.to(xx_.device());
  const at::Tensor& base = map.base.weight;
  const at::Tensor by_base = xx_.index_select(0, columns).index_select(1, columns);
  const at::Tensor by_correction = map.down.mm(xx_.index_select(0, more));  // [rank, p]
  const at::Tensor across = by_correction.index_select(1, columns), within = by_correction.index_select(1, more);
  const at::Tensor quadratic = (base.mm(by_base) * base).sum() + 2 * (map.up.t().mm(base) * across).sum() +
                               (map.up.t().mm(map.up) * within.mm(map.down.t())).sum();
  return error_of(map.both, map.base.bias, quadratic.item<double>());
}

double NormalEquations::r2_unchanged() const {
  const Moments at = moments();
  const double variance_y = at.yy.sum().item<double>();
  if (!(variance_y > 0)) return 0;
  const at::Tensor offset = at.mean_x + shift_x_ - at.mean_y - shift_y_;
  const double error = (at.xx.diagonal() - 2 * at.xy.diagonal() + offset.square()).sum().item<double>() + variance_y;
  return 1.0 - error / variance_y;
}

}  // namespace repsim::fit
