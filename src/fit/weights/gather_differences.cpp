#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <array>
#include <map>

#include "repsim/base/error.hpp"
#include "repsim/fit/shared_weights.hpp"
#include "repsim/frame_runs.hpp"

namespace repsim::fit {
namespace {

constexpr std::array<std::int64_t, 2> kPlaces{0, 2};
constexpr at::IntArrayRef kFrameAndPlace(kPlaces);  // Torch before 2.13 takes a bare list for one of names, too
constexpr std::int64_t kFramesAtOnce = 4;           // the pass is no faster with more, and takes memory for each

at::Tensor tensor_of(const graph::Prepared& model, int parameter) { return model.parameters.at(parameter).toTensor(); }

/// [B,C,H,W] -> [B, C, H*W]; of a linear layer [B,...,C] -> [B, C, ...]
at::Tensor by_channel(const at::Tensor& value, bool is_linear) {
  if (!is_linear) return value.flatten(2);
  return value.reshape({value.size(0), -1, value.size(-1)}).transpose(1, 2);
}

/// What the sums of a difference take at most.
std::int64_t most_bytes_of(const graph::Prepared& receiver, const graph::SharedWeight& weight) {
  const std::int64_t channels = receiver.program.parameters.at(weight.parameter).shape.at(0);
  return static_cast<std::int64_t>(sizeof(double)) * channels * (channels + 2);
}

/// One pass of a receiver.
class DifferencePass {
 public:
  DifferencePass(const capture::ModelSet& set, ModelIndex receiver, std::span<const graph::SharedWeight> weights)
      : set_(set), receiver_(receiver), model_(*set.models[receiver]) {
    for (const graph::StoredWeight& one : graph::stored_weights(model_)) weights_.emplace(one.parameter, one);
    for (const graph::SharedWeight& weight : weights) {
      differences_.push_back({weight, 0, {}, {}, {}});
      changes_.push_back(change(weight));
    }
    for (std::size_t i = 0; i < differences_.size(); ++i) {
      const graph::StoredWeight& layer = layer_of(i);
      if (layer.input.node >= 0) {
        readers_[probe(layer.input)].push_back(i);
      } else {
        readers_of_image_.push_back(i);
      }
      results_[probe({layer.node, 0})].push_back(i);
    }
  }

