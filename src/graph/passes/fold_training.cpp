#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

int fold_block(tj::Block* block) {
  int count = 0;
  for (tj::Node* node : block->nodes()) {
    for (tj::Block* inner : node->blocks()) count += fold_block(inner);
    if (node->kind() != c10::prim::GetAttr || node->s(c10::attr::name) != "training") continue;
    if (node->output()->type()->kind() != c10::TypeKind::BoolType) continue;
    tj::WithInsertPoint guard(node);
    node->output()->replaceAllUsesWith(node->owningGraph()->insertConstant(false));
    ++count;
  }
  return count;
}

}  // namespace

int fold_training(const std::shared_ptr<tj::Graph>& graph) { return fold_block(graph->block()); }

}  // namespace repsim::graph
