#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "repsim/base/error.hpp"
#include "repsim/program.hpp"

namespace repsim::graph {
namespace {

constexpr std::int64_t kFloatBytes = 4;
constexpr std::string_view kFitted = "aten::conv2d";

std::size_t at(int index) { return static_cast<std::size_t>(index); }

class Joiner {
 public:
  Joiner(const std::vector<const Program*>& programs, const std::vector<MergedShare>& shares)
      : programs_(programs), shares_(shares), made_(programs.size()) {}

  Program run() {
    for (const std::size_t model : execution_order()) add(model);
    // What the models return, in their order.
    std::set<int> results;
    for (std::size_t model = 0; model < programs_.size(); ++model) {
      for (const OpIndex op : programs_[model]->results) {
        for (const int made : made_[model][op]) results.insert(made);
      }
    }
    joint_.results.assign(results.begin(), results.end());
    return joint_;
  }

 private:
  const MergedShare* share_of(std::size_t model) const {
    const auto found =
        std::find_if(shares_.begin(), shares_.end(), [&](const MergedShare& one) { return at(one.receiver) == model; });
    return found == shares_.end() ? nullptr : &*found;
  }

  std::vector<std::size_t> execution_order() const {
    std::vector<std::size_t> order;
    std::vector<bool> done(programs_.size(), false);
    while (order.size() < programs_.size()) {
      const auto ready = [&](std::size_t model) {
        const MergedShare* share = share_of(model);
        return share == nullptr ||
               std::all_of(share->replacements.begin(), share->replacements.end(),
                           [&](const MergedReplacement& replacement) { return done[replacement.donor]; });
      };
      std::size_t next = 0;
      while (next < programs_.size() && (done[next] || !ready(next))) ++next;
      if (next == programs_.size()) throw Error(ErrorKind::kInternal, "the shares form a cycle");
      done[next] = true;
      order.push_back(next);
    }
    return order;
  }

  void add(std::size_t model) {
    const Program& program = *programs_[model];
    const MergedShare* share = share_of(model);
    std::vector<int> replaced;
    std::multimap<int, const MergedReplacement*> replacements;  // by the op whose value they replace
    for (std::size_t i = 0; share != nullptr && i < share->replacements.size(); ++i) {
      replaced.push_back(share->replacements[i].receiver_layer);
      replacements.emplace(program.layers[replaced.back()].op, &share->replacements[i]);
    }
    const std::vector<bool> live = live_ops(program, replaced);
    std::vector<int> parameters(program.parameters.size(), -1);
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
        for (const int parameter : copy.parameters) read.insert(joint_parameter(program, parameters, parameter));
        copy.inputs.assign(inputs.begin(), inputs.end());
        copy.parameters.assign(read.begin(), read.end());
        made.push_back(append(std::move(copy)));
      }
      const auto [begin, end] = replacements.equal_range(static_cast<int>(op));
      for (auto replacement = begin; replacement != end; ++replacement) {
        const std::vector<int> value = insert_replacement(program, *replacement->second);
        made.insert(made.end(), value.begin(), value.end());
      }
    }
  }

  int joint_parameter(const Program& program, std::vector<int>& known, int parameter) {
    int& index = known[parameter];
    if (index >= 0) return index;
    const Parameter& source = program.parameters[parameter];
    const int next = static_cast<int>(joint_.parameters.size());
    index = source.content.empty() ? next : by_content_.emplace(source.content, next).first->second;
    if (index == next) joint_.parameters.push_back(source);
    return index;
  }

  /// The ops that hold the replaced layer's value.
  std::vector<int> insert_replacement(const Program& receiver, const MergedReplacement& replacement) {
    const Layer& given = programs_[replacement.donor]->layers[replacement.donor_layer];
    const std::vector<std::int64_t>& wanted = receiver.layers[replacement.receiver_layer].shape;
    std::vector<int> value = made_[replacement.donor][given.op];
    const std::int64_t channels = given.shape.at(0);
    std::int64_t height = given.shape.at(1), width = given.shape.at(2);
    const auto step = [&](std::string_view kind, std::int64_t flops_per_value, std::int64_t out,
                          std::int64_t constants) {
      // The same layer brought to the same size is one computation; what is fitted differs from replacement to
      // replacement.
      const Brought key{value, std::string(kind), height, width};
      const auto known = brought_.find(key);
      if (kind != kFitted && known != brought_.end()) {
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
      if (kind != kFitted) brought_.emplace(key, value.front());
    };
    if (replacement.horizontal) {
      const std::int64_t from = width;
      width = wanted.at(2);
      step("aten::matmul", 2 * from, channels, from * width);
    }
    if (replacement.vertical) {
      const std::int64_t from = height;
      height = wanted.at(1);
      step("aten::matmul", 2 * from, channels, from * height);
    }
    if (replacement.resize) {
      const bool pool = resizes_by_pooling(height, width, wanted.at(1), wanted.at(2));
      height = wanted.at(1);
      width = wanted.at(2);
      step(pool ? "aten::adaptive_avg_pool2d" : "aten::upsample_bilinear2d", 1, channels, 0);
    }
    if (replacement.linear) step(kFitted, 2 * channels, wanted.at(0), wanted.at(0) * channels + wanted.at(0));
    return value;
  }

  int constant(std::int64_t elements) {
    Parameter parameter;
    parameter.dtype = "Float";
    parameter.elements = elements;
    parameter.bytes = kFloatBytes * elements;
    joint_.parameters.push_back(std::move(parameter));
    return static_cast<int>(joint_.parameters.size()) - 1;
  }

  int append(Op op) {
    joint_.ops.push_back(std::move(op));
    return static_cast<int>(joint_.ops.size()) - 1;
  }

  const std::vector<const Program*>& programs_;
  const std::vector<MergedShare>& shares_;
  std::vector<std::vector<std::vector<int>>> made_;  // per program and op: the merged ops that hold its value
  /// What is brought over, by which op, to which height and width.
  using Brought = std::tuple<std::vector<int>, std::string, std::int64_t, std::int64_t>;
  std::map<Brought, int> brought_;
  std::map<std::string, int> by_content_;
  Program joint_;
};

}  // namespace

Program merged_program(const std::vector<const Program*>& programs, const std::vector<MergedShare>& shares) {
  return Joiner(programs, shares).run();
}

}  // namespace repsim::graph
