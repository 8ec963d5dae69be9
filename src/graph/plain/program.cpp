#include "repsim/program.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace repsim::graph {
namespace {

std::vector<bool> parameters_used_by(const Program& program, const std::vector<bool>& live) {
  std::vector<bool> used(program.parameters.size(), false);
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (!live[op]) continue;
    for (const int parameter : program.ops[op].parameters) used[parameter] = true;
  }
  return used;
}

/// Per op whether all layers that it computes are replaced, so that its value comes from elsewhere.
std::vector<bool> replaced_ops(const Program& program, const std::vector<int>& replaced) {
  std::vector<bool> layer_replaced(program.layers.size(), false);
  for (const LayerIndex layer : replaced) layer_replaced[layer] = true;
  std::vector<bool> ops(program.ops.size(), false);
  for (const LayerIndex layer : replaced) ops[program.layers[layer].op] = true;
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
    if (!layer_replaced[layer]) ops[program.layers[layer].op] = false;
  }
  return ops;
}

}  // namespace

std::vector<bool> live_ops(const Program& program, const std::vector<int>& replaced) {
  return live_ops(program, replaced, program.results);
}

std::vector<bool> live_ops(const Program& program, const std::vector<int>& replaced, const std::vector<int>& results) {
  const std::vector<bool> supplied = replaced_ops(program, replaced);
  std::vector<bool> live(program.ops.size(), false);
  for (const OpIndex op : results) live[op] = !supplied[op];
  // Inputs come before the ops that need them, so one backward pass reaches everything.
  for (std::size_t op = program.ops.size(); op-- > 0;) {
    if (!live[op]) continue;
    for (const int input : program.ops[op].inputs) {
      if (!supplied[input]) live[input] = true;
    }
  }
  return live;
}

Removal removed_by(const Program& program, const std::vector<int>& replaced) {
  const std::vector<bool> before = live_ops(program, {}), after = live_ops(program, replaced);
  Removal removal;
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (!before[op] || after[op]) continue;
    removal.ops.push_back(static_cast<int>(op));
    removal.flops += program.ops[op].flops;
  }
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
    const OpIndex op = program.layers[layer].op;
    if (before[op] && !after[op]) removal.layers.push_back(static_cast<int>(layer));
  }
  const std::vector<bool> used_before = parameters_used_by(program, before);
  const std::vector<bool> used_after = parameters_used_by(program, after);
  // Equal parameters, as tied weights are, lie in one memory: it goes when the last of them goes.
  std::set<std::string> held;
  for (std::size_t parameter = 0; parameter < program.parameters.size(); ++parameter) {
    if (used_after[parameter]) held.insert(program.parameters[parameter].content);
  }
  for (std::size_t parameter = 0; parameter < program.parameters.size(); ++parameter) {
    if (!used_before[parameter] || used_after[parameter]) continue;
    removal.parameters.push_back(static_cast<int>(parameter));
    const Parameter& one = program.parameters[parameter];
    if (!one.content.empty() && !held.insert(one.content).second) continue;
    removal.elements += one.elements;
    removal.bytes += one.bytes;
  }
  return removal;
}

std::int64_t peak_activation_bytes(const Program& program) {
  const std::vector<bool> live = live_ops(program, {});
  const std::size_t count = program.ops.size();
  // Last op during which the memory of each op is in use; `count` for what the model returns.
  std::vector<std::size_t> last_use(count);
  for (std::size_t op = 0; op < count; ++op) last_use[op] = op;
  for (const OpIndex op : program.results) last_use[op] = count;
  for (std::size_t op = count; op-- > 0;) {
    if (!live[op]) continue;
    const std::size_t until = program.ops[op].output_bytes == 0 ? last_use[op] : op;
    for (const int input : program.ops[op].inputs) {
      last_use[input] = std::max(last_use[input], until);
    }
  }
  std::vector<std::int64_t> freed_after(count + 1, 0);
  std::int64_t in_use = 0, peak = 0;
  for (std::size_t op = 0; op < count; ++op) {
    if (live[op]) {
      in_use += program.ops[op].output_bytes;
      freed_after[last_use[op]] += program.ops[op].output_bytes;
    }
    peak = std::max(peak, in_use);
    in_use -= freed_after[op];
  }
  return peak;
}

std::int64_t total_flops(const Program& program) {
  const std::vector<bool> live = live_ops(program, {});
  std::int64_t total = 0;
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (live[op]) total += program.ops[op].flops;
  }
  return total;
}

std::vector<std::vector<int>> layers_read(const Program& program) {
  std::vector<std::vector<int>> result;
  result.reserve(program.ops.size());
  for (const Op& op : program.ops) {
    std::set<int> read;
    for (const int input : op.inputs) {
      const LayerIndex layer = program.ops[input].layer;
      if (layer >= 0 && program.layers[layer].op == input) {
        read.insert(layer);
      } else {
        read.insert(result[input].begin(), result[input].end());
      }
    }
    result.emplace_back(read.begin(), read.end());
  }
  return result;
}

std::string layer_of_weight(const Parameter& weight) {
  constexpr std::string_view kWeight = ".weight";
  const std::string& path = weight.path;
  return path.ends_with(kWeight) ? path.substr(0, path.size() - kWeight.size()) : path;
}

LayerIndex find_layer(const Program& program, const std::string& name) {
  const auto found = std::find_if(program.layers.begin(), program.layers.end(),
                                  [&](const Layer& layer) { return layer.name == name; });
  return found == program.layers.end() ? -1 : static_cast<int>(found - program.layers.begin());
}

}  // namespace repsim::graph
