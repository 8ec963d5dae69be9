#include <algorithm>
#include <functional>
#include <map>

#include "auxiliary_inputs.hpp"
#include "coordinates.hpp"
#include "regressors.hpp"
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
  std::size_t cut = 0;
  std::vector<graph::Alignment> aligned;      // of the donors whose maps it reads
  std::size_t x = 0, y = 0;                   // indices of place requests
  std::vector<std::size_t> auxiliary_inputs;  // likewise, one per side of the map
  Gathered::Map* map = nullptr;
  std::string key = {};  // of Reuse; empty: none
};

/// What becomes of the stretches of the calibration frames.
enum class Blocks {
  kChooseRidges,  ///< each judges the others, where their sums are not too large for that; then they are one
  kLastOneJudges  ///< the sums stay two, those of the stretches before it and its own
};

std::string names_of(const capture::ModelSet& set, const std::set<int>& models) {
  std::string names;
  for (const ModelIndex model : models) names += (names.empty() ? "" : "+") + set.models[model]->name;
  return names;
}

/// Channels, or combinations of them, that a correction sees; 0: all.
std::int64_t seen_by(const Gathered::Map& map) { return map.projection.defined() ? map.projection.size(0) : 0; }

/// Of how many channels a neighbourhood has so many values.
std::int64_t most_channels(const Gathered::Map& map, std::int64_t most_regressors) {
  return std::max<std::int64_t>(1, most_regressors / larger_kernel(map.geometry));
}

/// Where the replacements' values come from, brought to size; no map yet.
graph::Splice without_maps(const capture::ModelSet& set, const Cut& cut) {
  graph::Splice splice;
  splice.receiver = cut.receiver;
  const graph::Program& receiver = set.models[cut.receiver]->program;
  for (const Replacement& replacement : cut.replacements) {
    const auto& shape = receiver.layers[replacement.receiver_layer].shape;
    const DonorLayer from{replacement.donor, replacement.donor_layer};
    splice.replacements.push_back({replacement, resampling_of(set, cut.receiver, from, shape), {}, {}});
  }
  return splice;
}

/// Weights of one run's rows, worked out once for all maps of a size.
class RunWeights {
 public:
  RunWeights(const SampleWeights& weights, const std::vector<std::int64_t>& positions)
      : weights_(weights), positions_(positions) {}
  [[nodiscard]] double floor() const { return weights_.floor; }
  const at::Tensor& of(std::int64_t height, std::int64_t width) {
    at::Tensor& known = known_[{height, width}];
    if (!known.defined()) known = weights_.of(positions_, height, width);
    return known;
  }

 private:
  const SampleWeights& weights_;
  const std::vector<std::int64_t>& positions_;
  std::map<std::pair<std::int64_t, std::int64_t>, at::Tensor> known_;
};

/// Adds one run's rows to the sums of a map.
/// @param values  by place request
void add_rows(const Regression& one, const std::vector<at::Tensor>& values, const std::vector<std::int64_t>& positions,
              std::int64_t frames, RunWeights& weights, Blocks how) {
  const c10::InferenceMode no_gradients;
  Gathered::Map& map = *one.map;
  const at::Tensor &x = values[one.x], &y = values[one.y];
  map.channels = x.size(1);
  const std::int64_t height = y.size(2), width = y.size(3), regressors = count_of_regressors(map);
  std::vector<at::Tensor> auxiliary_inputs;
  auxiliary_inputs.reserve(one.auxiliary_inputs.size());
  for (const std::size_t auxiliary : one.auxiliary_inputs) auxiliary_inputs.push_back(values[auxiliary]);
  const Rows rows =
      rows_of(weights.of(height, width), weights.floor(), one.aligned, height, width, frames, regressors, positions);
  // A batch belongs to the part in which it begins.
  const std::size_t parts = how == Blocks::kLastOneJudges || regressors * regressors <= kMostInParts ? kParts : 1;
  const auto products = map.corrections ? NormalEquations::Products::kFloat : NormalEquations::Products::kDouble;
  std::size_t part = static_cast<std::size_t>(positions.front()) * parts / static_cast<std::size_t>(frames);
  if (how == Blocks::kLastOneJudges) part = part + 1 < parts ? 0 : 1;
  map.parts.resize(how == Blocks::kLastOneJudges ? 2 : parts, NormalEquations(products));
  // About one shift, so that parts are merged by adding them up.
  if (part > 0 && map.parts[part].rows() == 0) map.parts[part] = map.parts[part - 1].beside();
  map.parts[part].add(regressors_at(x, auxiliary_inputs, map, height, width, rows.positions),
                      patches_at(y, graph::pointwise_geometry(), rows.positions), rows.weights);
}

