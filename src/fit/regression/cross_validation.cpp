#include <algorithm>
#include <functional>

#include "repsim/fit/regression.hpp"

namespace repsim::fit {
namespace {

constexpr double kTolerance = 1e-3;        // relative: an error within it of the least error is as good
constexpr std::int64_t kComparedRank = 8;  // of the corrections that are compared

/// The errors on the block `left_out` of maps fitted on `rest`, one per ridge.
using ErrorsOf = std::function<std::vector<double>(const NormalEquations& rest, const NormalEquations& left_out)>;

/// The strongest ridge whose error is within kTolerance of the least.
/// @param nth  every nth block is left out and measures the error
std::optional<double> strongest(std::span<const NormalEquations> blocks, std::span<const double> ridges,
                                std::size_t nth, const ErrorsOf& errors_of) {
  std::vector<std::size_t> with_samples;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].samples() > 0) with_samples.push_back(i);
  }
  if (with_samples.size() < 2) return std::nullopt;
  std::vector<double> total(ridges.size(), 0.0);
  for (std::size_t i = nth - 1; i < with_samples.size(); i += nth) {
    NormalEquations rest;
    for (const std::size_t other : with_samples) {
      if (other != with_samples[i]) rest.merge(blocks[other]);
    }
    const std::vector<double> errors = errors_of(rest, blocks[with_samples[i]]);
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

NormalEquations merged(std::span<const NormalEquations> blocks) {
  NormalEquations all;
  for (const NormalEquations& one : blocks) all.merge(one);
  return all;
}

std::optional<double> best_ridge(std::span<const NormalEquations> blocks, std::span<const double> ridges) {
  return strongest(blocks, ridges, 1, [&](const NormalEquations& rest, const NormalEquations& left_out) {
    std::vector<double> errors;
    for (const NormalEquations::Solution& one : rest.solve_each(ridges))
      errors.push_back(left_out.error_of(one.weight, one.bias));
    return errors;
  });
}

std::optional<double> best_correction_ridge(std::span<const NormalEquations> blocks,
                                            const LowRankRegressors& regressors, double ridge,
                                            std::span<const double> ridges) {
  return strongest(blocks, ridges, 2, [&](const NormalEquations& rest, const NormalEquations& left_out) {
    std::vector<double> errors;
    for (const NormalEquations::LowRank& low : rest.solve_correction_ridges(regressors, kComparedRank, ridge, ridges))
      errors.push_back(left_out.error_of(low, regressors));
    return errors;
  });
}

}  // namespace repsim::fit
