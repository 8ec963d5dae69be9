#include "auxiliary_inputs.hpp"

#include <ATen/ops/cholesky_solve.h>
#include <ATen/ops/linalg_cholesky_ex.h>

#include <numeric>

#include "patches.hpp"
#include "regressors.hpp"

namespace repsim::fit {
namespace {

at::Tensor block(const at::Tensor& matrix, const at::Tensor& rows, const at::Tensor& columns) {
  return matrix.index_select(0, rows).index_select(1, columns);
}

/// (matrix + strength) x = right
at::Tensor solved(const at::Tensor& matrix, const at::Tensor& right, double strength) {
  at::Tensor regularised = matrix.clone();
  regularised.diagonal().add_(strength);
  return at::cholesky_solve(right, std::get<0>(at::linalg_cholesky_ex(regularised)));
}

/// One map's sides. They are what a regression on the correction's neighbourhood and on the sides taken so far leaves
/// of them, and what is to be explained is what these leave of the correction's channels: another side then brings the
/// same whether it is fitted alone or together with the others (Gram-Schmidt by blocks, in the metric of what is
/// fitted).
class Sides {
 public:
  Sides(const Gathered::Map& map, int rank) {
    std::int64_t begin = 0;
    for (const Gathered::Map::Beside& auxiliary : map.auxiliary_inputs) {
      begin_.push_back(begin);
      channels_.push_back(auxiliary.channels);
      begin += auxiliary.channels;
    }
    const Taken taken = taken_by(map);
    const NormalEquations::Moments fitted = map.parts[0].moments(), judged = map.parts[1].moments();
    const NormalEquations::LowRank low =
        map.parts[0].solve_low_rank(taken.map, taken.neighbourhood, rank, map.ridge, map.correction_ridge);
    const at::Tensor base = low.base.weight.t(), down = low.down.t();
    const at::Tensor own = taken.map.to(base.device()), near = taken.neighbourhood.to(base.device()),
                     auxiliary_inputs = taken.auxiliary_inputs.to(base.device());
    const at::Tensor near_fitted = block(fitted.xx, near, near), across = block(fitted.xx, near, auxiliary_inputs);
    const double mean_variance = near_fitted.diagonal().mean().item<double>();
    strength_ = map.correction_ridge * mean_variance;
    // What the map leaves over, of each regressor's covariance with the correction's channels.
    const auto left_over = [&](const NormalEquations::Moments& at, const at::Tensor& of) {
      return (at.xy.index_select(0, of) - block(at.xx, of, own).mm(base)).mm(low.up);
    };
    const at::Tensor out = -solved(near_fitted, across, strength_);  // of the neighbourhood, [near, sides]
    fitted_ = block(fitted.xx, auxiliary_inputs, auxiliary_inputs) + across.t().mm(out);
    towards_fitted_ = left_over(fitted, auxiliary_inputs) - across.t().mm(down);
    const at::Tensor near_judged = block(judged.xx, near, near),
                     across_judged = block(judged.xx, near, auxiliary_inputs);
    const at::Tensor both = across_judged.t().mm(out);
    judged_ = block(judged.xx, auxiliary_inputs, auxiliary_inputs) + both + both.t() + out.t().mm(near_judged.mm(out));
    const at::Tensor near_left = left_over(judged, near);
    towards_judged_ =
        left_over(judged, auxiliary_inputs) - across_judged.t().mm(down) + out.t().mm(near_left - near_judged.mm(down));
    variance_ = judged.yy.sum().item<double>();
    const at::Tensor weakest = down.select(1, 0);  // their order is ascending
    channel_brings_ = (2 * weakest.dot(near_left.select(1, 0)) - weakest.dot(near_judged.mv(weakest))).item<double>();
    channel_weights_ = map.channels * larger_kernel(map.geometry) + low.up.size(0);
  }

  /// Error on the judged stretch that a side takes off, relative to the variance of what the map returns.
  [[nodiscard]] double brings(std::size_t auxiliary) const {
    const at::Tensor weight = weight_of(auxiliary);
    const double gain = (2 * weight * rows(towards_judged_, auxiliary)).sum().item<double>() -
                        (weight * within(judged_, auxiliary).mm(weight)).sum().item<double>();
    return variance_ > 0 ? gain / variance_ : 0;
  }

