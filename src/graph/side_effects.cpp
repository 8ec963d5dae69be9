#include "side_effects.hpp"

#include <torch/csrc/jit/ir/alias_analysis.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "graph_access.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Whether `is_wanted` holds for any node, those in branches and loops included.
bool any_node(tj::Block& block, const std::function<bool(tj::Node&)>& is_wanted) {
  for (tj::Node* node : block.nodes()) {
    if (is_wanted(*node)) return true;
    for (tj::Block* inner : node->blocks()) {
      if (any_node(*inner, is_wanted)) return true;
    }
  }
  return false;
}

bool is_container(const tj::Value& value) {
  const c10::TypeKind kind = value.type()->kind();
  return kind == c10::TypeKind::ListType || kind == c10::TypeKind::DictType;
}

bool enters_autocast(const tj::Node& node) {
  if (node.kind() != c10::prim::Enter) return false;
  const auto type = node.input(0)->type()->cast<c10::ClassType>();
  return type && type->name() && type->name()->qualifiedName().find("autocast") != std::string::npos;
}

/// The values that code reads from the model's attributes and `is_wanted`, in branches and loops, too.
std::vector<tj::Value*> own_values(tj::Block& block, const std::function<bool(const tj::Value&)>& is_wanted) {
  std::vector<tj::Value*> own;
  (void)any_node(block, [&](tj::Node& node) {
    if (node.kind() == c10::prim::GetAttr && is_wanted(*node.output())) own.push_back(node.output());
    return false;
  });
  return own;
}

/// Whether a node writes into a value that `is_wanted` and may be one of `own`, or lie in one.
bool writes_into(const tj::Node& node, const tj::AliasDb& aliases, const std::vector<tj::Value*>& own,
                 const std::function<bool(const tj::Value&)>& is_wanted) {
  const std::vector<tj::Value*> written = written_inputs(node);
  return std::any_of(written.begin(), written.end(), [&](tj::Value* value) {
    return is_wanted(*value) &&
           std::any_of(own.begin(), own.end(), [&](tj::Value* one) { return aliases.mayContainAlias(value, one); });
  });
}

}  // namespace

std::string side_effect_of(const std::shared_ptr<tj::Graph>& graph) {
  tj::Block& block = *graph->block();
  static const c10::Symbol kManualSeed = c10::Symbol::fromQualString("aten::manual_seed");
  if (any_node(block, enters_autocast)) return "computes in other types by itself (torch.autocast)";
  if (any_node(block, [](const tj::Node& node) { return node.kind() == kManualSeed; }))
    return "sets the seed of random numbers";
  const std::vector<tj::Value*> own = own_values(block, is_container);
  if (own.empty()) return {};
  const tj::AliasDb aliases(graph);
  const auto keeps = [&](const tj::Node& node) { return writes_into(node, aliases, own, is_container); };
  return any_node(block, keeps) ? "keeps values in a list or a dictionary of its own" : "";
}

bool may_write_own_tensors(const std::shared_ptr<tj::Graph>& graph) {
  const auto is_any = [](const tj::Value& value) { return is_tensor(&value) || is_container(value); };
  const std::vector<tj::Value*> own = own_values(*graph->block(), is_any);
  const tj::AliasDb aliases(graph);
  return any_node(*graph->block(), [&](const tj::Node& node) {
    return node.kind() == c10::prim::CallMethod || node.kind() == c10::prim::CallFunction ||
           writes_into(node, aliases, own, [](const tj::Value& value) { return is_tensor(&value); });
  });
}

}  // namespace repsim::graph
