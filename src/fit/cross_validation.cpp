#include <functional>

#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

constexpr double kTolerance = 1e-3;      // relative: what is within it of the least error is as good
constexpr std::int64_t kJudgedRank = 8;  // of the corrections that are compared

/// @param fitted  the errors on `judged` of maps fitted on `rest`, one per ridge
std::optional<double> strongest(
    std::span<const NormalEquations> parts, std::span<const double> ridges,
    const std::function<std::vector<double>(const NormalEquations& rest, const NormalEquations& judged)>& errors_of) {
  const auto with_rows =
      std::count_if(parts.begin(), parts.end(), [](const NormalEquations& one) { return one.rows() > 0; });
  if (with_rows < 2) return std::nullopt;
  std::vector<double> total(ridges.size(), 0.0);
  for (std::size_t left_out = 0; left_out < parts.size(); ++left_out) {
    if (parts[left_out].rows() == 0) continue;
    NormalEquations rest;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i != left_out) rest.merge(parts[i]);
    }
    const std::vector<double> errors = errors_of(rest, parts[left_out]);
    for (std::size_t i = 0; i < ridges.size(); ++i) total[i] += errors[i];
  }
  const double least = *std::min_element(total.begin(), total.end());
  double best = 0;
  for (std::size_t i = 0; i < ridges.size(); ++i) {
    if (total[i] <= least * (1 + kTolerance)) best = std::max(best, ridges[i]);
  }
  return best;
}

}  // namespace

NormalEquations merged(std::span<const NormalEquations> parts) {
  NormalEquations all;
  for (const NormalEquations& one : parts) all.merge(one);
  return all;
}

std::optional<double> best_ridge(std::span<const NormalEquations> parts, std::span<const double> ridges) {
  return strongest(parts, ridges, [&](const NormalEquations& rest, const NormalEquations& judged) {
    std::vector<double> errors;
    for (const double ridge : ridges) {
      const NormalEquations::Solution solution = rest.solve(ridge);
      errors.push_back(judged.error_of(solution.weight, solution.bias));
    }
    return errors;
  });
}

std::optional<double> best_correction_ridge(std::span<const NormalEquations> parts, const at::Tensor& columns,
                                            const at::Tensor& more, double ridge, std::span<const double> ridges) {
  return strongest(parts, ridges, [&](const NormalEquations& rest, const NormalEquations& judged) {
    std::vector<double> errors;
    for (const NormalEquations::LowRank& low : rest.solve_low_ranks(columns, more, kJudgedRank, ridge, ridges))
      errors.push_back(judged.error_of(low, columns, more));
    return errors;
  });
}

}  // namespace repsim::fit
