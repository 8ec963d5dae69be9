#include <algorithm>
#include <functional>
#include <map>

#include "coordinates.hpp"
#include "regressors.hpp"
#include "repsim/base/error.hpp"
#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

/// Elements of a Gram matrix beyond which four of them are too much memory (32 MiB each), and a dozen solutions to
/// choose a ridge too much time.
constexpr std::int64_t kMostInParts = std::int64_t{1} << 22;
constexpr std::size_t kParts = 4;  // of the calibration frames, for cross-validation
constexpr double kRidges[] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1};
constexpr double kCorrectionRidges[] = {1e-4, 1e-3, 1e-2};  // each costs four solutions of a thousand unknowns

/// One linear map to be fitted: from the value at one place to the value at another.
struct Regression {
  std::vector<graph::Alignment> aligned;  // of the donors whose maps it reads
  std::size_t x = 0, y = 0;               // indices of place requests
  Gathered::Map* map = nullptr;
  std::string key = {};  // of Reuse; empty: none
};

std::string names_of(const capture::ModelSet& set, const std::vector<int>& models) {
  std::string names;
  for (const int model : models)
    names += (names.empty() ? "" : "+") + set.models[static_cast<std::size_t>(model)]->name;
  return names;
}

/// Channels, or combinations of them, that a correction sees; 0: all.
std::int64_t seen_by(const Gathered::Map& map) { return map.projection.defined() ? map.projection.size(0) : 0; }

/// Of how many channels a neighbourhood has so many values.
std::int64_t most_channels(const Gathered::Map& map, std::int64_t most_regressors) {
  return std::max<std::int64_t>(1, most_regressors / larger_kernel(map.geometry));
}

/// Where the taps' values come from, brought to size; no map yet.
graph::Splice without_maps(const capture::ModelSet& set, const Cut& cut, const Joint& joint) {
  graph::Splice splice;
  splice.receiver = cut.receiver;
  const graph::Prepared& receiver = *set.models[static_cast<std::size_t>(cut.receiver)];
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
    splice.overrides.push_back(one);
  }
  return splice;
}

/// Weights of one run's rows, worked out once for all maps of a size.
class RunWeights {
 public:
  RunWeights(const RowWeights& weights, const std::vector<std::int64_t>& positions)
      : weights_(weights), positions_(positions) {}
  [[nodiscard]] double floor() const { return weights_.floor; }
  const at::Tensor& of(std::int64_t height, std::int64_t width) {
    at::Tensor& known = known_[{height, width}];
    if (!known.defined()) known = weights_.of(positions_, height, width);
    return known;
  }

 private:
  const RowWeights& weights_;
  const std::vector<std::int64_t>& positions_;
  std::map<std::pair<std::int64_t, std::int64_t>, at::Tensor> known_;
};

/// Adds one run's rows to the sums of a map.
/// @param values  by place request
void add_rows(const Regression& one, const std::vector<at::Tensor>& values, const std::vector<std::int64_t>& positions,
              std::int64_t frames, RunWeights& weights) {
  const c10::InferenceMode no_gradients;
  Gathered::Map& map = *one.map;
  const at::Tensor &x = values[one.x], &y = values[one.y];
  map.channels = x.size(1);
  const std::int64_t height = y.size(2), width = y.size(3), regressors = count_of_regressors(map);
  const Rows rows =
      rows_of(weights.of(height, width), weights.floor(), one.aligned, height, width, frames, regressors, positions);
  // A batch belongs to the part in which it begins.
  const std::size_t parts = regressors * regressors > kMostInParts ? 1 : kParts;
  const auto products = map.corrections ? NormalEquations::Products::kFloat : NormalEquations::Products::kDouble;
  map.parts.resize(parts, NormalEquations(products));
  const std::size_t part = static_cast<std::size_t>(positions.front()) * parts / static_cast<std::size_t>(frames);
  // About one shift, so that parts are merged by adding them up.
  if (part > 0 && map.parts[part].rows() == 0) map.parts[part] = map.parts[part - 1].beside();
  map.parts[part].add(regressors_at(x, map, rows.positions), patches_at(y, graph::pointwise_geometry(), rows.positions),
                      rows.weights);
}

