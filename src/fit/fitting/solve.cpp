#include <ATen/ops/einsum.h>

#include <algorithm>

#include "regressors.hpp"
#include "repsim/base/error.hpp"
#include "repsim/fit/fitting.hpp"

namespace repsim::fit {
namespace {

/// One function object of several lambdas, for std::visit.
template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

/// Weights in the layout of torch's convolutions, on the CPU, where models are kept.
/// @param weight  [out, height * width * in], by place in the kernel and then by channel
at::Tensor kernel(const at::Tensor& weight, std::int64_t height, std::int64_t width) {
  return weight.to(at::kCPU, at::kFloat)
      .reshape({weight.size(0), height, width, -1})
      .permute({0, 3, 1, 2})
      .contiguous();
}

/// A fitted map in the form in which the bundle holds it.
struct SolvedMap {
  at::Tensor weight, bias;  ///< undefined: the donor's values are taken as they are
  graph::Correction correction;
  double r2 = 0;
};

/// Solves one map.
class MapSolver {
 public:
  /// @param normalisation  to fold into the map; null: none
  MapSolver(const MapSums& map, const FixedRidges& ridges, const graph::Normalisation* normalisation)
      : map_(map),
        ridges_{ridges.map.value_or(map.ridges.map), ridges.correction.value_or(map.ridges.correction)},
        normalisation_(normalisation) {}

  /// @param ranks  all 0, or all above it and different
  /// @return one per rank
  [[nodiscard]] std::vector<SolvedMap> run(std::span<const std::int64_t> ranks) const {
    const NormalEquations sums = merged(map_.blocks);
    if (ranks.front() == 0) return {without_correction(sums.solve(ridges_.map))};
    if (!map_.corrections) throw Error(ErrorKind::kInternal, "a correction without what it is fitted on");
    const RegressorIndices indices = regressor_indices(map_);
    std::vector<SolvedMap> results;
    for (const NormalEquations::LowRank& low : sums.solve_ranks(indices.low_rank(), ranks, ridges_)) {
      results.push_back(without_correction(low.base));
      results.back().correction = correction_of(low, indices.neighbourhood.size(0));
    }
    return results;
  }

 private:
  [[nodiscard]] at::Tensor folded(const at::Tensor& weight) const {
    return normalisation_ ? weight.to(at::kCPU) * normalisation_->scale.unsqueeze(1) : weight;
  }

  [[nodiscard]] SolvedMap without_correction(const NormalEquations::Solution& solution) const {
    SolvedMap solved;
    solved.weight = kernel(folded(solution.weight), map_.geometry.weight_shape[2], map_.geometry.weight_shape[3]);
    const at::Tensor bias = solution.bias.to(at::kCPU);
    solved.bias = (normalisation_ ? bias * normalisation_->scale + normalisation_->shift : bias).to(at::kFloat);
    solved.r2 = solution.r2();
    return solved;
  }

  /// @param neighbourhood  regressors of the correction that are no auxiliary inputs
  [[nodiscard]] graph::Correction correction_of(const NormalEquations::LowRank& low, std::int64_t neighbourhood) const {
    graph::Correction correction;
    at::Tensor down = low.down.narrow(1, 0, neighbourhood);
    if (map_.projection.defined()) {  // from combinations of channels back to channels
      const std::int64_t combinations = map_.projection.size(0);
      down =
          at::einsum("rpk,kc->rpc", {down.reshape({-1, larger_kernel(map_.geometry), combinations}), map_.projection});
      down = down.reshape({down.size(0), -1});
    }
    correction.down = kernel(down, map_.geometry.weight_shape[2] + 2, map_.geometry.weight_shape[3] + 2);
    correction.up = kernel(folded(low.up), 1, 1);
    std::int64_t begin = neighbourhood;
    for (const MapSums::AuxiliaryInput& auxiliary : map_.auxiliary_inputs) {
      correction.auxiliary_inputs.push_back(
          {auxiliary.layer, auxiliary.resampling, kernel(low.down.narrow(1, begin, auxiliary.channels), 1, 1)});
      begin += auxiliary.channels;
    }
    return correction;
  }

  const MapSums& map_;
  const Ridges ridges_;
  const graph::Normalisation* normalisation_;
};

/// The batch normalisation to fold into a map; null: none.
const graph::Normalisation* normalisation_of(const Attachment& attachment, std::size_t map) {
  const auto* const refit = std::get_if<Refit>(&attachment.method);
  if (refit == nullptr || !refit->convolutions[map].normalisation) return nullptr;
  return &*refit->convolutions[map].normalisation;
}

/// @return per rank
std::vector<SolvedMap> solve_map(const MapSums& map, const Attachment& attachment, std::size_t index,
                                 std::span<const std::int64_t> ranks, const FixedRidges& ridges) {
  if (attachment.is_fitted()) return MapSolver(map, ridges, normalisation_of(attachment, index)).run(ranks);
  SolvedMap unchanged;
  unchanged.r2 = merged(map.blocks).r2_unchanged();
  return {ranks.size(), unchanged};
}

/// Puts solved maps into the splice of a cut.
Fitted with_maps(const graph::Splice& splice, const Attachment& attachment, const std::vector<SolvedMap>& maps) {
  Fitted fitted{splice, {}};
  const auto insert_refits = [&](const Refit& refit) {
    double worst = 0;
    for (std::size_t i = 0; i < maps.size(); ++i) {
      const RefitConvolution& one = refit.convolutions[i];
      const int folded = one.normalisation ? one.normalisation->node : -1;
      fitted.splice.refits.push_back({one.node, maps[i].weight, maps[i].bias, maps[i].correction, folded});
      worst = std::max(worst, 1.0 - maps[i].r2);
    }
    fitted.residuals.assign(splice.replacements.size(), worst);
  };
  const auto insert_adapters = [&](const Adapters&) {
    for (std::size_t i = 0; i < maps.size(); ++i) {
      graph::FittedReplacement& one = fitted.splice.replacements[i];
      one.weight = maps[i].weight;
      one.bias = maps[i].bias;
      one.correction = maps[i].correction;
      fitted.residuals.push_back(1.0 - maps[i].r2);
    }
  };
  std::visit(Overloaded{insert_refits, insert_adapters}, attachment.method);
  return fitted;
}

}  // namespace

Fitted solve(const CutSums& sums, const Attachment& attachment, const FixedRidges& ridges) {
  return std::move(solve_ranks(sums, {&attachment, 1}, ridges).front());
}

std::vector<Fitted> solve_ranks(const CutSums& sums, std::span<const Attachment> attachments,
                                const FixedRidges& ridges) {
  const c10::InferenceMode no_gradients;
  std::vector<std::int64_t> ranks;
  for (const Attachment& one : attachments) ranks.push_back(one.rank);
  std::vector<std::vector<SolvedMap>> by_rank(ranks.size());
  for (std::size_t i = 0; i < sums.maps.size(); ++i) {
    std::vector<SolvedMap> solved = solve_map(sums.maps[i], attachments.front(), i, ranks, ridges);
    for (std::size_t k = 0; k < ranks.size(); ++k) by_rank[k].push_back(std::move(solved[k]));
  }
  std::vector<Fitted> results;
  for (std::size_t k = 0; k < ranks.size(); ++k) results.push_back(with_maps(sums.splice, attachments[k], by_rank[k]));
  return results;
}

}  // namespace repsim::fit
