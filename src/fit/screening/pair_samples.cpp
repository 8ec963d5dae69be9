#include "pair_samples.hpp"

#include <algorithm>

#include "../fitting/patches.hpp"

namespace repsim::fit {
namespace {

const graph::Layer& layer_of(const capture::ModelSet& set, ModelIndex model, LayerIndex layer) {
  return set.models[model]->program.layers[layer];
}

}  // namespace

PairSamples::PairSamples(const capture::ModelSet& set, ModelIndex receiver, ModelIndex donor,
                         const std::vector<LayerPair>& pairs, std::int64_t max_per_frame)
    : set_(set),
      pairs_(pairs),
      receiver_(receiver),
      max_per_frame_(max_per_frame),
      aligned_(alignment(set, receiver, donor)) {
  const auto request = [&](std::map<LayerIndex, std::size_t>& known, ModelIndex model, LayerIndex layer) {
    if (known.emplace(layer, requests_.size()).second)
      requests_.push_back({model, graph::place_of(layer_of(set, model, layer)), false});
  };
  const auto add_size = [&](const Key& key) {
    auto& list = sizes_[key.first];
    if (std::find(list.begin(), list.end(), key.second) == list.end()) list.push_back(key.second);
  };
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    request(receiver_requests_, receiver, pairs[i].receiver_layer);
    request(donor_requests_, donor, pairs[i].donor_layer);
    add_size(receiver_key(i));
    add_size(donor_key(i));
    if (!aligned_.identity() && matrices_.count(donor_key(i)) == 0) {
      matrices_[donor_key(i)] = matrices(aligned_, layer_of(set, donor, pairs[i].donor_layer).shape,
                                         layer_of(set, receiver, pairs[i].receiver_layer).shape);
    }
  }
}

PairSamples::Key PairSamples::receiver_key(std::size_t pair) const {
  const auto& shape = layer_of(set_, receiver_, pairs_[pair].receiver_layer).shape;
  return {receiver_requests_.at(pairs_[pair].receiver_layer), {shape[1], shape[2]}};
}

PairSamples::Key PairSamples::donor_key(std::size_t pair) const {
  return {donor_requests_.at(pairs_[pair].donor_layer), receiver_key(pair).second};
}

std::int64_t PairSamples::channels(std::size_t pair) const {
  return layer_of(set_, receiver_, pairs_[pair].receiver_layer).shape[0];
}

at::Tensor PairSamples::samples(const Key& key, const at::Tensor& value) const {
  const auto [height, width] = key.second;
  const auto found = matrices_.find(key);
  const Matrices matrices = found == matrices_.end() ? Matrices{} : found->second;
  return chosen(positions_of(resample_to(value, matrices, height, width)), key.second);
}

at::Tensor PairSamples::chosen(const at::Tensor& positions, MapSize size) const {
  return samples_of(every_position(cells_in_view(positions, {aligned_}, size.first, size.second), max_per_frame_))
      .clone();
}

}  // namespace repsim::fit
