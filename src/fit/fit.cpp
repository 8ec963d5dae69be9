#include <ATen/ops/einsum.h>

#include <algorithm>
#include <functional>

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
/// One per rank; these are all 0, or all above it and different.
/// @param behind  what the map takes in
std::vector<Solved> solve_map(const Gathered::Map& map, std::span<const std::int64_t> ranks, const Options& options,
                              const std::optional<graph::Normalisation>& behind) {
  const std::int64_t height = map.geometry.weight_shape[2], width = map.geometry.weight_shape[3];
  const auto scaled = [&](const at::Tensor& weight) {
    return behind ? weight.to(at::kCPU) * behind->scale.unsqueeze(1) : weight;
  };
  const auto without_correction = [&](const NormalEquations::Solution& solution) {
    Solved solved;
    solved.weight = kernel(scaled(solution.weight), height, width);
    const at::Tensor bias = solution.bias.to(at::kCPU);
    solved.bias = (behind ? bias * behind->scale + behind->shift : bias).to(at::kFloat);
    solved.r2 = solution.r2();
    return solved;
  };
  const double ridge = options.ridge.value_or(map.ridge);
  std::vector<Solved> results;
  if (ranks.front() == 0) {
    results.push_back(without_correction(merged(map.parts).solve(ridge)));
    return results;
  }
  if (!map.corrections) throw Error(ErrorKind::kInternal, "a correction without what it is fitted on");
  const Taken taken = taken_by(map);
  for (const NormalEquations::LowRank& low : merged(map.parts).solve_low_ranks(
           taken.map, taken.by_correction(), ranks, ridge, options.correction_ridge.value_or(map.correction_ridge))) {
    Solved& solved = results.emplace_back(without_correction(low.base));
    std::int64_t begin = taken.neighbourhood.size(0);
    at::Tensor down = low.down.narrow(1, 0, begin);
    if (map.projection.defined()) {  // from combinations of channels back to channels
      const std::int64_t seen = map.projection.size(0);
      down = at::einsum("rpk,kc->rpc", {down.reshape({-1, larger_kernel(map.geometry), seen}), map.projection});
      down = down.reshape({down.size(0), -1});
    }
    solved.correction.down = kernel(down, height + 2, width + 2);
    solved.correction.up = kernel(scaled(low.up), 1, 1);
    for (const Gathered::Map::Beside& auxiliary : map.auxiliary_inputs) {
      solved.correction.auxiliary_inputs.push_back(
          {auxiliary.layer, auxiliary.resampling, kernel(low.down.narrow(1, begin, auxiliary.channels), 1, 1)});
      begin += auxiliary.channels;
    }
  }
  return results;
}

/// @param of_part  what one part gives
Gathered added_up(std::span<const Part> parts, const std::function<Gathered(const Part&)>& of_part) {
  const c10::InferenceMode no_gradients;
  Gathered all = of_part(parts.front());
  for (const Part& part : parts.subspan(1)) {
    const Gathered more = of_part(part);
    for (std::size_t i = 0; i < all.maps.size(); ++i)
      all.maps[i].parts = {merged(std::vector<NormalEquations>{merged(all.maps[i].parts), merged(more.maps[i].parts)})};
  }
  return all;
}

}  // namespace

Fitted solve(const Gathered& gathered, const Attachment& attachment, const Options& options) {
  return std::move(solve(gathered, {&attachment, 1}, options).front());
}

std::vector<Fitted> solve(const Gathered& gathered, std::span<const Attachment> attachments, const Options& options) {
  const c10::InferenceMode no_gradients;
  const Attachment& attachment = attachments.front();
  std::vector<std::int64_t> ranks;
  for (const Attachment& one : attachments) ranks.push_back(one.rank);
  std::vector<Fitted> results(attachments.size());
  std::vector<double> worst(attachments.size(), 0.0);
  for (Fitted& fitted : results) fitted.splice = gathered.splice;
  for (std::size_t i = 0; i < gathered.maps.size(); ++i) {
    if (attachment.refit_nodes.empty() && !attachment.linear[i]) {
      const double residual = 1.0 - merged(gathered.maps[i].parts).r2_unchanged();
      for (Fitted& fitted : results) fitted.residuals.push_back(residual);
      continue;
    }
    const auto behind = attachment.refit_nodes.empty() ? std::nullopt : attachment.normalisations.at(i);
    const std::vector<Solved> solved = solve_map(gathered.maps[i], ranks, options, behind);
    for (std::size_t k = 0; k < results.size(); ++k) {
      Fitted& fitted = results[k];
      const Solved& map = solved.at(k);
      if (!attachment.refit_nodes.empty()) {
        fitted.splice.refits.push_back(
            {attachment.refit_nodes[i], map.weight, map.bias, map.correction, behind ? behind->node : -1});
        worst[k] = std::max(worst[k], 1.0 - map.r2);
      } else {
        graph::FittedReplacement& one = fitted.splice.replacements[i];
        one.weight = map.weight;
        one.bias = map.bias;
        one.correction = map.correction;
        fitted.residuals.push_back(1.0 - map.r2);
      }
    }
  }
  for (std::size_t k = 0; k < results.size(); ++k) {
    if (!attachment.refit_nodes.empty()) results[k].residuals.assign(gathered.splice.replacements.size(), worst[k]);
  }
  return results;
}

Gathered gather(const capture::ModelSet& set, std::span<const Part> parts, std::span<const graph::Splice> shares,
                const Cut& cut, const Attachment& attachment, Progress& progress) {
  return added_up(parts, [&](const Part& part) {
    const WeightsOf weights{{cut.receiver, part.weights}};
    return std::move(
        gather(set, part.frames, shares, {&cut, 1}, {&attachment, 1}, progress, weights, part.reuse).front());
  });
}

Gathered gather_corrections(const capture::ModelSet& set, std::span<const Part> parts,
                            std::span<const graph::Splice> shares, const Cut& cut, const Attachment& attachment,
                            const Gathered& plain, Progress& progress, std::int64_t most_regressors) {
  return added_up(parts, [&](const Part& part) {
    return gather_corrections(set, part.frames, shares, cut, attachment, plain, progress, part.weights, part.reuse,
                              most_regressors);
  });
}

Fitted fit(const capture::ModelSet& set, const capture::Stores& calibration, std::span<const graph::Splice> shares,
           const Cut& cut, const Attachment& attachment, const Options& options, Progress& progress,
           const SampleWeights& weights) {
  const Part all{calibration, weights};
  return fit(set, {&all, 1}, shares, cut, attachment, options, progress);
}

Fitted fit(const capture::ModelSet& set, std::span<const Part> parts, std::span<const graph::Splice> shares,
           const Cut& cut, const Attachment& attachment, const Options& options, Progress& progress) {
  Gathered gathered = gather(set, parts, shares, cut, attachment, progress);
  if (attachment.rank > 0) gathered = gather_corrections(set, parts, shares, cut, attachment, gathered, progress);
  return solve(gathered, attachment, options);
}

}  // namespace repsim::fit
