#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <map>

#include "coordinates.hpp"
#include "patches.hpp"
#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kScreenRowsPerFrame = 64;

}  // namespace

std::vector<double> screen(const capture::ModelSet& set, const capture::Stores& calibration, int receiver, int donor,
                           const std::vector<LayerPair>& pairs, const Options& options, Progress& progress) {
  const graph::Prepared& taker = *set.models[static_cast<std::size_t>(receiver)];
  const graph::Prepared& giver = *set.models[static_cast<std::size_t>(donor)];
  std::map<int, std::size_t> wanted_at, given_at;  // layer -> request
  std::vector<graph::PlaceRequest> requests;
  for (const LayerPair& pair : pairs) {
    if (wanted_at.emplace(pair.receiver_layer, requests.size()).second) {
      requests.push_back(
          {receiver, graph::place_of(taker.program.layers[static_cast<std::size_t>(pair.receiver_layer)]), false});
    }
    if (given_at.emplace(pair.donor_layer, requests.size()).second) {
      requests.push_back(
          {donor, graph::place_of(giver.program.layers[static_cast<std::size_t>(pair.donor_layer)]), false});
    }
  }
  // Which sizes each donor layer is wanted in: it is sampled once per size.
  using Size = std::pair<std::int64_t, std::int64_t>;
  std::map<std::pair<std::size_t, Size>, at::Tensor> samples;
  std::map<std::size_t, std::vector<Size>> sizes;
  const auto size_of = [&](const LayerPair& pair) {
    const auto& shape = taker.program.layers[static_cast<std::size_t>(pair.receiver_layer)].shape;
    return Size{shape[1], shape[2]};
  };
  const auto want = [&](std::size_t request, Size size) {
    auto& list = sizes[request];
    if (std::find(list.begin(), list.end(), size) == list.end()) list.push_back(size);
  };
  const graph::Alignment aligned = alignment(set, receiver, donor);
  std::map<std::pair<std::size_t, Size>, Matrices> resampled;  // of donor layers, where coordinates differ
  for (const LayerPair& pair : pairs) {
    const std::size_t given = given_at.at(pair.donor_layer);
    if (!aligned.identity() && resampled.count({given, size_of(pair)}) == 0) {
      resampled[{given, size_of(pair)}] =
          matrices(aligned, giver.program.layers[static_cast<std::size_t>(pair.donor_layer)].shape,
                   taker.program.layers[static_cast<std::size_t>(pair.receiver_layer)].shape);
    }
    want(wanted_at.at(pair.receiver_layer), size_of(pair));
    want(given, size_of(pair));
  }

  const graph::Assembly assembly = graph::assemble(set.models, set.groups, {}, {}, requests);
  const graph::Runner runner(*assembly.graph, assembly.parameter_values(), assembly.places, /*keep_output=*/false);
  // Pairs with the same regressors are one regression: their receiver layers stand side by side.
  std::map<std::pair<std::size_t, Size>, std::vector<std::size_t>> regressions;
  for (std::size_t i = 0; i < pairs.size(); ++i)
    regressions[{given_at.at(pairs[i].donor_layer), size_of(pairs[i])}].push_back(i);
  std::map<std::pair<std::size_t, Size>, NormalEquations> sums;
  const std::vector<int> members{receiver, donor};
  const auto batches = capture::batches(calibration.front().size(), set.batch(members));
  progress.begin("screen " + taker.name + "<-" + giver.name, calibration.front().size());
  for (const auto& positions : batches) {
    runner.run(capture::group_inputs(set, calibration, assembly.input_groups, positions),
               [&](int tap, const at::Tensor& value) {
                 const auto request = static_cast<std::size_t>(tap);
                 for (const Size& size : sizes[request]) {
                   at::Tensor map = value;
                   if (const auto found = resampled.find({request, size}); found != resampled.end()) {
                     map = found->second.apply(value);
                   } else if (value.size(2) != size.first || value.size(3) != size.second) {
                     const bool pool = graph::resizes_by_pooling(value.size(2), value.size(3), size.first, size.second);
                     map = pool ? at::adaptive_avg_pool2d(value, {size.first, size.second})
                                : at::upsample_bilinear2d(value, {size.first, size.second}, /*align_corners=*/false);
                   }
                   const at::Tensor rows = rows_in_view(positions_of(map), {aligned}, size.first, size.second);
                   samples[{request, size}] = matrix(every_position(rows, kScreenRowsPerFrame)).clone();
                 }
               });
    const c10::InferenceMode no_gradients;
    for (const auto& [regressors, members_of] : regressions) {
      std::vector<at::Tensor> targets;
      for (const std::size_t i : members_of)
        targets.push_back(samples.at({wanted_at.at(pairs[i].receiver_layer), size_of(pairs[i])}));
      sums[regressors].add(samples.at(regressors), at::cat(targets, 1));
    }
    progress.step(static_cast<std::int64_t>(positions.size()));
  }
  progress.end();
  std::vector<double> scores(pairs.size());
  const c10::InferenceMode no_gradients;
  for (const auto& [regressors, members_of] : regressions) {
    const NormalEquations::Solution solution = sums.at(regressors).solve(options.ridge);
    std::int64_t begin = 0;
    for (const std::size_t i : members_of) {
      const std::int64_t end = begin + taker.program.layers[static_cast<std::size_t>(pairs[i].receiver_layer)].shape[0];
      scores[i] = solution.r2(begin, end);
      begin = end;
    }
  }
  return scores;
}

}  // namespace repsim::fit
