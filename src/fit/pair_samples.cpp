#include "pair_samples.hpp"

#include <algorithm>

#include "patches.hpp"

namespace repsim::fit {
namespace {

const graph::Layer& layer_of(const capture::ModelSet& set, ModelIndex model, LayerIndex layer) {
  return set.models[model]->program.layers[layer];
}

}  // namespace

PairSamples::PairSamples(const capture::ModelSet& set, ModelIndex receiver, ModelIndex donor,
                         const std::vector<LayerPair>& pairs, std::int64_t most_rows)
    : set_(set), pairs_(pairs), receiver_(receiver), most_rows_(most_rows), aligned_(alignment(set, receiver, donor)) {
  const auto request = [&](std::map<int, std::size_t>& known, ModelIndex model, LayerIndex layer) {
    if (known.emplace(layer, requests_.size()).second)
      requests_.push_back({model, graph::place_of(layer_of(set, model, layer)), false});
  };
  const auto want = [&](const Key& key) {
    auto& list = sizes_[key.first];
    if (std::find(list.begin(), list.end(), key.second) == list.end()) list.push_back(key.second);
  };
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    request(wanted_at_, receiver, pairs[i].receiver_layer);
    request(given_at_, donor, pairs[i].donor_layer);
    want(wanted(i));
    want(given(i));
    if (!aligned_.identity() && resampled_.count(given(i)) == 0) {
      resampled_[given(i)] = matrices(aligned_, layer_of(set, donor, pairs[i].donor_layer).shape,
                                      layer_of(set, receiver, pairs[i].receiver_layer).shape);
    }
  }
}

PairSamples::Key PairSamples::wanted(std::size_t pair) const {
  const auto& shape = layer_of(set_, receiver_, pairs_[pair].receiver_layer).shape;
  return {wanted_at_.at(pairs_[pair].receiver_layer), {shape[1], shape[2]}};
}

PairSamples::Key PairSamples::given(std::size_t pair) const {
  return {given_at_.at(pairs_[pair].donor_layer), wanted(pair).second};
}

std::int64_t PairSamples::channels(std::size_t pair) const {
  return layer_of(set_, receiver_, pairs_[pair].receiver_layer).shape[0];
}

at::Tensor PairSamples::rows(const Key& key, const at::Tensor& value) const {
  const auto [height, width] = key.second;
  const auto found = resampled_.find(key);
  const Matrices matrices = found == resampled_.end() ? Matrices{} : found->second;
  return chosen(positions_of(resample_to(value, matrices, height, width)), key.second);
}

at::Tensor PairSamples::chosen(const at::Tensor& positions, MapSize size) const {
  return matrix(every_position(rows_in_view(positions, {aligned_}, size.first, size.second), most_rows_)).clone();
}

}  // namespace repsim::fit
