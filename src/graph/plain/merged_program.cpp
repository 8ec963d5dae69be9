#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "repsim/program.hpp"

namespace repsim::graph {
namespace {

constexpr std::int64_t kFloatBytes = 4;
constexpr std::string_view kFitted = "aten::conv2d";  // the convolutions of adapters and of differences
constexpr std::string_view kLinear = "aten::linear";

/// Builds the merged program, model by model.
class ProgramMerger {
 public:
  ProgramMerger(const std::vector<const Program*>& programs, const std::vector<MergedShare>& shares,
                const std::vector<bool>& guests)
      : programs_(programs), shares_(shares), guests_(guests), made_(programs.size()) {
    for (const Program* program : programs) known_.emplace_back(program->parameters.size(), -1);
  }

  Program run() {
    for (const ModelIndex model : execution_order()) add(model);
    // What the models return, in their order.
    std::set<int> results;
    for (std::size_t model = 0; model < programs_.size(); ++model) {
      if (is_guest(model)) continue;
      for (const OpIndex op : programs_[model]->results) {
        for (const int made : made_[model][op]) results.insert(made);
      }
    }
    merged_.results.assign(results.begin(), results.end());
    return merged_;
  }

 private:
  bool is_guest(std::size_t model) const { return !guests_.empty() && guests_[model]; }

  /// The ops whose values are wanted: those of the results, of a guest those that shares take.
  std::vector<OpIndex> wanted_ops(ModelIndex model) const {
    const Program& program = *programs_[model];
    if (!is_guest(static_cast<std::size_t>(model))) return program.results;
    std::set<OpIndex> wanted;
    for (const MergedShare& share : shares_) {
      for (const MergedReplacement& one : share.replacements)
        if (one.donor == model) wanted.insert(program.layers[one.donor_layer].op);
    }
    return {wanted.begin(), wanted.end()};
  }

  const MergedShare* share_of(ModelIndex model) const {
    const auto found =
        std::find_if(shares_.begin(), shares_.end(), [&](const MergedShare& one) { return one.receiver == model; });
    return found == shares_.end() ? nullptr : &*found;
  }

  std::vector<ModelIndex> execution_order() const {
    std::vector<std::vector<ModelIndex>> donors(programs_.size());
    for (const MergedShare& share : shares_) {
      for (const MergedReplacement& replacement : share.replacements)
        donors[share.receiver].push_back(replacement.donor);
      for (const MergedWeight& weight : share.weights) donors[share.receiver].push_back(weight.donor);
    }
    return donors_first(donors);
  }

  void add(ModelIndex model) {
    const Program& program = *programs_[model];
    const MergedShare* share = share_of(model);
    std::vector<int> replaced;
    std::multimap<int, const MergedReplacement*> replacements;  // by the op whose value they replace
    for (std::size_t i = 0; share != nullptr && i < share->replacements.size(); ++i) {
      replaced.push_back(share->replacements[i].receiver_layer);
      replacements.emplace(program.layers[replaced.back()].op, &share->replacements[i]);
    }
    const std::vector<bool> live = live_ops(program, replaced, wanted_ops(model));
    made_[model].resize(program.ops.size());
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      std::vector<int>& made = made_[model][op];
      const bool folded = share != nullptr && std::find(share->folded.begin(), share->folded.end(),
                                                        static_cast<int>(op)) != share->folded.end();
      if (folded) {
        for (const int input : program.ops[op].inputs)
          made.insert(made.end(), made_[model][input].begin(), made_[model][input].end());
      } else if (live[op]) {
        Op copy = program.ops[op];
        copy.layer = -1;
        std::set<int> inputs, read;
        for (const int input : copy.inputs) inputs.insert(made_[model][input].begin(), made_[model][input].end());
        const MergedWeight* shared = weight_of(share, static_cast<OpIndex>(op));
        for (const int parameter : copy.parameters) {
          const bool is_shared = shared != nullptr && shared->parameter == parameter;
          read.insert(is_shared ? merged_parameter(shared->donor, shared->donor_parameter)
                                : merged_parameter(model, parameter));
        }
        copy.inputs.assign(inputs.begin(), inputs.end());
        copy.parameters.assign(read.begin(), read.end());
        made.push_back(append(std::move(copy)));
        if (shared != nullptr && shared->rank > 0)
          made.back() = append_difference(*shared, program.parameters[shared->parameter].shape, made.back());
      }
      const auto [begin, end] = replacements.equal_range(static_cast<int>(op));
      for (auto replacement = begin; replacement != end; ++replacement) {
        const std::vector<int> value = insert_replacement(program, *replacement->second);
        made.insert(made.end(), value.begin(), value.end());
      }
    }
  }

  static const MergedWeight* weight_of(const MergedShare* share, OpIndex op) {
    if (share == nullptr) return nullptr;
    const auto found = std::find_if(share->weights.begin(), share->weights.end(),
                                    [&](const MergedWeight& one) { return one.op == op; });
    return found == share->weights.end() ? nullptr : &*found;
  }

