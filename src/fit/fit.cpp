#include "repsim/fit.hpp"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <map>
#include <numeric>

#include "coordinates.hpp"
#include "patches.hpp"
#include "repsim/base/error.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kMaxRowsPerFrame = 1024;  // positions of large maps are strided down to about this many
constexpr std::int64_t kScreenRowsPerFrame = 64;

/// Every stride-th position, so that at most about `most` remain.
at::Tensor every_position(const at::Tensor& rows, std::int64_t most) {  // [B, L, C]
  const std::int64_t stride = std::max<std::int64_t>(1, rows.size(1) / most);
  return stride == 1 ? rows : rows.slice(1, stride / 2, rows.size(1), stride);
}

/// [B,C,H,W] -> [B, H*W, C]
at::Tensor positions_of(const at::Tensor& map) { return map.flatten(2).transpose(1, 2); }

at::Tensor matrix(const at::Tensor& rows) { return rows.reshape({-1, rows.size(-1)}); }

/// One linear map to be fitted: from the value at one place to the value at another.
struct Regression {
  graph::ConvGeometry geometry;
  std::size_t x = 0, y = 0;  // indices of place requests
  NormalEquations sums;      // with a correction: of all values that its kernel sees
  std::int64_t channels = 0;
};

/// Weights as torch's convolutions have them.
at::Tensor kernel(const at::Tensor& weight, std::int64_t height, std::int64_t width) {
  return weight.to(at::kFloat).view({weight.size(0), -1, height, width}).contiguous();
}

/// A fitted map, in the form in which the bundle holds it.
struct Map {
  at::Tensor weight, bias;
  graph::Correction correction;
  double r2 = 0;
};
Map solve(const Regression& one, const Joint& joint, const Options& options) {
  const std::int64_t height = one.geometry.weight_shape[2], width = one.geometry.weight_shape[3];
  Map map;
  NormalEquations::Solution solution;
  if (joint.rank > 0) {
    NormalEquations::LowRank low = one.sums.solve_low_rank(inner_values(one.geometry, one.channels), joint.rank,
                                                           options.ridge, options.correction_ridge);
    map.correction.down = kernel(low.down, height + 2, width + 2);
    map.correction.up = kernel(low.up, 1, 1);
    solution = std::move(low.base);
  } else {
    solution = one.sums.solve(options.ridge);
  }
  map.weight = kernel(solution.weight, height, width);
  map.bias = solution.bias.to(at::kFloat);
  map.r2 = solution.r2();
  return map;
}

}  // namespace

