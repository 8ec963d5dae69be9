#include <torch/csrc/jit/ir/constants.h>

#include <map>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Reads and writes of one attribute of a module, in the order of the program.
struct Attribute {
  std::vector<tj::Node*> uses;
  bool written = false;
};

std::string attribute_path_of(const tj::Value* module) {
  std::string path;
  while (module->node()->kind() == c10::prim::GetAttr) {
    path = module->node()->s(c10::attr::name) + "." + path;
    module = module->node()->input(0);
  }
  return path;
}

void collect(tj::Block* block, std::map<std::string, Attribute>& attributes) {
  for (tj::Node* node : block->nodes()) {
    for (tj::Block* inner : node->blocks()) collect(inner, attributes);
    const bool write = node->kind() == c10::prim::SetAttr;
    if ((!write && node->kind() != c10::prim::GetAttr) || !node->input(0)->type()->is_module()) continue;
    Attribute& attribute = attributes[attribute_path_of(node->input(0)) + node->s(c10::attr::name)];
    attribute.uses.push_back(node);
    attribute.written |= write;
  }
}

bool is_write(const tj::Node* node) { return node->kind() == c10::prim::SetAttr; }

bool is_inside(const tj::Node* node, const tj::Block* block) {
  const tj::Block* at = node->owningBlock();
  while (at != block && at->owningNode()) at = at->owningNode()->owningBlock();
  return at == block;
}

bool in_loop(const tj::Node* node) {
  for (const tj::Node* at = node; at; at = at->owningBlock()->owningNode()) {
    if (at->kind() == c10::prim::Loop) return true;
  }
  return false;
}

/// The reads that follow the first write all see what was written last: the writes stand in one block, in a straight
/// line, and whoever reads afterwards is in it too.
bool is_straight(const Attribute& attribute) {
  const tj::Block* block = nullptr;
  const tj::Value* current = nullptr;
  for (const tj::Node* node : attribute.uses) {
    if (is_write(node)) {
      if (block && node->owningBlock() != block) return false;
      block = node->owningBlock();
      current = node->input(1);
      if (in_loop(node)) return false;
    } else if (block && (!is_inside(node, block) || !current->type()->isSubtypeOf(*node->output()->type()))) {
      return false;
    }
  }
  return true;
}

/// The attribute as the archive has it.
c10::IValue initial_value(tj::Module module, const std::string& path) {
  std::size_t begin = 0;
  for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', begin)) {
    module = module.attr(path.substr(begin, dot - begin)).toModule();
    begin = dot + 1;
  }
  return module.attr(path.substr(begin));
}

bool is_plain(const c10::IValue& value) {
  return value.isNone() || value.isBool() || value.isInt() || value.isDouble() || value.isString();
}

/// Decides "is it None" for a value that is not. @return how many such questions there were
int answer_none_questions(tj::Node* read) {
  int count = 0;
  for (const tj::Use& use : std::vector<tj::Use>(read->output()->uses())) {
    const bool is = use.user->kind() == c10::aten::__is__;
    if ((!is && use.user->kind() != c10::aten::__isnot__) || !use.user->input(1 - use.offset)->mustBeNone() ||
        !use.user->output()->hasUses()) {
      continue;
    }
    tj::WithInsertPoint guard(use.user);
    use.user->output()->replaceAllUsesWith(read->owningGraph()->insertConstant(!is));
    ++count;
  }
  return count;
}

/// Reads that come before every write see what the archive holds: this decides "if it is not yet made, make it".
int read_initial_values(const Attribute& attribute, const std::string& path, const tj::Module& module) {
  int count = 0;
  for (tj::Node* node : attribute.uses) {
    if (is_write(node)) break;
    const c10::IValue value = initial_value(module, path);
    // In a loop a read may come round again, after a write.
    if (in_loop(node) || !node->output()->hasUses()) continue;
    if (!is_plain(value)) {
      count += answer_none_questions(node);
      continue;
    }
    tj::WithInsertPoint guard(node);
    const auto constant = tj::tryInsertConstant(*node->owningGraph(), value);
    if (!constant) continue;
    if (value.isNone()) (*constant)->setType(node->output()->type());
    node->output()->replaceAllUsesWith(*constant);
    ++count;
  }
  return count;
}

/// Later reads become the values written; the writes go.
int drop_writes(const Attribute& attribute) {
  tj::Value* current = nullptr;
  int count = 0;
  for (tj::Node* node : attribute.uses) {
    if (!is_write(node)) {
      if (current) node->output()->replaceAllUsesWith(current);
      continue;
    }
    current = node->input(1);
    node->destroy();
    ++count;
  }
  return count;
}

}  // namespace

int forward_state(const std::shared_ptr<tj::Graph>& graph, const tj::Module& module) {
  std::map<std::string, Attribute> attributes;
  collect(graph->block(), attributes);
  int count = 0;
  for (const auto& [path, attribute] : attributes) {
    if (!attribute.written) continue;
    count += read_initial_values(attribute, path, module);
    if (is_straight(attribute)) count += drop_writes(attribute);
  }
  return count;
}

}  // namespace repsim::graph