/// Which sums a cut needs, but for what `shares` change.
std::string cache_key(const Cut& cut, const Attachment& attachment, const Gathered& gathered) {
  std::string text = std::to_string(cut.receiver);
  for (const Replacement& replacement : cut.replacements)
    text += " " + std::to_string(replacement.receiver_layer) + "<-" + std::to_string(replacement.donor) + "." +
            std::to_string(replacement.donor_layer);
  for (const int node : attachment.refit_nodes) text += " refit " + std::to_string(node);
  for (const DonorLayer& auxiliary : attachment.auxiliary_inputs)
    text += " beside " + std::to_string(auxiliary.donor) + "." + std::to_string(auxiliary.donor_layer);
  for (const Gathered::Map& map : gathered.maps)
    text += map.corrections ? " corrected " + std::to_string(seen_by(map)) : " plain";
  return text;
}

/// Whether all that these cuts need is known; it is in `gathered` then.
bool found_in(Reuse& reuse, std::span<const Cut> cuts, std::span<const Attachment> attachments,
              std::span<Gathered> gathered) {
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const auto maps = reuse.find_cut(cache_key(cuts[i], attachments[i], gathered[i]));
    if (!maps) return false;
    for (std::size_t k = 0; k < maps->size(); ++k) gathered[i].maps[k] = *(*maps)[k];
  }
  return true;
}