Fitted fit(const capture::ModelSet& set, const capture::Stores& calibration, std::span<const graph::Splice> shares,
           const Cut& cut, const Joint& joint, const Options& options, Progress& progress, const RowWeights& weights) {
  const auto receiver_index = static_cast<std::size_t>(cut.receiver);
  const graph::Prepared& receiver = *set.models[receiver_index];
  const graph::Prepared& donor = *set.models[static_cast<std::size_t>(cut.donor)];

  const graph::Alignment aligned = alignment(set, cut.receiver, cut.donor);

  Fitted fitted;
  fitted.splice.receiver = cut.receiver;
  for (std::size_t i = 0; i < cut.taps.size(); ++i) {
    graph::Override one;
    one.receiver_layer = cut.taps[i].receiver_layer;
    one.donor = cut.donor;
    one.donor_layer = cut.taps[i].donor_layer;
    const auto& shape = receiver.program.layers[static_cast<std::size_t>(one.receiver_layer)].shape;
    if (joint.resize[i]) {
      one.height = shape[1];
      one.width = shape[2];
    }
    if (joint.resample[i]) {
      const auto& given = donor.program.layers[static_cast<std::size_t>(one.donor_layer)].shape;
      const Matrices maps = matrices(aligned, given, shape);
      one.rows = maps.rows;
      one.columns = maps.columns;
    }
    fitted.splice.overrides.push_back(one);
  }

  // The receiver stands twice in the joint graph: once with the donor's values in place (what the linear maps will be
  // given), once as it is (what they should return). Identical computations are shared by the assembly.
  std::vector<const graph::Prepared*> models = set.models;
  std::vector<int> groups = set.groups;
  const int original = static_cast<int>(models.size());
  models.push_back(&receiver);
  groups.push_back(set.groups[receiver_index]);
  std::vector<graph::Splice> splices(shares.begin(), shares.end());
  splices.push_back(fitted.splice);

  std::vector<graph::PlaceRequest> requests;
  std::vector<Regression> regressions;
  const auto regress = [&](graph::PlaceRequest x, graph::PlaceRequest y, const graph::ConvGeometry& geometry) {
    regressions.push_back({geometry, requests.size(), requests.size() + 1, {}, 0});
    requests.push_back(x);
    requests.push_back(y);
  };
  for (const int node : joint.refit_nodes) {
    regress({cut.receiver, {node, 0}, true}, {original, {node, 0}, false}, graph::convolution_geometry(receiver, node));
  }
  if (joint.refit_nodes.empty()) {
    for (const Tap& tap : cut.taps) {
      const graph::Place place = graph::place_of(receiver.program.layers[static_cast<std::size_t>(tap.receiver_layer)]);
      regress({cut.receiver, place, false}, {original, place, false}, graph::pointwise_geometry());
    }
  }

  const graph::Assembly assembly = graph::assemble(models, groups, splices, {}, requests);
  const graph::Runner runner(*assembly.graph, assembly.parameter_values(), assembly.places, /*keep_output=*/false);
  std::vector<int> members(set.models.size());
  std::iota(members.begin(), members.end(), 0);
  const auto batches = capture::batches(calibration.front().size(), set.batch(members));
  progress.begin("fit " + receiver.name + "<-" + donor.name, calibration.front().size());
  for (const auto& positions : batches) {
    std::vector<at::Tensor> values(requests.size());
    runner.run(capture::group_inputs(set, calibration, assembly.input_groups, positions),
               // Cloned: an in-place operation further down may overwrite what was tapped.
               [&](int tap, const at::Tensor& value) { values[static_cast<std::size_t>(tap)] = value.clone(); });
    for (Regression& one : regressions) {
      const std::int64_t height = values[one.y].size(2), width = values[one.y].size(3);
      one.channels = values[one.x].size(1);
      const auto rows = [&](const at::Tensor& all) {
        return matrix(every_position(rows_in_view(all, aligned, height, width), kMaxRowsPerFrame));
      };
      const c10::InferenceMode no_gradients;
      const at::Tensor y = rows(positions_of(values[one.y]));
      const at::Tensor x = rows(patches(values[one.x], joint.rank > 0 ? with_ring(one.geometry) : one.geometry));
      one.sums.add(x, y, rows(weights.of(positions, height, width).unsqueeze(2)).squeeze(1));
    }
    progress.step(static_cast<std::int64_t>(positions.size()));
  }
  progress.end();

  const c10::InferenceMode no_gradients;
  double worst = 0;
  for (std::size_t i = 0; i < regressions.size(); ++i) {
    if (joint.refit_nodes.empty() && !joint.linear[i]) {
      fitted.residuals.push_back(1.0 - regressions[i].sums.r2_unchanged());
      continue;
    }
    Map map = solve(regressions[i], joint, options);
    if (!joint.refit_nodes.empty()) {
      fitted.splice.refits.push_back({joint.refit_nodes[i], map.weight, map.bias, map.correction});
      worst = std::max(worst, 1.0 - map.r2);
    } else {
      graph::Override& one = fitted.splice.overrides[i];
      one.weight = map.weight;
      one.bias = map.bias;
      one.correction = map.correction;
      fitted.residuals.push_back(1.0 - map.r2);
    }
  }
  if (!joint.refit_nodes.empty()) fitted.residuals.assign(cut.taps.size(), worst);
  return fitted;
}

std::vector<double> screen(const capture::ModelSet& set, const capture::Stores& calibration, int receiver, int donor,
                           const std::vector<Tap>& pairs, const Options& options, Progress& progress) {
  const graph::Prepared& taker = *set.models[static_cast<std::size_t>(receiver)];
  const graph::Prepared& giver = *set.models[static_cast<std::size_t>(donor)];
  std::map<int, std::size_t> wanted_at, given_at;  // layer -> request
  std::vector<graph::PlaceRequest> requests;
  for (const Tap& pair : pairs) {
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
  const auto size_of = [&](const Tap& pair) {
    const auto& shape = taker.program.layers[static_cast<std::size_t>(pair.receiver_layer)].shape;
    return Size{shape[1], shape[2]};
  };
  const auto want = [&](std::size_t request, Size size) {
    auto& list = sizes[request];
    if (std::find(list.begin(), list.end(), size) == list.end()) list.push_back(size);
  };
  const graph::Alignment aligned = alignment(set, receiver, donor);
  std::map<std::pair<std::size_t, Size>, Matrices> resampled;  // of donor layers, where coordinates differ
  for (const Tap& pair : pairs) {
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
                   const at::Tensor rows = rows_in_view(positions_of(map), aligned, size.first, size.second);
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