  /// Appends the two convolutions or linear layers of a difference, and the sum.
  /// @param down  shape of the layer's weight. That of the first of the two differs in its channels alone
  /// @return the op of the sum
  int append_difference(const MergedWeight& weight, std::vector<std::int64_t> down, int layer) {
    const std::int64_t places = merged_.ops[layer].output_bytes / kFloatBytes / weight.channels;
    const std::string kind = merged_.ops[layer].kind == kLinear ? merged_.ops[layer].kind : std::string(kFitted);
    const auto step = [&](std::string_view kind, std::vector<int> inputs, std::int64_t out, std::int64_t flops) {
      Op op;
      op.kind = kind;
      op.inputs = std::move(inputs);
      op.flops = flops * out * places;
      op.output_bytes = kFloatBytes * out * places;
      return append(std::move(op));
    };
    down.at(0) = weight.rank;
    const int first = step(kind, merged_.ops[layer].inputs, weight.rank, 2 * weight.taps);
    merged_.ops[first].parameters = {constant(weight.rank * weight.taps, std::move(down))};
    const int second = step(kind, {first}, weight.channels, std::int64_t{2} * weight.rank);
    merged_.ops[second].parameters = {constant(weight.channels * weight.rank)};
    return step("aten::add", {layer, second}, weight.channels, 1);
  }

  int merged_parameter(ModelIndex model, int parameter) {
    int& index = known_[model][parameter];
    if (index >= 0) return index;
    const Parameter& source = programs_[model]->parameters[parameter];
    const int next = static_cast<int>(merged_.parameters.size());
    index = source.content.empty() ? next : by_content_.emplace(source.content, next).first->second;
    if (index == next) merged_.parameters.push_back(source);
    return index;
  }

  /// Appends the ops of an adapter. @return the merged ops that hold the replaced layer's value
  std::vector<int> insert_replacement(const Program& receiver, const MergedReplacement& replacement) {
    const Layer& supplied = programs_[replacement.donor]->layers[replacement.donor_layer];
    const std::vector<std::int64_t>& shape = receiver.layers[replacement.receiver_layer].shape;
    std::vector<int> value = made_[replacement.donor][supplied.op];
    const std::int64_t channels = supplied.shape.at(0);
    std::int64_t height = supplied.shape.at(1), width = supplied.shape.at(2);
    const auto step = [&](std::string_view kind, std::int64_t flops_per_value, std::int64_t out,
                          std::int64_t constants) {
      // Replacements that resample one layer to one size share the computation; each has a convolution of its own.
      const ResamplingKey key{value, std::string(kind), height, width};
      const auto known = resampled_.find(key);
      if (kind != kFitted && known != resampled_.end()) {
        value = {known->second};
        return;
      }
      Op op;
      op.kind = kind;
      op.inputs = value;
      if (constants > 0) op.parameters = {constant(constants)};
      op.flops = flops_per_value * out * height * width;
      op.output_bytes = kFloatBytes * out * height * width;
      value = {append(std::move(op))};
      if (kind != kFitted) resampled_.emplace(key, value.front());
    };
    if (replacement.horizontal) {
      const std::int64_t from = width;
      width = shape.at(2);
      step("aten::matmul", 2 * from, channels, from * width);
    }
    if (replacement.vertical) {
      const std::int64_t from = height;
      height = shape.at(1);
      step("aten::matmul", 2 * from, channels, from * height);
    }
    if (replacement.resize) {
      const bool pool = resizes_by_pooling(height, width, shape.at(1), shape.at(2));
      height = shape.at(1);
      width = shape.at(2);
      step(pool ? "aten::adaptive_avg_pool2d" : "aten::upsample_bilinear2d", 1, channels, 0);
    }
    if (replacement.linear) step(kFitted, 2 * channels, shape.at(0), shape.at(0) * channels + shape.at(0));
    return value;
  }

  /// @param shape  of the weight of a convolution that may have a kernel of several cells
  int constant(std::int64_t elements, std::vector<std::int64_t> shape = {}) {
    Parameter parameter;
    parameter.shape = std::move(shape);
    parameter.dtype = "Float";
    parameter.elements = elements;
    parameter.bytes = kFloatBytes * elements;
    merged_.parameters.push_back(std::move(parameter));
    return static_cast<int>(merged_.parameters.size()) - 1;
  }

  int append(Op op) {
    merged_.ops.push_back(std::move(op));
    return static_cast<int>(merged_.ops.size()) - 1;
  }

  const std::vector<const Program*>& programs_;
  const std::vector<MergedShare>& shares_;
  std::vector<std::vector<int>> known_;              // per program and parameter: the merged one; -1: none yet
  const std::vector<bool>& guests_;                  // empty: none
  std::vector<std::vector<std::vector<int>>> made_;  // per program and op: the merged ops that hold its value
  /// The ops that hold the donor's layer, the operation that resamples it, and the height and width of the result.
  using ResamplingKey = std::tuple<std::vector<int>, std::string, std::int64_t, std::int64_t>;
  std::map<ResamplingKey, int> resampled_;  // the merged op of each
  std::map<std::string, int> by_content_;
  Program merged_;
};

}  // namespace

Program merged_program(const std::vector<const Program*>& programs, const std::vector<MergedShare>& shares,
                       const std::vector<bool>& guests) {
  return ProgramMerger(programs, shares, guests).run();
}

}  // namespace repsim::graph
