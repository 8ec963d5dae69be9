#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <map>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

struct Lifter {
  tj::Graph& graph;
  std::string& reason;
  std::unordered_map<const tj::Value*, tj::Module> modules;
  std::unordered_map<const tj::Value*, std::string> paths;
  std::map<std::string, tj::Value*> inputs;
  std::vector<Lifted> lifted;

  void refuse(const std::string& why) {
    if (reason.empty()) reason = why;
  }

  void visit(tj::Block* block) {
    for (tj::Node* node : block->nodes()) {
      if (node->kind() == c10::prim::GetAttr) {
        get_attr(node);
      } else {
        for (const tj::Value* input : node->inputs()) {
          if (modules.count(input) > 0) refuse(use_of(*node, paths.at(input)));
        }
      }
      for (tj::Block* inner : node->blocks()) visit(inner);
    }
    for (const tj::Value* output : block->outputs()) {
      if (modules.count(output) > 0) refuse("returns a module from a branch or loop");
    }
  }

  static std::string use_of(const tj::Node& node, const std::string& path) {
    const std::string at = path.empty() ? "its root" : path;
    if (node.kind() == c10::prim::SetAttr)
      return "writes its attribute " + at + "." + node.s(c10::attr::name) + " while running";
    if (node.kind() == c10::prim::CallMethod)
      return "calls " + node.s(c10::attr::name) + " of " + at + ", which cannot be inlined";
    return std::string("uses the module ") + at + " as a value (" + node.kind().toQualString() + ")";
  }

  void get_attr(tj::Node* node) {
    const tj::Value* owner = node->input(0);
    const auto found = modules.find(owner);
    if (found == modules.end())
      return refuse("reads an attribute of an object that is no module (" + node->s(c10::attr::name) + ")");
    const std::string& name = node->s(c10::attr::name);
    const std::string path = paths.at(owner).empty() ? name : paths.at(owner) + "." + name;
    const c10::IValue value = found->second.attr(name);
    if (value.isModule()) {
      modules.emplace(node->output(), value.toModule());
      paths.emplace(node->output(), path);
    } else if (value.isTensor()) {
      auto& input = inputs[path];
      if (!input) {
        input = graph.addInput(name.find_first_of("0123456789.") == 0 ? "" : name);
        input->setType(c10::TensorType::get());
        lifted.push_back({path, value});
      }
      node->output()->replaceAllUsesWith(input);
    } else {
      tj::WithInsertPoint guard(node);
      if (const auto constant = tj::tryInsertConstant(graph, value)) {
        node->output()->replaceAllUsesWith(*constant);
      } else {
        refuse("holds the attribute " + path + " of type " + node->output()->type()->repr_str());
      }
    }
  }
};

}  // namespace

std::vector<Lifted> lift_attributes(const std::shared_ptr<tj::Graph>& graph, const tj::Module& module,
                                    std::string& reason) {
  Lifter lifter{*graph, reason, {}, {}, {}, {}};
  tj::Value* self = graph->inputs().at(0);
  lifter.modules.emplace(self, module);
  lifter.paths.emplace(self, "");
  lifter.visit(graph->block());
  if (!reason.empty()) return {};
  tj::EliminateDeadCode(graph);
  if (self->hasUses()) {
    reason = "uses its own module as a value";
    return {};
  }
  graph->eraseInput(0);
  return std::move(lifter.lifted);
}

}  // namespace repsim::graph
