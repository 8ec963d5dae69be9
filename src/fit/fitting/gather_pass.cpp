#include "gather_pass.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "../attachment/coordinates.hpp"
#include "regressors.hpp"

namespace repsim::fit {
namespace {

/// Elements of a Gram matrix above which four blocks take too much memory (32 MiB each), and a dozen solutions to
/// choose a ridge too much time.
constexpr std::int64_t kMaxGramElementsInBlocks = std::int64_t{1} << 22;
constexpr std::int64_t kBlocks = 4;  // of the calibration frames, for cross-validation
constexpr double kRidges[] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1};
constexpr double kCorrectionRidges[] = {1e-4, 1e-3, 1e-2};  // each costs four solutions of a thousand unknowns

std::string names_of(const capture::ModelSet& set, const std::set<ModelIndex>& models) {
  std::string names;
  for (const ModelIndex model : models) names += (names.empty() ? "" : "+") + set.models[model]->name;
  return names;
}

/// MapKey::projected of a map.
std::optional<std::int64_t> projected(const MapSums& map) {
  if (!map.corrections) return std::nullopt;
  return map.projection.defined() ? map.projection.size(0) : 0;
}

}  // namespace

/// Weights of one run's samples, computed once for all maps of a size.
class GatherPass::RunWeights {
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

void GatherPass::run() {
  if (all_kept()) return;
  request_places();
  look_up_kept();
  if (!regressions_.empty()) add_up();
  keep_sums();
}

/// Takes the sums of all cuts from what is kept, without a merged graph. False: some are missing.
bool GatherPass::all_kept() {
  if (context_.frames.reuse == nullptr || !context_.shares.empty()) return false;
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    const auto maps = context_.frames.reuse->find_cut(cut_key(i));
    if (!maps) return false;
    for (std::size_t k = 0; k < maps->size(); ++k) sums_[i].maps[k] = *(*maps)[k];
  }
  return true;
}

CutKey GatherPass::cut_key(std::size_t cut) const {
  const Attachment& attachment = attachments_[cut];
  CutKey key{attachment.cut.receiver, attachment.cut.replacements, {}, attachment.auxiliary_inputs, {}};
  if (const auto* const refit = std::get_if<Refit>(&attachment.method)) {
    for (const RefitConvolution& one : refit->convolutions) key.refit_nodes.push_back(one.node);
  }
  for (const MapSums& map : sums_[cut].maps) key.projected.push_back(projected(map));
  return key;
}

/// Assembles the merged graph, with one regression per map.
void GatherPass::request_places() {
  std::vector<const graph::Prepared*> models = context_.set.models;
  std::vector<int> groups = context_.set.groups;
  std::vector<graph::Splice> splices(context_.shares.begin(), context_.shares.end());
  std::vector<graph::PlaceRequest> requests;
  for (std::size_t i = 0; i < attachments_.size(); ++i) {
    const Cut& cut = attachments_[i].cut;
    receivers_.insert(cut.receiver);
    for (const ModelIndex donor : cut.donors()) donors_.insert(donor);
    for (const DonorLayer& auxiliary : attachments_[i].auxiliary_inputs) donors_.insert(auxiliary.donor);
    const auto copy = static_cast<ModelIndex>(models.size());
    models.push_back(context_.set.models[cut.receiver]);
    groups.push_back(context_.set.groups[cut.receiver]);
    splices.push_back(sums_[i].splice);
    splices.back().receiver = copy;
    request_places_of(i, copy, requests);
  }
  std::vector<ModelIndex> members(donors_.begin(), donors_.end());
  members.insert(members.end(), receivers_.begin(), receivers_.end());
  for (const graph::Splice& share : context_.shares) {
    for (const DonorLayer& one : share.donor_layers()) members.push_back(one.donor);
  }
  batch_ = context_.set.batch(members);
  assembly_ = graph::assemble(models, groups, splices, {}, requests);
}

