#include "subsampling.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>

namespace repsim::fit {
namespace {

constexpr std::int64_t kMaxStep = 4, kSamplesPerRegressor = 10;
constexpr double kBackground = 1.5;  // times the floor: a cell that hardly touches a box is background, too

}  // namespace

std::int64_t subsampling_step(std::int64_t samples, std::int64_t regressors) {
  const std::int64_t enough = kSamplesPerRegressor * std::max<std::int64_t>(1, regressors);
  return std::clamp<std::int64_t>(samples / enough, 1, kMaxStep);
}

Subsampled subsample(const at::Tensor& weights, double floor, std::int64_t n, std::span<const std::int64_t> positions) {
  if (n <= 1) return {{}, weights.reshape({-1})};
  const at::Tensor background = weights <= kBackground * floor;
  const at::Tensor places = at::arange(weights.size(1), at::kLong).unsqueeze(0) +
                            at::tensor(at::ArrayRef<std::int64_t>(positions.data(), positions.size())).unsqueeze(1);
  const at::Tensor taken = background.logical_not().logical_or(places.remainder(n) == 0).reshape({-1});
  const at::Tensor indices = taken.nonzero().squeeze(1);
  const at::Tensor counted = at::where(background, weights * static_cast<double>(n), weights);
  return {indices, counted.reshape({-1}).index_select(0, indices)};
}

}  // namespace repsim::fit
