#include "repsim/fit.hpp"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/im2col.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <map>
#include <numeric>

#include "coordinates.hpp"
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

/// [B,C,H,W] -> [B, L, C*kh*kw]: what a convolution sees at each of its output positions, in the order of its weights.
at::Tensor patches(const at::Tensor& x, const graph::ConvGeometry& geometry) {
  const bool pointwise = geometry.weight_shape[2] == 1 && geometry.weight_shape[3] == 1 && geometry.stride[0] == 1 &&
                         geometry.stride[1] == 1 && geometry.padding[0] == 0 && geometry.padding[1] == 0;
  if (pointwise) return positions_of(x);
  return at::im2col(x, {geometry.weight_shape[2], geometry.weight_shape[3]}, geometry.dilation, geometry.padding,
                    geometry.stride)
      .transpose(1, 2);
}

at::Tensor matrix(const at::Tensor& rows) { return rows.reshape({-1, rows.size(-1)}); }

/// One linear map to be fitted: from the value at one place to the value at another.
struct Regression {
  graph::ConvGeometry geometry;
  std::vector<graph::Alignment> aligned;  // of the donors whose maps it reads
  std::size_t x = 0, y = 0;               // indices of place requests
  NormalEquations sums;
};

std::string names_of(const capture::ModelSet& set, const std::vector<int>& models) {
  std::string names;
  for (const int model : models)
    names += (names.empty() ? "" : "+") + set.models[static_cast<std::size_t>(model)]->name;
  return names;
}

graph::ConvGeometry pointwise_geometry() { return {{0, 0, 1, 1}, {1, 1}, {0, 0}, {1, 1}, -1, -1, true}; }

}  // namespace

Fitted fit(const capture::ModelSet& set, const capture::Stores& calibration, std::span<const graph::Splice> shares,
           const Cut& cut, const Joint& joint, const Options& options, Progress& progress) {
  const auto receiver_index = static_cast<std::size_t>(cut.receiver);
  const graph::Prepared& receiver = *set.models[receiver_index];

  Fitted fitted;
  fitted.splice.receiver = cut.receiver;
  for (std::size_t i = 0; i < cut.taps.size(); ++i) {
    graph::Override one;
    one.receiver_layer = cut.taps[i].receiver_layer;
    one.donor = cut.taps[i].donor;
    one.donor_layer = cut.taps[i].donor_layer;
    const auto& shape = receiver.program.layers[static_cast<std::size_t>(one.receiver_layer)].shape;
    if (joint.resize[i]) {
      one.height = shape[1];
      one.width = shape[2];
    }
    if (joint.resample[i]) {
      const graph::Prepared& donor = *set.models[static_cast<std::size_t>(one.donor)];
      const auto& given = donor.program.layers[static_cast<std::size_t>(one.donor_layer)].shape;
      const Matrices maps = matrices(alignment(set, cut.receiver, one.donor), given, shape);
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
  const auto regress = [&](graph::PlaceRequest x, graph::PlaceRequest y, const graph::ConvGeometry& geometry,
                           const std::vector<int>& donors) {
    regressions.push_back({geometry, alignments(set, cut.receiver, donors), requests.size(), requests.size() + 1, {}});
    requests.push_back(x);
    requests.push_back(y);
  };
  for (const int node : joint.refit_nodes) {
    regress({cut.receiver, {node, 0}, true}, {original, {node, 0}, false}, graph::convolution_geometry(receiver, node),
            cut.donors());
  }
  if (joint.refit_nodes.empty()) {
    for (const Tap& tap : cut.taps) {
      const graph::Place place = graph::place_of(receiver.program.layers[static_cast<std::size_t>(tap.receiver_layer)]);
      regress({cut.receiver, place, false}, {original, place, false}, pointwise_geometry(), {tap.donor});
    }
  }

  const graph::Assembly assembly = graph::assemble(models, groups, splices, {}, requests);
  const graph::Runner runner(*assembly.graph, assembly.parameter_values(), assembly.places, /*keep_output=*/false);
  std::vector<int> members(set.models.size());
  std::iota(members.begin(), members.end(), 0);
  const auto batches = capture::batches(calibration.front().size(), set.batch(members));
  progress.begin("fit " + receiver.name + "<-" + names_of(set, cut.donors()), calibration.front().size());
  for (const auto& positions : batches) {
    std::vector<at::Tensor> values(requests.size());
    runner.run(capture::group_inputs(set, calibration, assembly.input_groups, positions),
               // Cloned: an in-place operation further down may overwrite what was tapped.
               [&](int tap, const at::Tensor& value) { values[static_cast<std::size_t>(tap)] = value.clone(); });
    for (Regression& one : regressions) {
      const std::int64_t height = values[one.y].size(2), width = values[one.y].size(3);
      const auto rows = [&](const at::Tensor& all) {
        return every_position(rows_in_view(all, one.aligned, height, width), kMaxRowsPerFrame);
      };
      const at::Tensor x = rows(patches(values[one.x], one.geometry));
      const at::Tensor y = rows(positions_of(values[one.y]));
      const c10::InferenceMode no_gradients;
      one.sums.add(matrix(x), matrix(y));
    }
    progress.step(static_cast<std::int64_t>(positions.size()));
  }
  progress.end();

  const c10::InferenceMode no_gradients;
  double worst = 0;
  for (std::size_t i = 0; i < regressions.size(); ++i) {
    const NormalEquations::Solution solution = regressions[i].sums.solve(options.ridge);
    const at::Tensor weight = solution.weight.to(at::kFloat), bias = solution.bias.to(at::kFloat);
    if (!joint.refit_nodes.empty()) {
      const auto& shape = regressions[i].geometry.weight_shape;
      fitted.splice.refits.push_back(
          {joint.refit_nodes[i], weight.view({shape[0], -1, shape[2], shape[3]}).contiguous(), bias});
      worst = std::max(worst, 1.0 - solution.r2());
    } else {
      if (!joint.linear[i]) {
        fitted.residuals.push_back(1.0 - regressions[i].sums.r2_unchanged());
        continue;
      }
      fitted.splice.overrides[i].weight = weight.view({weight.size(0), weight.size(1), 1, 1}).contiguous();
      fitted.splice.overrides[i].bias = bias;
      fitted.residuals.push_back(1.0 - solution.r2());
    }
  }
  if (!joint.refit_nodes.empty()) fitted.residuals.assign(cut.taps.size(), worst);
  return fitted;
}

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