/// The pass over the frames that fills the sums of `gathered`, but for those that `reuse` has. The joint graph holds
/// the receiver as it is, which computes what the maps should return, and once more per cut with the donors' values in
/// place, which computes what they will be given. Identical computations are shared by the assembly.
/// @param finish  what is worked out of a map's sums once they are complete
void fill(const capture::ModelSet& set, const capture::Stores& calibration, std::span<const graph::Splice> shares,
          std::span<const Cut> cuts, std::span<const Joint> joints, std::span<Gathered> gathered, Progress& progress,
          const RowWeights& weights, Reuse* reuse, const std::function<void(Gathered::Map&)>& finish) {
  const int receiver_index = cuts.front().receiver;
  const graph::Prepared& receiver = *set.models[static_cast<std::size_t>(receiver_index)];
  std::vector<const graph::Prepared*> models = set.models;
  std::vector<int> groups = set.groups;
  std::vector<graph::Splice> splices(shares.begin(), shares.end());
  std::vector<graph::PlaceRequest> requests;
  std::vector<Regression> regressions;
  std::set<int> donors;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const Cut& cut = cuts[i];
    const auto copy = static_cast<int>(models.size());
    models.push_back(&receiver);
    groups.push_back(set.groups[static_cast<std::size_t>(receiver_index)]);
    splices.push_back(gathered[i].splice);
    splices.back().receiver = copy;
    for (const int donor : cut.donors()) donors.insert(donor);
    std::size_t number = 0;
    const auto regress = [&](const graph::Place& place, bool input, const std::vector<int>& from) {
      // What is read and in whose view the rows lie; the rest of the key is known once the graph is.
      std::string key = (input ? "refit " : "adapter ") + std::to_string(receiver_index) + " from";
      for (const int donor : from) key += " " + std::to_string(set.groups[static_cast<std::size_t>(donor)]);
      regressions.push_back({alignments(set, receiver_index, from), requests.size(), requests.size() + 1,
                             &gathered[i].maps.at(number++), std::move(key)});
      requests.push_back({copy, place, input});
      requests.push_back({receiver_index, place, false});
    };
    for (const int node : joints[i].refit_nodes) regress({node, 0}, true, cut.donors());
    if (!joints[i].refit_nodes.empty()) continue;
    for (const Tap& tap : cut.taps) {
      regress(graph::place_of(receiver.program.layers[static_cast<std::size_t>(tap.receiver_layer)]), false,
              {tap.donor});
    }
  }
  std::vector<int> members(donors.begin(), donors.end());
  members.push_back(receiver_index);
  for (const graph::Splice& share : shares) {
    for (const graph::Override& one : share.overrides) members.push_back(one.donor);
  }
  const std::int64_t batch = set.batch(members);

  graph::Assembly assembly = graph::assemble(models, groups, splices, {}, requests);
  std::map<std::string, Gathered::Map*> first;  // of maps that are alike
  std::vector<std::pair<Gathered::Map*, Gathered::Map*>> alike;
  if (reuse) {
    const std::vector<graph::FixedValue> values = graph::fixed_places(assembly, reuse->values.numbers());
    std::vector<Regression> open;
    std::vector<graph::Place> places(assembly.places.size());
    for (Regression& one : regressions) {
      const int x = values[one.x].number, y = values[one.y].number;
      one.key = x < 0 || y < 0 ? ""
                               : one.key + ": " + std::to_string(x) + " to " + std::to_string(y) + " in runs of " +
                                     std::to_string(batch) +
                                     (one.map->corrections ? " corrected " + std::to_string(seen_by(*one.map)) : "");
      if (!one.key.empty()) {
        if (const Gathered::Map* known = reuse->find(one.key)) {
          *one.map = *known;
          continue;
        }
        const auto [same, is_new] = first.emplace(one.key, one.map);
        if (!is_new) {
          alike.emplace_back(one.map, same->second);
          continue;
        }
      }
      for (const std::size_t place : {one.x, one.y}) places[place] = assembly.places[place];
      open.push_back(std::move(one));
    }
    regressions = std::move(open);
    assembly.places = std::move(places);
  }
  if (!regressions.empty()) {
    const std::int64_t frames = calibration.front().size();
    capture::JointPass pass(assembly, set, calibration, frames, batch, reuse ? &reuse->values : nullptr);
    progress.begin("fit " + receiver.name + "<-" + names_of(set, {donors.begin(), donors.end()}) +
                       (cuts.size() > 1 ? " (" + std::to_string(cuts.size()) + " cuts)" : ""),
                   frames);
    for (const auto& positions : capture::batches(frames, batch)) {
      std::vector<at::Tensor> values;
      progress.spend("forward", [&] { values = pass.values(); });
      RunWeights of_run(weights, positions);
      progress.spend("sums", [&] {
        for (const Regression& one : regressions) add_rows(one, values, positions, frames, of_run);
      });
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
    progress.spend("ridges", [&] {
      const c10::InferenceMode no_gradients;
      for (const Regression& one : regressions) {
        finish(*one.map);
        one.map->parts = {merged(one.map->parts)};
      }
    });
    progress.end();
  }
  for (const Regression& one : regressions) {
    if (reuse && !one.key.empty()) reuse->keep(one.key, *one.map);
  }
  for (const auto& [map, same] : alike) *map = *same;
}

}  // namespace

