#include "auxiliary_inputs.hpp"

#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky_ex.h>

#include <algorithm>
#include <numeric>

#include "patches.hpp"
#include "regressors.hpp"

namespace repsim::fit {
namespace {

/// The entries of a matrix at these indices of both dimensions.
at::Tensor submatrix(const at::Tensor& matrix, const at::Tensor& first, const at::Tensor& second) {
  return matrix.index_select(0, first).index_select(1, second);
}

/// (matrix + strength) x = right
at::Tensor solved(const at::Tensor& matrix, const at::Tensor& right, double strength) {
  at::Tensor regularised = matrix.clone();
  regularised.diagonal().add_(strength);
  return at::cholesky_solve(right, std::get<0>(at::linalg_cholesky_ex(regularised)));
}

/// How much each auxiliary input of one map takes off the error. The inputs stand here as their residuals after a
/// regression on the correction's neighbourhood and on the inputs taken so far, and the targets as the residuals of the
/// correction's channels after the same regression. An input then takes the same off whether it is fitted alone or
/// together with the others (Gram-Schmidt by blocks, in the metric of the samples that fit).
class AuxiliaryGains {
 public:
  /// @param map  with two blocks
  AuxiliaryGains(const MapSums& map, int rank) {
    std::int64_t begin = 0;
    for (const MapSums::AuxiliaryInput& auxiliary : map.auxiliary_inputs) {
      begin_.push_back(begin);
      channels_.push_back(auxiliary.channels);
      begin += auxiliary.channels;
    }
    const RegressorIndices indices = regressor_indices(map);
    const NormalEquations::Moments fitted = map.blocks[0].moments(), tested = map.blocks[1].moments();
    const NormalEquations::LowRank low =
        map.blocks[0].solve_low_rank({indices.map, indices.neighbourhood}, rank, map.ridges);
    const at::Tensor base = low.base.weight.t(), down = low.down.t();
    const at::Tensor own = indices.map.to(base.device()), near = indices.neighbourhood.to(base.device()),
                     inputs = indices.auxiliary_inputs.to(base.device());
    const at::Tensor near_fitted = submatrix(fitted.xx, near, near), across = submatrix(fitted.xx, near, inputs);
    strength_ = map.ridges.correction * near_fitted.diagonal().mean().item<double>();
    // Covariance of regressors with the correction's channels, after the base.
    const auto residual = [&](const NormalEquations::Moments& at, const at::Tensor& of) {
      return (at.xy.index_select(0, of) - submatrix(at.xx, of, own).mm(base)).mm(low.up);
    };
    // Takes the neighbourhood out of the inputs, [neighbourhood, inputs].
    const at::Tensor out = -solved(near_fitted, across, strength_);
    fitted_ = submatrix(fitted.xx, inputs, inputs) + across.t().mm(out);
    towards_fitted_ = residual(fitted, inputs) - across.t().mm(down);
    const at::Tensor near_tested = submatrix(tested.xx, near, near), across_tested = submatrix(tested.xx, near, inputs);
    const at::Tensor both = across_tested.t().mm(out);
    tested_ = submatrix(tested.xx, inputs, inputs) + both + both.t() + out.t().mm(near_tested.mm(out));
    const at::Tensor near_residual = residual(tested, near);
    towards_tested_ =
        residual(tested, inputs) - across_tested.t().mm(down) + out.t().mm(near_residual - near_tested.mm(down));
    variance_ = tested.yy.sum().item<double>();
    const at::Tensor weakest = down.select(1, 0);  // their order is ascending
    channel_gain_ = (2 * weakest.dot(near_residual.select(1, 0)) - weakest.dot(near_tested.mv(weakest))).item<double>();
    channel_weights_ = map.channels * larger_kernel(map.geometry) + low.up.size(0);
  }

