#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

int fold_block(tj::Block* block, const std::unordered_map<const tj::Value*, std::int64_t>& ranks) {
  int count = 0;
  for (tj::Node* node : block->nodes()) {
    for (tj::Block* inner : node->blocks()) count += fold_block(inner, ranks);
    if (node->kind() != c10::aten::dim) continue;
    const auto found = ranks.find(node->input(0));
    if (found == ranks.end()) continue;
    tj::WithInsertPoint guard(node);
    node->output()->replaceAllUsesWith(node->owningGraph()->insertConstant(found->second));
    ++count;
  }
  return count;
}

}  // namespace

int fold_ranks(const std::shared_ptr<tj::Graph>& graph,
               const std::unordered_map<const tj::Value*, std::int64_t>& ranks) {
  return fold_block(graph->block(), ranks);
}

}  // namespace repsim::graph
