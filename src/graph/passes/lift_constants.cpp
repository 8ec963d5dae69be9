#include <torch/csrc/jit/ir/constants.h>

#include <map>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

struct ConstantLifter {
  tj::Graph& graph;
  const std::string& folder;
  std::map<const void*, tj::Value*> inputs;
  std::vector<Lifted> lifted;

  void visit(tj::Block* block) {
    for (auto it = block->nodes().begin(); it != block->nodes().end(); ++it) {
      for (tj::Block* inner : it->blocks()) visit(inner);
      if (it->kind() != c10::prim::Constant) continue;
      const auto value = tj::toIValue(it->output());
      if (!value || !holds_tensors(*value)) continue;
      if (value->isTensor() && (!value->toTensor().defined() || value->toTensor().numel() < 2)) continue;
      tj::Value*& input = inputs[value->internalToPointer()];
      if (!input) {
        input = graph.addInput();
        input->setType(value->isTensor() ? c10::TypePtr(c10::TensorType::get()) : it->output()->type());
        lifted.push_back({folder + "." + std::to_string(lifted.size()), *value, /*constant=*/true});
      }
      it->output()->replaceAllUsesWith(input);
      it.destroyCurrent();
    }
  }
};

}  // namespace

std::vector<Lifted> lift_constants(const std::shared_ptr<tj::Graph>& graph, const std::string& folder) {
  ConstantLifter lifter{*graph, folder, {}, {}};
  lifter.visit(graph->block());
  return std::move(lifter.lifted);
}

}  // namespace repsim::graph
