#include "merged_inputs.hpp"

#include <algorithm>

namespace repsim::graph {

MergedInputs::MergedInputs(torch::jit::Graph& graph, std::span<const int> groups) : graph_(graph) {
  for (const int group : groups) group_count_ = std::max(group_count_, group + 1);
  for (int group = 0; group < group_count_; ++group) graph_.addInput("x" + std::to_string(group));
}

torch::jit::Value* MergedInputs::parameter(AssembledParameter parameter) {
  if (!parameter.content.empty()) {
    if (const auto found = by_content_.find(parameter.content); found != by_content_.end()) return found->second;
  }
  torch::jit::Value* input = graph_.addInput();
  input->setType(parameter.value.isTensor() ? c10::TypePtr(c10::TensorType::get()) : parameter.value.type());
  if (!parameter.content.empty()) by_content_[parameter.content] = input;
  parameters_.push_back(std::move(parameter));
  return input;
}

void MergedInputs::finish(bool keep_all, Assembly& assembly) {
  std::vector<AssembledParameter> kept;
  for (std::size_t i = parameters_.size(); i-- > 0;) {
    const std::size_t input = static_cast<std::size_t>(group_count_) + i;
    if (keep_all || graph_.inputs()[input]->hasUses()) {
      kept.push_back(parameters_[i]);
    } else {
      graph_.eraseInput(input);
    }
  }
  assembly.parameters.assign(kept.rbegin(), kept.rend());
  for (int group = group_count_; group-- > 0;) {
    if (keep_all || graph_.inputs()[group]->hasUses()) {
      assembly.input_groups.insert(assembly.input_groups.begin(), group);
    } else {
      graph_.eraseInput(static_cast<std::size_t>(group));
    }
  }
}

}  // namespace repsim::graph
