#include "side_effects.hpp"

#include <torch/csrc/jit/ir/alias_analysis.h>

#include <algorithm>
#include <functional>
#include <set>
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

/// "stem.0.weight" for the value of an attribute, as the module names it.
std::string path_of(const tj::Value& value) {
  std::string path;
  for (const tj::Node* node = value.node(); node->kind() == c10::prim::GetAttr; node = node->input(0)->node())
    path = node->s(c10::attr::name) + (path.empty() ? "" : "." + path);
  return path;
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

bool may_write_own_weights(const std::shared_ptr<tj::Graph>& graph, const tj::Module& module) {
  std::set<std::string> weights;
  for (const auto& named : module.named_parameters()) weights.insert(named.name);
  const std::vector<tj::Value*> own =
      own_values(*graph->block(), [](const tj::Value& value) { return is_tensor(&value) || is_container(value); });
  const tj::AliasDb aliases(graph);
  const auto may_be_weight = [&](const tj::Value* origin) {
    if (origin->node()->kind() == c10::prim::GetAttr && is_tensor(origin)) return weights.contains(path_of(*origin));
    tj::Value* const value = const_cast<tj::Value*>(origin);  // the analysis takes no other, and changes nothing
    return std::any_of(own.begin(), own.end(), [&](tj::Value* one) { return aliases.mayContainAlias(value, one); });
  };
  return any_node(*graph->block(), [&](const tj::Node& node) {
    if (node.kind() == c10::prim::CallMethod || node.kind() == c10::prim::CallFunction) return true;
    for (const tj::Value* written : written_inputs(node)) {
      if (!is_tensor(written)) continue;
      const auto origins = memory_origins(*written);
      if (std::any_of(origins.begin(), origins.end(), may_be_weight)) return true;
    }
    return false;
  });
}

}  // namespace repsim::graph
