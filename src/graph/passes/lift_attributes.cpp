#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <map>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

struct Lifter {
  tj::Graph& graph;
  std::string& reason;
  std::unordered_map<const tj::Value*, tj::Module> modules;
  std::unordered_map<const tj::Value*, c10::IValue> objects;  // of classes that are no modules
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
      } else if (node->kind() == c10::prim::unchecked_cast && objects.count(node->input(0)) > 0) {
        // "not None" is all that such a cast says
        objects.emplace(node->output(), objects.at(node->input(0)));
        paths.emplace(node->output(), paths.at(node->input(0)));
      } else {
        for (std::size_t i = 0; i < node->inputs().size(); ++i) {
          tj::Value* input = node->input(i);
          if (modules.count(input) > 0) refuse(use_of(*node, paths.at(input)));
          if (objects.count(input) == 0) continue;
          if (node->kind() == c10::prim::SetAttr || node->kind() == c10::prim::CallMethod) {
            refuse(use_of(*node, paths.at(input)));
          } else {
            node->replaceInput(i, lift(paths.at(input), objects.at(input), input->type()));
          }
        }
      }
      for (tj::Block* inner : node->blocks()) visit(inner);
    }
    for (std::size_t i = 0; i < block->outputs().size(); ++i) {
      const tj::Value* output = block->outputs()[i];
      if (modules.count(output) > 0) refuse("passes a module out of a branch or loop");
      if (objects.count(output) > 0) {
        block->replaceOutput(i, lift(paths.at(output), objects.at(output), output->type()));
      }
    }
  }

  static std::string use_of(const tj::Node& node, const std::string& path) {
    if (node.kind() == c10::prim::SetAttr) {
      return "writes its attribute " + (path.empty() ? "" : path + ".") + node.s(c10::attr::name) + " while running";
    }
    const std::string at = path.empty() ? "its root" : path;
    if (node.kind() == c10::prim::CallMethod)
      return "calls " + node.s(c10::attr::name) + " of " + at + ", which cannot be inlined";
    if (node.kind() == c10::prim::ModuleContainerIndex) return "chooses a module while it runs (of " + at + ")";
    return std::string("uses the module ") + at + " as a value (" + node.kind().toQualString() + ")";
  }

  /// The graph input that stands for a value of the model.
  tj::Value* lift(const std::string& path, const c10::IValue& value, const c10::TypePtr& type) {
    tj::Value*& input = inputs[path];
    if (!input) {
      const std::string name = path.substr(path.rfind('.') + 1);
      input = graph.addInput(name.find_first_of("0123456789.") == 0 ? "" : name);
      input->setType(value.isTensor() ? c10::TypePtr(c10::TensorType::get()) : type);
      lifted.push_back({path, value});
    }
    return input;
  }

  void get_attr(tj::Node* node) {
    const tj::Value* owner = node->input(0);
    const auto module = modules.find(owner);
    const auto object = objects.find(owner);
    const std::string& name = node->s(c10::attr::name);
    if (module == modules.end() && object == objects.end()) {
      // An object that is made, or chosen, while the graph runs: this read is an operation like others.
      if (owner->type()->is_module()) refuse("chooses a module while it runs (" + name + ")");
      return;
    }
    const std::string path = paths.at(owner).empty() ? name : paths.at(owner) + "." + name;
    const c10::IValue value =
        module != modules.end() ? module->second.attr(name) : object->second.toObjectRef().getAttr(name);
    if (value.isModule()) {
      modules.emplace(node->output(), value.toModule());
      paths.emplace(node->output(), path);
    } else if (value.isObject()) {
      objects.emplace(node->output(), value);
      paths.emplace(node->output(), path);
    } else if (holds_tensors(value)) {
      node->output()->replaceAllUsesWith(lift(path, value, node->output()->type()));
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

bool holds_tensors(const c10::IValue& value) {
  if (value.isTensor() || (value.isObject() && !value.isModule())) return true;
  if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    return std::any_of(elements.begin(), elements.end(), holds_tensors);
  }
  if (value.isList()) {
    const auto elements = value.toListRef();
    return std::any_of(elements.begin(), elements.end(), holds_tensors);
  }
  if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) {
      if (holds_tensors(entry.value())) return true;
    }
  }
  return false;
}

std::vector<Lifted> lift_attributes(const std::shared_ptr<tj::Graph>& graph, const tj::Module& module,
                                    std::string& reason) {
  Lifter lifter{*graph, reason, {}, {}, {}, {}, {}};
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