  /// Error on the second block that an input takes off, relative to the variance of what the map returns.
  [[nodiscard]] double gain(std::size_t input) const {
    const at::Tensor weight = weight_of(input);
    const double gain = (2 * weight * part(towards_tested_, input)).sum().item<double>() -
                        (weight * within(tested_, input).mm(weight)).sum().item<double>();
    return variance_ > 0 ? gain / variance_ : 0;
  }

  /// Takes an input into the regression.
  void take(std::size_t input) {
    const at::Tensor weight = weight_of(input), fitted = part(fitted_, input);
    const at::Tensor out = -solved(within(fitted_, input), fitted, strength_);  // [channels of this input, inputs]
    towards_fitted_ = towards_fitted_ - fitted.t().mm(weight);
    fitted_ = fitted_ + fitted.t().mm(out);
    const at::Tensor tested = part(tested_, input), inner = within(tested_, input);
    const at::Tensor left = part(towards_tested_, input) - inner.mm(weight);
    towards_tested_ = towards_tested_ - tested.t().mm(weight) + out.t().mm(left);
    const at::Tensor both = tested.t().mm(out);
    tested_ = tested_ + both + both.t() + out.t().mm(inner.mm(out));
  }

  [[nodiscard]] std::int64_t channels(std::size_t input) const { return channels_[input]; }
  /// Error that the weakest channel of the correction takes off, and how many weights that channel has.
  [[nodiscard]] double channel_gain() const { return variance_ > 0 ? channel_gain_ / variance_ : 0; }
  [[nodiscard]] std::int64_t channel_weights() const { return channel_weights_; }

 private:
  [[nodiscard]] at::Tensor part(const at::Tensor& of, std::size_t input) const {
    return of.narrow(0, begin_[input], channels_[input]);
  }
  [[nodiscard]] at::Tensor within(const at::Tensor& of, std::size_t input) const {
    return part(of, input).narrow(1, begin_[input], channels_[input]);
  }
  [[nodiscard]] at::Tensor weight_of(std::size_t input) const {
    return solved(within(fitted_, input), part(towards_fitted_, input), strength_);
  }

  std::vector<std::int64_t> begin_, channels_;
  double strength_ = 0, variance_ = 0, channel_gain_ = 0;
  std::int64_t channel_weights_ = 0;
  at::Tensor fitted_, tested_;                  // [c, c] covariances of all inputs' c channels, per block
  at::Tensor towards_fitted_, towards_tested_;  // [c, rank] covariances of these with the targets
};

}  // namespace

std::vector<std::size_t> best_auxiliary_inputs(std::span<const MapSums> maps, int rank, std::size_t max_count) {
  const c10::InferenceMode no_gradients;
  std::vector<AuxiliaryGains> gains;
  double channel_gain = 0;
  std::int64_t channel_weights = 0;
  for (const MapSums& map : maps) {
    if (map.blocks.size() < 2 || map.blocks[0].samples() == 0 || map.blocks[1].samples() == 0) return {};
    gains.emplace_back(map, rank);
    channel_gain += gains.back().channel_gain();
    channel_weights += gains.back().channel_weights();
  }
  std::vector<std::size_t> open(maps.front().auxiliary_inputs.size()), taken;
  std::iota(open.begin(), open.end(), std::size_t{0});
  const double least = std::max(0.0, channel_gain / static_cast<double>(channel_weights));
  while (taken.size() < max_count && !open.empty()) {
    double best = least;
    auto found = open.end();
    for (auto input = open.begin(); input != open.end(); ++input) {
      double gain = 0;
      std::int64_t weights = 0;
      for (const AuxiliaryGains& one : gains) {
        gain += one.gain(*input);
        weights += rank * one.channels(*input);
      }
      if (gain / static_cast<double>(weights) <= best) continue;
      best = gain / static_cast<double>(weights);
      found = input;
    }
    if (found == open.end()) break;
    for (AuxiliaryGains& one : gains) one.take(*found);
    taken.push_back(*found);
    open.erase(found);
  }
  return taken;
}

}  // namespace repsim::fit
