#include <ATen/ops/einsum.h>

#include <algorithm>

#include "regressors.hpp"
#include "repsim/base/error.hpp"
#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

/// Weights as torch's convolutions have them, where models are kept. @param weight  by place in the kernel, then
/// channel
at::Tensor kernel(const at::Tensor& weight, std::int64_t height, std::int64_t width) {
  return weight.to(at::kCPU, at::kFloat)
      .reshape({weight.size(0), height, width, -1})
      .permute({0, 3, 1, 2})
      .contiguous();
}

/// A fitted map, in the form in which the bundle holds it.
struct Solved {
  at::Tensor weight, bias;
  graph::Correction correction;
  double r2 = 0;
};
/// @param behind  what the map takes in
Solved solve_map(const Gathered::Map& map, int rank, const Options& options,
                 const std::optional<graph::Normalisation>& behind) {
  const std::int64_t height = map.geometry.weight_shape[2], width = map.geometry.weight_shape[3];
  Solved solved;
  NormalEquations::Solution solution;
  const auto scaled = [&](const at::Tensor& weight) {
    return behind ? weight.to(at::kCPU) * behind->scale.unsqueeze(1) : weight;
  };
  if (rank > 0) {
    if (!map.corrections) throw Error(ErrorKind::kInternal, "a correction without what it is fitted on");
    const Taken taken = taken_by(map);
    NormalEquations::LowRank low =
        merged(map.parts).solve_low_rank(taken.map, taken.by_correction(), rank, options.ridge.value_or(map.ridge),
                                         options.correction_ridge.value_or(map.correction_ridge));
    std::int64_t begin = taken.neighbourhood.size(0);
    at::Tensor down = low.down.narrow(1, 0, begin);
    if (map.projection.defined()) {  // from combinations of channels back to channels
      const std::int64_t seen = map.projection.size(0);
      down = at::einsum("rpk,kc->rpc", {down.reshape({-1, larger_kernel(map.geometry), seen}), map.projection});
      down = down.reshape({down.size(0), -1});
    }
    solved.correction.down = kernel(down, height + 2, width + 2);
    solved.correction.up = kernel(scaled(low.up), 1, 1);
    for (const Gathered::Map::Beside& side : map.sides) {
      solved.correction.sides.push_back({side.source, kernel(low.down.narrow(1, begin, side.channels), 1, 1)});
      begin += side.channels;
    }
    solution = std::move(low.base);
  } else {
    solution = merged(map.parts).solve(options.ridge.value_or(map.ridge));
  }
  solved.weight = kernel(scaled(solution.weight), height, width);
  const at::Tensor bias = solution.bias.to(at::kCPU);
  solved.bias = (behind ? bias * behind->scale + behind->shift : bias).to(at::kFloat);
  solved.r2 = solution.r2();
  return solved;
}

}  // namespace

Fitted solve(const Gathered& gathered, const Joint& joint, const Options& options) {
  const c10::InferenceMode no_gradients;
  Fitted fitted;
  fitted.splice = gathered.splice;
  double worst = 0;
  for (std::size_t i = 0; i < gathered.maps.size(); ++i) {
    if (joint.refit_nodes.empty() && !joint.linear[i]) {
      fitted.residuals.push_back(1.0 - merged(gathered.maps[i].parts).r2_unchanged());
      continue;
    }
    const auto behind = joint.refit_nodes.empty() ? std::nullopt : joint.normalisations.at(i);
    const Solved solved = solve_map(gathered.maps[i], joint.rank, options, behind);
    if (!joint.refit_nodes.empty()) {
      fitted.splice.refits.push_back(
          {joint.refit_nodes[i], solved.weight, solved.bias, solved.correction, behind ? behind->node : -1});
      worst = std::max(worst, 1.0 - solved.r2);
    } else {
      graph::Override& one = fitted.splice.overrides[i];
      one.weight = solved.weight;
      one.bias = solved.bias;
      one.correction = solved.correction;
      fitted.residuals.push_back(1.0 - solved.r2);
    }
  }
  if (!joint.refit_nodes.empty()) fitted.residuals.assign(gathered.splice.overrides.size(), worst);
  return fitted;
}

Fitted fit(const capture::ModelSet& set, const capture::Stores& calibration, std::span<const graph::Splice> shares,
           const Cut& cut, const Joint& joint, const Options& options, Progress& progress, const RowWeights& weights) {
  const WeightsOf of_receiver{{cut.receiver, weights}};
  Gathered gathered =
      std::move(gather(set, calibration, shares, {&cut, 1}, {&joint, 1}, progress, of_receiver, nullptr).front());
  if (joint.rank > 0)
    gathered = gather_corrections(set, calibration, shares, cut, joint, gathered, progress, weights, nullptr);
  return solve(gathered, joint, options);
}

}  // namespace repsim::fit
