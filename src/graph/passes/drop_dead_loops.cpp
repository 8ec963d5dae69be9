#include <algorithm>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Whether something is seen of a node beside its outputs: it prints, checks, or writes into memory.
bool leaves_traces(tj::Node* node) {
  if (node->hasSideEffects()) return true;
  const auto* schema = node->maybeSchema();
  const bool foreign = !node->kind().is_aten() && !node->kind().is_prim();
  if (schema ? schema->is_mutable() : foreign) return true;
  return std::any_of(node->blocks().begin(), node->blocks().end(), [](tj::Block* block) {
    return std::any_of(block->nodes().begin(), block->nodes().end(), leaves_traces);
  });
}

int drop_from(tj::Block* block) {
  int count = 0;
  std::vector<tj::Node*> nodes;
  for (tj::Node* node : block->nodes()) nodes.push_back(node);
  // Backwards: a loop may be dead once the loop that read it is gone.
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    tj::Node* node = *it;
    if (node->kind() == c10::prim::Loop && !node->hasUses() && !leaves_traces(node)) {
      node->destroy();
      ++count;
      continue;
    }
    for (tj::Block* inner : node->blocks()) count += drop_from(inner);
  }
  return count;
}

}  // namespace

int drop_dead_loops(const std::shared_ptr<tj::Graph>& graph) { return drop_from(graph->block()); }

}  // namespace repsim::graph