/// @param copy  of the cut's receiver, with the donors' values in place
void GatherPass::request_places_of(std::size_t cut, ModelIndex copy, std::vector<graph::PlaceRequest>& requests) {
  const Attachment& attachment = attachments_[cut];
  for (std::size_t i = 0; i < attachment.maps.size(); ++i) {
    const AttachedMap& map = attachment.maps[i];
    MapSums& sums = sums_[cut].maps[i];
    Regression one{.cut = cut, .donors = map.donors, .x = requests.size(), .y = requests.size() + 1};
    one.reads_input = map.reads_input;
    one.sums = &sums;
    requests.push_back({copy, map.place, map.reads_input});
    requests.push_back({attachment.cut.receiver, map.place, false});
    for (const MapSums::AuxiliaryInput& auxiliary : sums.auxiliary_inputs) {
      const ModelIndex donor = auxiliary.layer.donor;
      if (std::find(one.donors.begin(), one.donors.end(), donor) == one.donors.end()) one.donors.push_back(donor);
      one.auxiliary_inputs.push_back(requests.size());
      const graph::Layer& layer = context_.set.models[donor]->program.layers[auxiliary.layer.donor_layer];
      requests.push_back({donor, graph::place_of(layer), false});
    }
    regressions_.push_back(std::move(one));
  }
}

std::optional<MapKey> GatherPass::map_key(const Regression& one,
                                          const std::vector<graph::InvariantValue>& values) const {
  MapKey key{.receiver = attachments_[one.cut].cut.receiver, .reads_input = one.reads_input};
  for (const ModelIndex donor : one.donors) key.donor_groups.push_back(context_.set.groups[donor]);
  key.x = values[one.x].number;
  key.y = values[one.y].number;
  key.batch = batch_;
  key.projected = projected(*one.sums);
  bool invariant = key.x >= 0 && key.y >= 0;
  for (const std::size_t auxiliary : one.auxiliary_inputs) {
    key.auxiliary_inputs.push_back(values[auxiliary].number);
    invariant = invariant && values[auxiliary].number >= 0;
  }
  return invariant ? std::optional(std::move(key)) : std::nullopt;
}

/// Takes the sums that are kept, finds maps of equal sums, and leaves the regressions to compute. The graph then
/// computes no other places.
void GatherPass::look_up_kept() {
  Reuse* const reuse = context_.frames.reuse;
  if (reuse == nullptr) return;
  const std::vector<graph::InvariantValue> values = graph::invariant_places(assembly_, reuse->values.numbers());
  std::map<MapKey, MapSums*> computed;
  std::vector<Regression> open;
  std::vector<graph::Place> places(assembly_.places.size());
  keys_.resize(attachments_.size());
  for (Regression& one : regressions_) {
    one.key = map_key(one, values);
    keys_[one.cut].push_back(one.key);
    if (one.key) {
      if (const MapSums* const known = reuse->find(*one.key)) {
        *one.sums = *known;
        continue;
      }
      const auto [equal, is_new] = computed.emplace(*one.key, one.sums);
      if (!is_new) {
        duplicates_.emplace_back(one.sums, equal->second);
        continue;
      }
    }
    for (const std::size_t place : {one.x, one.y}) places[place] = assembly_.places[place];
    for (const std::size_t place : one.auxiliary_inputs) places[place] = assembly_.places[place];
    open.push_back(std::move(one));
  }
  regressions_ = std::move(open);
  assembly_.places = std::move(places);
}

std::string GatherPass::task_name() const {
  std::string task = "fit " + names_of(context_.set, receivers_);
  if (receivers_.size() == 1) task += "<-" + names_of(context_.set, donors_);
  if (attachments_.size() > 1) task += " (" + std::to_string(attachments_.size()) + " cuts)";
  return task;
}

const SampleWeights& GatherPass::weights_of(ModelIndex receiver) const {
  static const SampleWeights kAlike;
  if (context_.frames.weights == nullptr) return kAlike;
  const auto found = context_.frames.weights->find(receiver);
  return found == context_.frames.weights->end() ? kAlike : found->second;
}