std::vector<Gathered> gather(const capture::ModelSet& set, const capture::Stores& calibration,
                             std::span<const graph::Splice> shares, std::span<const Cut> cuts,
                             std::span<const Joint> joints, Progress& progress, const RowWeights& weights,
                             Reuse* reuse) {
  std::vector<Gathered> gathered(cuts.size());
  if (cuts.empty()) return gathered;
  const graph::Prepared& receiver = *set.models[static_cast<std::size_t>(cuts.front().receiver)];
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    if (cuts[i].receiver != cuts.front().receiver) throw Error(ErrorKind::kInternal, "cuts of several receivers");
    gathered[i].splice = without_maps(set, cuts[i], joints[i]);
    for (const int node : joints[i].refit_nodes)
      gathered[i].maps.push_back(
          {graph::convolution_geometry(receiver, node), {}, 0, false, kRidge, kCorrectionRidge, {}});
    if (joints[i].refit_nodes.empty())
      gathered[i].maps.assign(cuts[i].taps.size(),
                              {graph::pointwise_geometry(), {}, 0, false, kRidge, kCorrectionRidge, {}});
  }
  fill(set, calibration, shares, cuts, joints, gathered, progress, weights, reuse,
       [](Gathered::Map& map) { map.ridge = best_ridge(map.parts, kRidges).value_or(kRidge); });
  return gathered;
}

Gathered gather_corrections(const capture::ModelSet& set, const capture::Stores& calibration,
                            std::span<const graph::Splice> shares, const Cut& cut, const Joint& joint,
                            const Gathered& plain, Progress& progress, const RowWeights& weights, Reuse* reuse,
                            std::int64_t most_regressors) {
  const c10::InferenceMode no_gradients;
  Gathered gathered;
  gathered.splice = plain.splice;
  for (const Gathered::Map& map : plain.maps) {
    Gathered::Map more{map.geometry, {}, map.channels, true, map.ridge, kCorrectionRidge, {}};
    const std::int64_t most = most_channels(map, most_regressors);
    if (map.channels > most)
      more.projection = merged(map.parts).principal_directions(middle_values(map.geometry, map.channels), most);
    gathered.maps.push_back(std::move(more));
  }
  fill(set, calibration, shares, {&cut, 1}, {&joint, 1}, {&gathered, 1}, progress, weights, reuse,
       [](Gathered::Map& map) {
         const auto [columns, all] = taken_by(map);
         map.correction_ridge =
             best_correction_ridge(map.parts, columns, all, map.ridge, kCorrectionRidges).value_or(kCorrectionRidge);
       });
  return gathered;
}

bool sees_more(const Gathered& plain, std::int64_t most_regressors, std::int64_t more_regressors) {
  return std::any_of(plain.maps.begin(), plain.maps.end(), [&](const Gathered::Map& map) {
    return std::min(map.channels, most_channels(map, more_regressors)) >
           std::min(map.channels, most_channels(map, most_regressors));
  });
}

}  // namespace repsim::fit