  std::vector<WeightDifference> run(const capture::Stores& frames, Progress& progress) {
    const c10::InferenceMode no_gradients;
    const int group = set_.groups[receiver_];
    const std::vector<std::int64_t> chosen = every_nth(frames[group].size());
    const auto count = static_cast<std::int64_t>(chosen.size());
    const graph::Runner runner(*model_.graph, model_.parameters, probes_, /*keep_output=*/false, model_.device);
    progress.begin("weights of " + model_.name, count);
    const std::int64_t at_once = std::min(kFramesAtOnce, set_.batch({&receiver_, 1}));
    for (std::vector<std::int64_t> positions : capture::batches(count, at_once)) {
      for (std::int64_t& position : positions) position = chosen[position];
      capture::on_frames({model_.name, frames[group].frames()}, positions, [&](std::span<const std::int64_t> some) {
        std::vector<c10::IValue> inputs = capture::group_inputs(set_, frames, {&group, 1}, some);
        for (const std::size_t i : readers_of_image_) add_input(i, inputs.front().toTensor().to(model_.device));
        return progress.spend("forward", [&] {
          return runner.run(std::move(inputs), [&](int probe, const at::Tensor& value) { take(probe, value); });
        });
      });
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
    progress.end();
    for (WeightDifference& one : differences_) {
      for (at::Tensor* sum : {&one.products, &one.outputs, &one.squares}) *sum = sum->to(at::kCPU);
    }
    return std::move(differences_);
  }

 private:
  const graph::StoredWeight& layer_of(std::size_t difference) const {
    return weights_.at(differences_[difference].weight.parameter);
  }

  at::Tensor change(const graph::SharedWeight& weight) const {
    const at::Tensor own = tensor_of(model_, weight.parameter);
    return (own - tensor_of(*set_.models[weight.donor], weight.donor_parameter)).contiguous().to(model_.device);
  }

  /// The probe of a place, each once.
  int probe(graph::Place place) {
    const auto [known, is_new] =
        probe_of_.emplace(std::pair(place.node, place.output), static_cast<int>(probes_.size()));
    if (is_new) probes_.push_back(place);
    return known->second;
  }

  void take(int probe, const at::Tensor& value) {
    if (const auto found = results_.find(probe); found != results_.end()) {
      for (const std::size_t i : found->second) add_result(i, value);
    }
    if (const auto found = readers_.find(probe); found != readers_.end()) {
      for (const std::size_t i : found->second) add_input(i, value);
    }
  }

  /// Positions of at most kMostFrames of so many frames, evenly spaced: a frame has thousands of samples of a layer.
  static std::vector<std::int64_t> every_nth(std::int64_t count) {
    constexpr std::int64_t kMostFrames = 32;
    const std::int64_t step = (count + kMostFrames - 1) / kMostFrames;
    std::vector<std::int64_t> positions;
    for (std::int64_t position = 0; position < count; position += step) positions.push_back(position);
    return positions;
  }

  /// One frame at a time: what is computed beside the model is the size of a layer, in float64.
  void add_input(std::size_t index, const at::Tensor& inputs) {
    for (const at::Tensor& input : inputs.split(1)) add_input_of_frame(index, input);
  }

  void add_result(std::size_t index, const at::Tensor& results) {
    for (const at::Tensor& result : results.split(1)) add_result_of_frame(index, result);
  }

  void add_input_of_frame(std::size_t index, const at::Tensor& input) {
    const graph::StoredWeight& layer = layer_of(index);
    const graph::ConvGeometry& geometry = layer.geometry;
    const at::Tensor changes =
        by_channel(layer.is_linear ? at::linear(input, changes_[index])
                                   : at::conv2d(input, changes_[index], {}, geometry.stride, geometry.padding,
                                                geometry.dilation, layer.groups),
                   layer.is_linear);
    const at::Tensor sums = layer.groups == 1 ? at::bmm(changes, changes.transpose(1, 2)).to(at::kDouble).sum(0)
                                              : changes.to(at::kDouble).square().sum(kFrameAndPlace);
    WeightDifference& difference = differences_[index];
    difference.samples += changes.size(0) * changes.size(2);
    difference.products = difference.products.defined() ? difference.products + sums : sums;
  }

  void add_result_of_frame(std::size_t index, const at::Tensor& result) {
    const at::Tensor values = by_channel(result, layer_of(index).is_linear).to(at::kDouble);
    const at::Tensor sum = values.sum(kFrameAndPlace), squares = values.square().sum(kFrameAndPlace);
    WeightDifference& difference = differences_[index];
    difference.outputs = difference.outputs.defined() ? difference.outputs + sum : sum;
    difference.squares = difference.squares.defined() ? difference.squares + squares : squares;
  }

  const capture::ModelSet& set_;
  const ModelIndex receiver_;
  const graph::Prepared& model_;
  std::map<int, graph::StoredWeight> weights_;  // by the parameter that holds the weight
  std::vector<WeightDifference> differences_;
  std::vector<at::Tensor> changes_;  // per difference: the own weight less the donor's
  std::vector<graph::Place> probes_;
  std::map<std::pair<int, int>, int> probe_of_;                // by node and output
  std::map<int, std::vector<std::size_t>> readers_, results_;  // by probe: differences
  std::vector<std::size_t> readers_of_image_;
};

}  // namespace

std::vector<WeightDifference> gather_differences(const capture::ModelSet& set, const capture::Stores& frames,
                                                 ModelIndex receiver, std::span<const graph::SharedWeight> weights,
                                                 Progress& progress) {
  if (weights.empty()) return {};
  return DifferencePass(set, receiver, weights).run(frames, progress);
}

const std::vector<WeightDifference>& WeightDifferences::between(ModelIndex receiver, ModelIndex donor) {
  const Pair pair{receiver, donor};
  if (kept_.count(pair) == 0) {
    const std::vector<graph::SharedWeight> weights = paired_weights(set_, receiver, donor);
    keep(pair, gather_differences(set_, frames_, receiver, weights, progress_));
  }
  Entry& entry = kept_.at(pair);
  entry.used = ++now_;
  return entry.differences;
}

std::size_t WeightDifferences::prepare(ModelIndex receiver, std::span<const ModelIndex> donors) {
  std::vector<graph::SharedWeight> weights;
  std::size_t count = 0;
  for (std::int64_t bytes = 0; count < donors.size(); ++count) {
    const std::vector<graph::SharedWeight> some = paired_weights(set_, receiver, donors[count]);
    for (const graph::SharedWeight& one : some) bytes += most_bytes_of(*set_.models[receiver], one);
    if (count > 0 && bytes > max_bytes_) break;
    weights.insert(weights.end(), some.begin(), some.end());
  }
  std::map<ModelIndex, std::vector<WeightDifference>> by_donor;
  for (WeightDifference& one : gather_differences(set_, frames_, receiver, weights, progress_))
    by_donor[one.weight.donor].push_back(std::move(one));
  for (const ModelIndex donor : donors.first(count)) keep({receiver, donor}, std::move(by_donor[donor]));
  return count;
}

/// Drops what was used longest ago until the rest fits. The newest entry stays, however large it is.
void WeightDifferences::keep(const Pair& pair, std::vector<WeightDifference> differences) {
  Entry entry{std::move(differences), 0, ++now_};
  for (const WeightDifference& one : entry.differences) entry.bytes += one.bytes();
  if (const auto known = kept_.find(pair); known != kept_.end()) {
    bytes_ -= known->second.bytes;
    kept_.erase(known);
  }
  while (!kept_.empty() && bytes_ + entry.bytes > max_bytes_) {
    const auto oldest = std::min_element(kept_.begin(), kept_.end(),
                                         [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
    bytes_ -= oldest->second.bytes;
    kept_.erase(oldest);
  }
  bytes_ += entry.bytes;
  kept_.emplace(pair, std::move(entry));
}

}  // namespace repsim::fit
