#include "repsim/fit.hpp"

#include <numeric>

#include "coordinates.hpp"
#include "patches.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kMaxRowsPerFrame = 1024;  // positions of large maps are strided down to about this many

/// One linear map to be fitted: from the value at one place to the value at another.
struct Regression {
  std::vector<graph::Alignment> aligned;  // of the donors whose maps it reads
  std::size_t x = 0, y = 0;               // indices of place requests
};

std::string names_of(const capture::ModelSet& set, const std::vector<int>& models) {
  std::string names;
  for (const int model : models)
    names += (names.empty() ? "" : "+") + set.models[static_cast<std::size_t>(model)]->name;
  return names;
}

/// Weights as torch's convolutions have them.
at::Tensor kernel(const at::Tensor& weight, std::int64_t height, std::int64_t width) {
  return weight.to(at::kFloat).view({weight.size(0), -1, height, width}).contiguous();
}

/// A fitted map, in the form in which the bundle holds it.
struct Solved {
  at::Tensor weight, bias;
  graph::Correction correction;
  double r2 = 0;
};
Solved solve_map(const Gathered::Map& map, int rank, const Options& options) {
  const std::int64_t height = map.geometry.weight_shape[2], width = map.geometry.weight_shape[3];
  Solved solved;
  NormalEquations::Solution solution;
  if (rank > 0) {
    NormalEquations::LowRank low = map.sums.solve_low_rank(inner_values(map.geometry, map.channels), rank,
                                                           options.ridge, options.correction_ridge);
    solved.correction.down = kernel(low.down, height + 2, width + 2);
    solved.correction.up = kernel(low.up, 1, 1);
    solution = std::move(low.base);
  } else {
    solution = map.sums.solve(options.ridge);
  }
  solved.weight = kernel(solution.weight, height, width);
  solved.bias = solution.bias.to(at::kFloat);
  solved.r2 = solution.r2();
  return solved;
}

}  // namespace

Gathered gather(const capture::ModelSet& set, const capture::Stores& calibration, std::span<const graph::Splice> shares,
                const Cut& cut, const Joint& joint, Progress& progress, const RowWeights& weights) {
  const auto receiver_index = static_cast<std::size_t>(cut.receiver);
  const graph::Prepared& receiver = *set.models[receiver_index];

  Gathered gathered;
  gathered.splice.receiver = cut.receiver;
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
    gathered.splice.overrides.push_back(one);
  }

  // The receiver stands twice in the joint graph: once with the donor's values in place (what the linear maps will be
  // given), once as it is (what they should return). Identical computations are shared by the assembly.
  std::vector<const graph::Prepared*> models = set.models;
  std::vector<int> groups = set.groups;
  const int original = static_cast<int>(models.size());
  models.push_back(&receiver);
  groups.push_back(set.groups[receiver_index]);
  std::vector<graph::Splice> splices(shares.begin(), shares.end());
  splices.push_back(gathered.splice);

  std::vector<graph::PlaceRequest> requests;
  std::vector<Regression> regressions;
  const auto regress = [&](graph::PlaceRequest x, graph::PlaceRequest y, const graph::ConvGeometry& geometry,
                           const std::vector<int>& donors) {
    regressions.push_back({alignments(set, cut.receiver, donors), requests.size(), requests.size() + 1});
    gathered.maps.push_back({geometry, {}, 0});
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
      regress({cut.receiver, place, false}, {original, place, false}, graph::pointwise_geometry(), {tap.donor});
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
    for (std::size_t i = 0; i < regressions.size(); ++i) {
      const Regression& one = regressions[i];
      Gathered::Map& map = gathered.maps[i];
      const std::int64_t height = values[one.y].size(2), width = values[one.y].size(3);
      map.channels = values[one.x].size(1);
      const auto rows = [&](const at::Tensor& all) {
        return matrix(every_position(rows_in_view(all, one.aligned, height, width), kMaxRowsPerFrame));
      };
      const c10::InferenceMode no_gradients;
      const at::Tensor y = rows(positions_of(values[one.y]));
      const at::Tensor x = rows(patches(values[one.x], joint.rank > 0 ? with_ring(map.geometry) : map.geometry));
      map.sums.add(x, y, rows(weights.of(positions, height, width).unsqueeze(2)).squeeze(1));
    }
    progress.step(static_cast<std::int64_t>(positions.size()));
  }
  progress.end();
  return gathered;
}

Fitted solve(const Gathered& gathered, const Joint& joint, const Options& options) {
  const c10::InferenceMode no_gradients;
  Fitted fitted;
  fitted.splice = gathered.splice;
  double worst = 0;
  for (std::size_t i = 0; i < gathered.maps.size(); ++i) {
    if (joint.refit_nodes.empty() && !joint.linear[i]) {
      fitted.residuals.push_back(1.0 - gathered.maps[i].sums.r2_unchanged());
      continue;
    }
    const Solved solved = solve_map(gathered.maps[i], joint.rank, options);
    if (!joint.refit_nodes.empty()) {
      fitted.splice.refits.push_back({joint.refit_nodes[i], solved.weight, solved.bias, solved.correction});
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
  return solve(gather(set, calibration, shares, cut, joint, progress, weights), joint, options);
}

}  // namespace repsim::fit
