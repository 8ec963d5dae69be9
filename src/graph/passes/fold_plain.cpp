#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/constant_propagation.h>

#include <algorithm>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

bool knows_tensors(const c10::TypePtr& type) {
  if (type->kind() == c10::TypeKind::TensorType || type->kind() == c10::TypeKind::ClassType) return true;
  const auto contained = type->containedTypes();
  return std::any_of(contained.begin(), contained.end(), knows_tensors);
}

/// An absent tensor is as plain as a number.
bool is_plain(const tj::Value* value) { return value->mustBeNone() || !knows_tensors(value->type()); }

bool can_fold(tj::Node* node, const tj::AliasDb& aliases) {
  if (node->kind() == c10::prim::Constant || node->outputs().empty() || !node->blocks().empty()) return false;
  const auto inputs = node->inputs(), outputs = node->outputs();
  return std::all_of(
             inputs.begin(), inputs.end(),
             [](const tj::Value* value) { return value->node()->kind() == c10::prim::Constant && is_plain(value); }) &&
         std::all_of(outputs.begin(), outputs.end(), is_plain) && !node->hasSideEffects() &&
         !node->isNondeterministic() && !aliases.hasWriters(node);
}

int fold_block(tj::Block* block, tj::AliasDb& aliases) {
  int count = 0;
  for (tj::Node* node : block->nodes()) {
    for (tj::Block* inner : node->blocks()) count += fold_block(inner, aliases);
    if (!can_fold(node, aliases)) continue;
    const auto results = tj::runNodeIfInputsAreConstant(node, /*ignore_custom_classes=*/true, &aliases);
    if (!results || results->size() != node->outputs().size()) continue;
    // In a branch that is never taken, None may be cast to what it is not.
    const bool possible = std::equal(results->begin(), results->end(), node->outputs().begin(),
                                     [](const c10::IValue& value, const tj::Value* output) {
                                       return !value.isNone() ||
                                              output->type()->kind() == c10::TypeKind::OptionalType ||
                                              output->type()->kind() == c10::TypeKind::NoneType;
                                     });
    if (!possible) continue;
    tj::WithInsertPoint guard(node);
    for (std::size_t i = 0; i < results->size(); ++i) {
      const auto constant = tj::tryInsertConstant(*node->owningGraph(), (*results)[i]);
      if (!constant) break;
      // None stands for an absent value of some type; every other constant knows its own.
      if ((*results)[i].isNone()) (*constant)->setType(node->output(i)->type());
      node->output(i)->replaceAllUsesWith(*constant);
      ++count;
    }
  }
  return count;
}

}  // namespace

int fold_plain(const std::shared_ptr<tj::Graph>& graph) {
  tj::AliasDb aliases(graph);
  return fold_block(graph->block(), aliases);
}

}  // namespace repsim::graph
