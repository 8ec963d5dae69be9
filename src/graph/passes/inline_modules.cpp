#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/passes/inline_fork_wait.h>
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

/// The module that an attribute path names.
tj::Module module_at(tj::Module module, const std::string& path) {
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    module = module.attr(path.substr(begin, end - begin)).toModule();
    begin = end + 1;
  }
  return module;
}

class Inliner {
 public:
  Inliner(const tj::Module& module, tj::ScopePtr root) : module_(module), root_(std::move(root)) {}

  int run(tj::Block* block) {
    int count = 0;
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
      tj::Node* node = *it;
      tj::GraphFunction* callee = callee_of(node);
      if (!callee) {
        for (tj::Block* inner : node->blocks()) count += run(inner);
        ++it;
        continue;
      }
      tj::ScopePtr scope = node->scope();
      if (node->kind() == c10::prim::CallMethod && node->input(0)->type()->is_module()) {
        const std::string path = path_of(node->input(0));
        scope = path.empty() ? root_ : root_->push(c10::Symbol::scope(path));
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

 private:
  /// The body of a call, nullptr when it cannot be inlined. A call through an interface goes to the module that really
  /// is there: evaluation never replaces it (a SetAttr makes the model opaque).
  tj::GraphFunction* callee_of(tj::Node* node) const {
    if (node->kind() != c10::prim::CallMethod && node->kind() != c10::prim::CallFunction) return nullptr;
    if (node->kind() == c10::prim::CallMethod && node->input(0)->type()->kind() == c10::TypeKind::InterfaceType &&
        node->input(0)->node()->kind() == c10::prim::GetAttr) {
      const tj::Module target = module_at(module_, path_of(node->input(0)));
      node->input(0)->setType(target.type());
      return tj::tryToGraphFunction(target.get_method(node->s(c10::attr::name)).function());
    }
    return tj::tryToGraphFunction(node);
  }

  const tj::Module& module_;
  tj::ScopePtr root_;
};

bool holds_fork(tj::Block* block) {
  for (tj::Node* node : block->nodes()) {
    if (node->kind() == c10::prim::fork) return true;
    for (tj::Block* inner : node->blocks()) {
      if (holds_fork(inner)) return true;
    }
  }
  return false;
}

}  // namespace

int inline_modules(const std::shared_ptr<tj::Graph>& graph, const tj::Module& module) {
  const auto root = c10::make_intrusive<tj::Scope>();
  for (tj::Node* node : graph->nodes()) stamp(node, root);
  Inliner inliner(module, root);
  int count = inliner.run(graph->block());
  // What a fork runs is a graph of its own, which may call modules and fork again.
  while (holds_fork(graph->block())) {
    tj::InlineForkWait(graph);
    const int more = inliner.run(graph->block());
    if (more == 0) break;
    count += more;
  }
  return count;
}

std::string module_path(tj::Node& node) {
  const tj::ScopePtr scope = node.scope();
  return !scope || scope->isBlank() || scope->isRoot() ? std::string() : std::string(scope->name().toUnqualString());
}

}  // namespace repsim::graph
