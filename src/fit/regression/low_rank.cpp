#include <ATen/ops/linalg_eigh.h>

#include <algorithm>

#include "repsim/fit/regression.hpp"
#include "ridge.hpp"

/// Reduced-rank regression.
namespace repsim::fit {

NormalEquations::LowRank NormalEquations::solve_low_rank(const LowRankRegressors& regressors, std::int64_t rank,
                                                         const Ridges& ridges) const {
  return std::move(solve_ranks(regressors, {&rank, 1}, ridges).front());
}

std::vector<NormalEquations::LowRank> NormalEquations::solve_ranks(const LowRankRegressors& regressors,
                                                                   std::span<const std::int64_t> ranks,
                                                                   const Ridges& ridges) const {
  const Moments all = moments();
  std::vector<LowRank> results = low_ranks(all, regressors, ranks, ridges.map, {&ridges.correction, 1});
  for (LowRank& one : results) explain(all, one.combined.t(), one.base);
  return results;
}

std::vector<NormalEquations::LowRank> NormalEquations::solve_correction_ridges(
    const LowRankRegressors& regressors, std::int64_t rank, double ridge,
    std::span<const double> correction_ridges) const {
  return low_ranks(moments(), regressors, {&rank, 1}, ridge, correction_ridges);
}

/// @return one per ridge and, for each of these, per rank; without `explained` and `variance`
std::vector<NormalEquations::LowRank> NormalEquations::low_ranks(const Moments& all,
                                                                 const LowRankRegressors& regressors,
                                                                 std::span<const std::int64_t> ranks, double ridge,
                                                                 std::span<const double> correction_ridges) const {
  const at::Tensor of_base = regressors.base.to(all.xx.device()),
                   of_correction = regressors.correction.to(all.xx.device());
  const at::Tensor some = all.xx.index_select(0, of_base);  // [b, p]
  const at::Tensor base = solve_ridge(some.index_select(1, of_base), all.xy.index_select(0, of_base), ridge);
  const at::Tensor covariance = all.xx.index_select(0, of_correction).index_select(1, of_correction);
  // Covariance of the correction's regressors with the residual of the base.
  const at::Tensor residual = all.xy.index_select(0, of_correction) - some.index_select(1, of_correction).t().mm(base);
  std::vector<LowRank> results;
  for (const double one : correction_ridges) {
    const at::Tensor full = solve_ridge(covariance, residual, one);
    // Covariance of the fitted values, F'CF: CF is R - sF where (C + s) F = R.
    const double strength = one * covariance.diagonal().mean().item<double>();
    const at::Tensor fitted = full.t().mm(residual) - strength * full.t().mm(full);
    const at::Tensor vectors = std::get<1>(at::linalg_eigh(fitted));  // ascending
    for (const std::int64_t rank : ranks) {
      const std::int64_t kept = std::min(rank, vectors.size(1));
      LowRank& result = results.emplace_back();
      result.up = vectors.narrow(1, vectors.size(1) - kept, kept).contiguous();
      result.down = full.mm(result.up).t().contiguous();
      at::Tensor weight = at::zeros_like(all.xy);
      weight.index_add_(0, of_correction, result.down.t().mm(result.up.t()));
      weight.index_add_(0, of_base, base);
      result.base.weight = base.t().contiguous();
      result.base.bias = bias_of(all, weight);
      result.combined = weight.t().contiguous();
    }
  }
  return results;
}

double NormalEquations::error_of(const LowRank& map, const LowRankRegressors& regressors) const {
  if (sums_.samples == 0) return 0;
  const at::Tensor of_base = regressors.base.to(sums_.xx.device()),
                   of_correction = regressors.correction.to(sums_.xx.device());
  const at::Tensor& base = map.base.weight;
  const at::Tensor by_base = sums_.xx.index_select(0, of_base).index_select(1, of_base);
  const at::Tensor by_correction = map.down.mm(sums_.xx.index_select(0, of_correction));  // [rank, p]
  const at::Tensor across = by_correction.index_select(1, of_base),
                   within = by_correction.index_select(1, of_correction);
  const at::Tensor quadratic = (base.mm(by_base) * base).sum() + 2 * (map.up.t().mm(base) * across).sum() +
                               (map.up.t().mm(map.up) * within.mm(map.down.t())).sum();
  return error_of(map.combined, map.base.bias, quadratic.item<double>());
}

}  // namespace repsim::fit
