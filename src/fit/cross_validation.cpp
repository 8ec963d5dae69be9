#include <functional>

#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

constexpr double kTolerance = 1e-3;      // relative: what is within it of the least error is as good
constexpr std::int64_t kJudgedRank = 8;  // of the corrections that are compared

/// @param nth  every how many-th part judges
/// @param errors_of  the errors on `judged` of maps fitted on `rest`, one per ridge
std::optional<double> strongest(
    std::span<const NormalEquations> parts, std::span<const double> ridges, std::size_t nth,
    const std::function<std::vector<double>(const NormalEquations& rest, const NormalEquations& judged)>& errors_of) {
  std::vector<std::size_t> with_rows;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].rows() > 0) with_rows.push_back(i);
  }
  if (with_rows.size() < 2) return std::nullopt;
  std::vector<double> total(ridges.size(), 0.0);
  for (std::size_t i = nth - 1; i < with_rows.size(); i += nth) {
    NormalEquations rest;
    for (const std::size_t other : with_rows) {
      if (other != with_rows[i]) rest.merge(parts[other]);
    }
    const std::vector<double> errors = errors_of(rest, parts[with_rows[i]]);
    for (std::size_t k = 0; k < ridges.size(); ++k) total[k] += errors[k];
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
  return strongest(parts, ridges, 1, [&](const NormalEquations& rest, const NormalEquations& judged) {
    std::vector<double> errors;
    for (const NormalEquations::Solution& one : rest.solve_several(ridges))
      errors.push_back(judged.error_of(one.weight, one.bias));
    return errors;
  });
}

std::optional<double> best_correction_ridge(std::span<const NormalEquations> parts, const at::Tensor& columns,
                                            const at::Tensor& more, double ridge, std::span<const double> ridges) {
  return strongest(parts, ridges, 2, [&](const NormalEquations& rest, const NormalEquations& judged) {
    std::vector<double> errors;
    for (const NormalEquations::LowRank& low : rest.solve_low_ranks(columns, more, kJudgedRank, ridge, ridges))
      errors.push_back(judged.error_of(low, columns, more));
    return errors;
  });
}

}  // namespace repsim::fit