/// The pass over the frames that fills the sums of `gathered`, but for those that `reuse` has. The merged graph holds
/// the receivers as they are, which compute what the maps should return, and per cut one once more with the donors'
/// values in place, which computes what they will be given. Identical computations are shared by the assembly.
/// @param weights  one per cut
/// @param finish  what is worked out of a map's sums once they are complete, before they are merged
void fill(const capture::ModelSet& set, const capture::Stores& calibration, std::span<const graph::Splice> shares,
          std::span<const Cut> cuts, std::span<const Attachment> attachments, std::span<Gathered> gathered,
          Progress& progress, std::span<const SampleWeights* const> weights, Reuse* reuse, Blocks how,
          const std::function<void(Gathered::Map&)>& finish) {
  if (reuse && shares.empty() && found_in(*reuse, cuts, attachments, gathered)) return;
  std::vector<const graph::Prepared*> models = set.models;
  std::vector<int> groups = set.groups;
  std::vector<graph::Splice> splices(shares.begin(), shares.end());
  std::vector<graph::PlaceRequest> requests;
  std::vector<Regression> regressions;
  std::set<int> receivers, donors;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const Cut& cut = cuts[i];
    const ModelIndex receiver_index = cut.receiver;
    const graph::Prepared& receiver = *set.models[receiver_index];
    receivers.insert(receiver_index);
    const auto copy = static_cast<int>(models.size());
    models.push_back(&receiver);
    groups.push_back(set.groups[receiver_index]);
    splices.push_back(gathered[i].splice);
    splices.back().receiver = copy;
    for (const ModelIndex donor : cut.donors()) donors.insert(donor);
    for (const DonorLayer& auxiliary : attachments[i].auxiliary_inputs) donors.insert(auxiliary.donor);
    std::size_t number = 0;
    const auto regress = [&](const graph::Place& place, bool input, const std::vector<int>& from) {
      Gathered::Map& map = gathered[i].maps.at(number++);
      std::vector<int> seen_by = from;
      for (const Gathered::Map::Beside& auxiliary : map.auxiliary_inputs) {
        if (std::find(seen_by.begin(), seen_by.end(), auxiliary.layer.donor) == seen_by.end())
          seen_by.push_back(auxiliary.layer.donor);
      }
      // What is read and in whose view the rows lie; the rest of the key is known once the graph is.
      std::string key = (input ? "refit " : "adapter ") + std::to_string(receiver_index) + " from";
      for (const ModelIndex donor : seen_by) key += " " + std::to_string(set.groups[donor]);
      regressions.push_back({i,
                             alignments(set, receiver_index, seen_by),
                             requests.size(),
                             requests.size() + 1,
                             {},
                             &map,
                             std::move(key)});
      requests.push_back({copy, place, input});
      requests.push_back({receiver_index, place, false});
      for (const Gathered::Map::Beside& auxiliary : map.auxiliary_inputs) {
        regressions.back().auxiliary_inputs.push_back(requests.size());
        const graph::Program& donor = set.models[auxiliary.layer.donor]->program;
        const graph::Layer& layer = donor.layers[auxiliary.layer.donor_layer];
        requests.push_back({auxiliary.layer.donor, graph::place_of(layer), false});
      }
    };
    for (const int node : attachments[i].refit_nodes) regress({node, 0}, true, cut.donors());
    if (!attachments[i].refit_nodes.empty()) continue;
    for (const Replacement& replacement : cut.replacements) {
      regress(graph::place_of(receiver.program.layers[replacement.receiver_layer]), false, {replacement.donor});
    }
  }
  std::vector<ModelIndex> members(donors.begin(), donors.end());
  members.insert(members.end(), receivers.begin(), receivers.end());
  for (const graph::Splice& share : shares) {
    for (const DonorLayer& one : share.donor_layers()) members.push_back(one.donor);
  }
  const std::int64_t batch = set.batch(members);

  graph::Assembly assembly = graph::assemble(models, groups, splices, {}, requests);
  std::map<std::string, Gathered::Map*> first;  // of maps that are alike
  std::vector<std::pair<Gathered::Map*, Gathered::Map*>> alike;
  if (reuse) {
    const std::vector<graph::InvariantValue> values = graph::invariant_places(assembly, reuse->values.numbers());
    std::vector<Regression> open;
    std::vector<graph::Place> places(assembly.places.size());
    std::vector<std::vector<std::string>> keys(cuts.size());
    for (Regression& one : regressions) {
      const int x = values[one.x].number, y = values[one.y].number;
      one.key += ": " + std::to_string(x) + " to " + std::to_string(y) + " in runs of " + std::to_string(batch);
      if (one.map->corrections) one.key += " corrected " + std::to_string(seen_by(*one.map));
      bool fixed = x >= 0 && y >= 0;
      for (const std::size_t auxiliary : one.auxiliary_inputs) {
        fixed = fixed && values[auxiliary].number >= 0;
        one.key += " beside " + std::to_string(values[auxiliary].number);
      }
      if (!fixed) one.key.clear();
      keys[one.cut].push_back(one.key);
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
      for (const std::size_t place : one.auxiliary_inputs) places[place] = assembly.places[place];
      open.push_back(std::move(one));
    }
    regressions = std::move(open);
    assembly.places = std::move(places);
    for (std::size_t i = 0; i < cuts.size() && shares.empty(); ++i) {
      if (std::all_of(keys[i].begin(), keys[i].end(), [](const std::string& key) { return !key.empty(); }))
        reuse->keep_cut(cache_key(cuts[i], attachments[i], gathered[i]), std::move(keys[i]));
    }
  }
  if (!regressions.empty()) {
    const std::int64_t frames = calibration.front().size();
    capture::MergedPass pass(assembly, set, calibration, frames, batch, reuse ? &reuse->values : nullptr);
    std::string task = "fit " + names_of(set, receivers);
    if (receivers.size() == 1) task += "<-" + names_of(set, donors);
    if (cuts.size() > 1) task += " (" + std::to_string(cuts.size()) + " cuts)";
    progress.begin(task, frames);
    for (const auto& positions : capture::batches(frames, batch)) {
      const std::vector<at::Tensor> values = progress.spend("forward", [&] { return pass.values(); });
      std::map<const SampleWeights*, RunWeights> of_run;
      for (const SampleWeights* one : weights) of_run.try_emplace(one, *one, positions);
      progress.spend("sums", [&] {
        for (const Regression& one : regressions)
          add_rows(one, values, positions, frames, of_run.at(weights[one.cut]), how);
      });
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
    progress.spend("ridges", [&] {
      const c10::InferenceMode no_gradients;
      for (const Regression& one : regressions) {
        if (how == Blocks::kLastOneJudges) continue;
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

/// Height and width of what each map returns, as [C,H,W].
std::vector<std::vector<std::int64_t>> returned(const capture::ModelSet& set, const Cut& cut, const Gathered& plain) {
  const graph::Program& receiver = set.models[cut.receiver]->program;
  std::vector<std::vector<std::int64_t>> shapes;
  for (std::size_t i = 0; i < plain.maps.size(); ++i) {
    const int refitted = plain.maps[i].geometry.layer;
    const LayerIndex layer = refitted >= 0 ? refitted : cut.replacements.at(i).receiver_layer;
    shapes.push_back(receiver.layers[layer].shape);
  }
  return shapes;
}

/// The maps of `plain` with what corrections see besides; no sums yet.
Gathered corrected(const capture::ModelSet& set, const Cut& cut, const Attachment& attachment, const Gathered& plain,
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
  if (attachment.auxiliary_inputs.empty()) return gathered;
  const std::vector<std::vector<std::int64_t>> shapes = returned(set, cut, plain);
  for (std::size_t i = 0; i < gathered.maps.size(); ++i) {
    for (const DonorLayer& auxiliary : attachment.auxiliary_inputs) {
      const graph::Program& donor = set.models[auxiliary.donor]->program;
      gathered.maps[i].auxiliary_inputs.push_back({auxiliary, resampling_of(set, cut.receiver, auxiliary, shapes[i]),
                                                   donor.layers[auxiliary.donor_layer].shape[0]});
    }
  }
  return gathered;
}

}  // namespace

std::vector<Gathered> gather(const capture::ModelSet& set, const capture::Stores& calibration,
                             std::span<const graph::Splice> shares, std::span<const Cut> cuts,
                             std::span<const Attachment> attachments, Progress& progress, const WeightsOf& weights,
                             Reuse* reuse) {
  static const SampleWeights kAlike;
  std::vector<Gathered> gathered(cuts.size());
  std::vector<const SampleWeights*> per_cut;
  if (cuts.empty()) return gathered;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const graph::Prepared& receiver = *set.models[cuts[i].receiver];
    const auto own = weights.find(cuts[i].receiver);
    per_cut.push_back(own == weights.end() ? &kAlike : &own->second);
    gathered[i].splice = without_maps(set, cuts[i]);
    for (const int node : attachments[i].refit_nodes)
      gathered[i].maps.push_back(
          {graph::convolution_geometry(receiver, node), {}, 0, false, kRidge, kCorrectionRidge, {}});
    if (attachments[i].refit_nodes.empty())
      gathered[i].maps.assign(cuts[i].replacements.size(),
                              {graph::pointwise_geometry(), {}, 0, false, kRidge, kCorrectionRidge, {}});
  }
  fill(set, calibration, shares, cuts, attachments, gathered, progress, per_cut, reuse, Blocks::kChooseRidges,
       [](Gathered::Map& map) { map.ridge = best_ridge(map.parts, kRidges).value_or(kRidge); });
  return gathered;
}

Gathered gather_corrections(const capture::ModelSet& set, const capture::Stores& calibration,
                            std::span<const graph::Splice> shares, const Cut& cut, const Attachment& attachment,
                            const Gathered& plain, Progress& progress, const SampleWeights& weights, Reuse* reuse,
                            std::int64_t most_regressors) {
  Gathered gathered = corrected(set, cut, attachment, plain, most_regressors);
  const SampleWeights* const of_cut = &weights;
  fill(set, calibration, shares, {&cut, 1}, {&attachment, 1}, {&gathered, 1}, progress, {&of_cut, 1}, reuse,
       Blocks::kChooseRidges, [](Gathered::Map& map) {
         const Taken taken = taken_by(map);
         map.correction_ridge =
             best_correction_ridge(map.parts, taken.map, taken.by_correction(), map.ridge, kCorrectionRidges)
                 .value_or(kCorrectionRidge);
       });
  return gathered;
}

std::vector<DonorLayer> choose_auxiliary_inputs(const capture::ModelSet& set, const capture::Stores& calibration,
                                                std::span<const graph::Splice> shares, const Cut& cut,
                                                const Attachment& attachment, const Gathered& plain,
                                                const std::vector<DonorLayer>& offered, std::size_t most,
                                                Progress& progress, const SampleWeights& weights) {
  if (offered.empty() || most == 0) return {};
  Attachment all = attachment;
  all.auxiliary_inputs = offered;
  Gathered gathered = corrected(set, cut, all, plain, kMostRegressorsTried);
  const SampleWeights* const of_cut = &weights;
  // Nothing is reused: what all these layers hold would push out what other fits need.
  fill(set, calibration, shares, {&cut, 1}, {&all, 1}, {&gathered, 1}, progress, {&of_cut, 1}, nullptr,
       Blocks::kLastOneJudges, {});
  std::vector<DonorLayer> chosen;
  for (const std::size_t auxiliary : best_auxiliary_inputs(gathered.maps, attachment.rank, most))
    chosen.push_back(offered[auxiliary]);
  return chosen;
}

bool sees_more(const Gathered& plain, std::int64_t most_regressors, std::int64_t more_regressors) {
  return std::any_of(plain.maps.begin(), plain.maps.end(), [&](const Gathered::Map& map) {
    return std::min(map.channels, most_channels(map, more_regressors)) >
           std::min(map.channels, most_channels(map, most_regressors));
  });
}

}  // namespace repsim::fit
