#include <algorithm>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// The appends to a list with which its making ends: in its own block, before anybody else sees it.
std::vector<tj::Node*> appends_of(tj::Node* list) {
  std::vector<tj::Node*> appends, others;
  std::vector<tj::Value*> names{list->output()};  // append returns the list itself
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (const tj::Use& use : names[i]->uses()) {
      const bool append =
          use.user->kind() == c10::aten::append && use.offset == 0 && use.user->owningBlock() == list->owningBlock();
      (append ? appends : others).push_back(use.user);
      if (append) names.push_back(use.user->output());
    }
  }
  std::sort(appends.begin(), appends.end(), [](tj::Node* a, tj::Node* b) { return a->isBefore(b); });
  while (!appends.empty() &&
         std::any_of(others.begin(), others.end(), [&](tj::Node* other) { return !appends.back()->isBefore(other); })) {
    others.push_back(appends.back());
    appends.pop_back();
  }
  return appends;
}

int fold_in(tj::Block* block) {
  int folded = 0;
  for (auto it = block->nodes().begin(); it != block->nodes().end();) {
    tj::Node* node = *it++;
    for (tj::Block* inner : node->blocks()) folded += fold_in(inner);
    if (node->kind() != c10::prim::ListConstruct) continue;
    const std::vector<tj::Node*> appends = appends_of(node);
    if (appends.empty()) continue;
    std::vector<tj::Value*> items(node->inputs().begin(), node->inputs().end());
    for (const tj::Node* append : appends) items.push_back(append->input(1));
    tj::WithInsertPoint guard(appends.back());
    tj::Node* whole = node->owningGraph()->insertNode(node->owningGraph()->create(c10::prim::ListConstruct, items, 1));
    whole->copyMetadata(node);
    whole->output()->copyMetadata(node->output());
    if (it != block->nodes().end() && std::find(appends.begin(), appends.end(), *it) != appends.end())
      it = whole->iterator();
    for (auto append = appends.rbegin(); append != appends.rend(); ++append) {
      (*append)->output()->replaceAllUsesWith(whole->output());
      (*append)->destroy();
    }
    node->output()->replaceAllUsesWith(whole->output());
    node->destroy();
    ++folded;
  }
  return folded;
}

}  // namespace

int fold_appends(const std::shared_ptr<tj::Graph>& graph) { return fold_in(graph->block()); }

}  // namespace repsim::graph
