#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/passes/inliner.h>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Attribute path from the graph's self to a module value: follows GetAttr backwards.
std::string path_of(const tj::Value* module) {
  std::string path;
  while (module->node()->kind() == c10::prim::GetAttr) {
    const std::string& name = module->node()->s(c10::attr::name);
    path = path.empty() ? name : name + "." + path;
    module = module->node()->input(0);
  }
  return path;
}

void stamp(tj::Node* node, const tj::ScopePtr& scope) {
  node->setScope(scope);
  for (tj::Block* block : node->blocks()) {
    for (tj::Node* inner : block->nodes()) stamp(inner, scope);
  }
}

/// The body of a call, nullptr when it cannot be inlined.
tj::GraphFunction* callee_of(tj::Node* node) {
  if (node->kind() != c10::prim::CallMethod && node->kind() != c10::prim::CallFunction) return nullptr;
  return tj::tryToGraphFunction(node);
}

int inline_block(tj::Block* block, const tj::ScopePtr& root) {
  int count = 0;
  for (auto it = block->nodes().begin(); it != block->nodes().end();) {
    tj::Node* node = *it;
    tj::GraphFunction* callee = callee_of(node);
    if (!callee) {
      for (tj::Block* inner : node->blocks()) count += inline_block(inner, root);
      ++it;
      continue;
    }
    tj::ScopePtr scope = node->scope();
    if (node->kind() == c10::prim::CallMethod) {
      const std::string path = path_of(node->input(0));
      scope = path.empty() ? root : root->push(c10::Symbol::scope(path));
    }
    tj::Node* before = node->prev();
    tj::Node* after = node->next();
    callee->ensure_defined();
    if (node->kind() == c10::prim::CallFunction) node->removeInput(0);  // the function itself is no argument
    // The body as written: the optimised one is already inlined, its inner calls would get no path of their own.
    tj::inlineCallTo(node, callee, callee->graph().get());
    // The inlined nodes are visited next: their own calls overwrite the stamp of what they bring in.
    for (tj::Node* inlined = before->next(); inlined != after; inlined = inlined->next()) stamp(inlined, scope);
    it = before->next()->iterator();
    ++count;
  }
  return count;
}

}  // namespace

int inline_modules(const std::shared_ptr<tj::Graph>& graph) {
  const auto root = c10::make_intrusive<tj::Scope>();
  for (tj::Node* node : graph->nodes()) stamp(node, root);
  return inline_block(graph->block(), root);
}

std::string module_path(tj::Node& node) {
  const tj::ScopePtr scope = node.scope();
  return !scope || scope->isBlank() || scope->isRoot() ? std::string() : std::string(scope->name().toUnqualString());
}

}  // namespace repsim::graph