  void take(std::size_t auxiliary) {
    const at::Tensor weight = weight_of(auxiliary), of_side = rows(fitted_, auxiliary);
    const at::Tensor out = -solved(within(fitted_, auxiliary), of_side, strength_);  // of this side, [channels, sides]
    towards_fitted_ = towards_fitted_ - of_side.t().mm(weight);
    fitted_ = fitted_ + of_side.t().mm(out);
    const at::Tensor judged_side = rows(judged_, auxiliary), inner = within(judged_, auxiliary);
    const at::Tensor left = rows(towards_judged_, auxiliary) - inner.mm(weight);
    towards_judged_ = towards_judged_ - judged_side.t().mm(weight) + out.t().mm(left);
    const at::Tensor both = judged_side.t().mm(out);
    judged_ = judged_ + both + both.t() + out.t().mm(inner.mm(out));
  }

  [[nodiscard]] std::int64_t channels(std::size_t auxiliary) const { return channels_[auxiliary]; }
  [[nodiscard]] double channel_brings() const { return variance_ > 0 ? channel_brings_ / variance_ : 0; }
  [[nodiscard]] std::int64_t channel_weights() const { return channel_weights_; }

 private:
  [[nodiscard]] at::Tensor rows(const at::Tensor& of, std::size_t auxiliary) const {
    return of.narrow(0, begin_[auxiliary], channels_[auxiliary]);
  }
  [[nodiscard]] at::Tensor within(const at::Tensor& of, std::size_t auxiliary) const {
    return rows(of, auxiliary).narrow(1, begin_[auxiliary], channels_[auxiliary]);
  }
  [[nodiscard]] at::Tensor weight_of(std::size_t auxiliary) const {
    return solved(within(fitted_, auxiliary), rows(towards_fitted_, auxiliary), strength_);
  }

  std::vector<std::int64_t> begin_, channels_;
  double strength_ = 0, variance_ = 0, channel_brings_ = 0;
  std::int64_t channel_weights_ = 0;
  at::Tensor fitted_, judged_;                  // [sides' channels, sides' channels] covariances
  at::Tensor towards_fitted_, towards_judged_;  // [sides' channels, rank], with what is to be explained
};

}  // namespace

std::vector<std::size_t> best_auxiliary_inputs(std::span<const Gathered::Map> maps, int rank, std::size_t most) {
  const c10::InferenceMode no_gradients;
  std::vector<Sides> of_maps;
  double channel_brings = 0;
  std::int64_t channel_weights = 0;
  for (const Gathered::Map& map : maps) {
    // Too few frames for two stretches: nothing says which layers are worth it.
    if (map.parts.size() < 2 || map.parts[0].rows() == 0 || map.parts[1].rows() == 0) return {};
    of_maps.emplace_back(map, rank);
    channel_brings += of_maps.back().channel_brings();
    channel_weights += of_maps.back().channel_weights();
  }
  std::vector<std::size_t> open(maps.front().auxiliary_inputs.size()), taken;
  std::iota(open.begin(), open.end(), std::size_t{0});
  double least = std::max(0.0, channel_brings / static_cast<double>(channel_weights));
  while (taken.size() < most && !open.empty()) {
    double best = least;
    auto found = open.end();
    for (auto auxiliary = open.begin(); auxiliary != open.end(); ++auxiliary) {
      double brings = 0;
      std::int64_t weights = 0;
      for (const Sides& one : of_maps) {
        brings += one.brings(*auxiliary);
        weights += rank * one.channels(*auxiliary);
      }
      if (brings / static_cast<double>(weights) <= best) continue;
      best = brings / static_cast<double>(weights);
      found = auxiliary;
    }
    if (found == open.end()) break;
    for (Sides& one : of_maps) one.take(*found);
    taken.push_back(*found);
    open.erase(found);
  }
  return taken;
}

}  // namespace repsim::fit
