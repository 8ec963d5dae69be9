#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <string>
#include <vector>

#include "repsim/graph.hpp"

namespace repsim::graph {

/// The inputs of a merged graph while it is built: one per input group, then the parameters.
class MergedInputs {
 public:
  /// Adds the groups 0, 1, ... that `groups` names to the graph, which has no inputs yet.
  MergedInputs(torch::jit::Graph& graph, std::span<const int> groups);

  [[nodiscard]] torch::jit::Value* group(int group) const { return graph_.inputs().at(group); }

  /// The input that holds a parameter. Parameters with equal content, where that is known, are one input.
  torch::jit::Value* parameter(AssembledParameter parameter);

  /// Removes inputs that nothing uses from the graph, and tells the assembly which ones are left.
  /// @param keep_all  removes none: probes will read values that nothing in the graph uses yet
  void finish(bool keep_all, Assembly& assembly);

 private:
  torch::jit::Graph& graph_;
  int group_count_ = 0;
  std::vector<AssembledParameter> parameters_;  // in the order of their inputs
  std::map<std::string, torch::jit::Value*> by_content_;
};

}  // namespace repsim::graph