/// Runs the merged graph over the frames.
void GatherPass::add_up() {
  const capture::Stores& stores = *context_.frames.stores;
  Progress& progress = context_.progress;
  const std::int64_t frames = stores.front().size();
  Reuse* const reuse = context_.frames.reuse;
  capture::MergedPass pass(assembly_, context_.set, stores, frames, batch_, reuse ? &reuse->values : nullptr);
  progress.begin(task_name(), frames);
  for (const auto& positions : capture::batches(frames, batch_)) {
    const std::vector<at::Tensor> values = progress.spend("forward", [&] { return pass.values(); });
    std::map<const SampleWeights*, RunWeights> weights;
    progress.spend("sums", [&] {
      for (const Regression& one : regressions_) {
        const SampleWeights& of_receiver = weights_of(attachments_[one.cut].cut.receiver);
        add_samples(one, values, positions, weights.try_emplace(&of_receiver, of_receiver, positions).first->second);
      }
    });
    progress.step(static_cast<std::int64_t>(positions.size()));
  }
  progress.spend("ridges", [&] {
    const c10::InferenceMode no_gradients;
    if (purpose_ == Purpose::kAuxiliaryInputs) return;
    for (const Regression& one : regressions_) {
      choose_ridge(*one.sums);
      one.sums->blocks = {merged(one.sums->blocks)};
    }
  });
  progress.end();
}

/// Adds one run's samples to the sums of a map.
/// @param values  by place request
void GatherPass::add_samples(const Regression& one, const std::vector<at::Tensor>& values,
                             const std::vector<std::int64_t>& positions, RunWeights& weights) const {
  const c10::InferenceMode no_gradients;
  MapSums& map = *one.sums;
  const at::Tensor &x = values[one.x], &y = values[one.y];
  map.channels = x.size(1);
  const std::int64_t height = y.size(2), width = y.size(3), regressors = count_of_regressors(map);
  const SampleSelection selection{alignments(context_.set, attachments_[one.cut].cut.receiver, one.donors),
                                  height,
                                  width,
                                  context_.frames.stores->front().size(),
                                  regressors,
                                  weights.floor()};
  const Samples samples = samples_of(selection, weights.of(height, width), positions);
  std::vector<at::Tensor> auxiliary_inputs;
  auxiliary_inputs.reserve(one.auxiliary_inputs.size());
  for (const std::size_t auxiliary : one.auxiliary_inputs) auxiliary_inputs.push_back(values[auxiliary]);
  block_at(map, positions.front(), regressors)
      .add(regressors_at(map, x, auxiliary_inputs, {height, width}, samples.positions),
           patches_at(y, graph::pointwise_geometry(), samples.positions), samples.weights);
}

/// The block of a run, which belongs to the block in which it begins.
/// @param position  of the run's first frame
NormalEquations& GatherPass::block_at(MapSums& map, std::int64_t position, std::int64_t regressors) const {
  const bool two = purpose_ == Purpose::kAuxiliaryInputs;
  const std::int64_t blocks = two || regressors * regressors <= kMaxGramElementsInBlocks ? kBlocks : 1;
  std::int64_t block = position * blocks / context_.frames.stores->front().size();
  if (two) block = block + 1 < blocks ? 0 : 1;
  const auto products = map.corrections ? NormalEquations::Products::kFloat : NormalEquations::Products::kDouble;
  map.blocks.resize(two ? 2 : blocks, NormalEquations(products));
  // About one shift, so that merging blocks only adds them up.
  if (block > 0 && map.blocks[block].samples() == 0) map.blocks[block] = map.blocks[block - 1].empty_like();
  return map.blocks[block];
}

void GatherPass::choose_ridge(MapSums& map) const {
  if (purpose_ == Purpose::kMaps) {
    map.ridges.map = best_ridge(map.blocks, kRidges).value_or(kRidge);
  } else {
    map.ridges.correction =
        best_correction_ridge(map.blocks, regressor_indices(map).low_rank(), map.ridges.map, kCorrectionRidges)
            .value_or(kCorrectionRidge);
  }
}

/// Keeps what was computed, and which sums each cut needs.
void GatherPass::keep_sums() {
  for (const auto& [map, equal] : duplicates_) *map = *equal;
  Reuse* const reuse = context_.frames.reuse;
  if (reuse == nullptr) return;
  for (const Regression& one : regressions_) {
    if (one.key) reuse->keep(*one.key, *one.sums);
  }
  if (!context_.shares.empty()) return;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    std::vector<MapKey> keys;
    for (const std::optional<MapKey>& key : keys_[i]) {
      if (key) keys.push_back(*key);
    }
    if (keys.size() == keys_[i].size()) reuse->keep_cut(cut_key(i), std::move(keys));
  }
}

}  // namespace repsim::fit
