#include "reuse_memory.hpp"

#include <torch/csrc/jit/runtime/operator.h>

#include <set>
#include <string>

namespace repsim::bundle {
namespace {

namespace tj = torch::jit;

bool is_activation(const tj::Node& node) {
  static const std::set<std::string> kNames = {"aten::relu", "aten::relu6",     "aten::hardtanh", "aten::leaky_relu",
                                               "aten::silu", "aten::hardswish", "aten::elu"};
  return kNames.contains(node.kind().toQualString());
}

/// Whether the value is new memory of floating-point numbers that belongs to nobody else.
bool is_fresh_result(const tj::Value& value) {
  static const std::set<std::string> kNames = {"aten::conv2d", "aten::_convolution", "aten::convolution",
                                               "aten::batch_norm"};
  return kNames.contains(value.node()->kind().toQualString());
}

/// A sum is new memory, too, but may be of integers: only what keeps their type may write there.
bool may_write_into(const tj::Node& activation, const tj::Value& read) {
  if (is_fresh_result(read)) return true;
  const auto kind = activation.kind();
  return read.node()->kind() == c10::aten::add && (kind == c10::aten::relu || kind == c10::aten::relu6);
}

/// Puts the operation with an underscore in the place of `node`. @return false where Torch has none
bool write_in_place(tj::Node* node) {
  const std::string name = std::string(node->kind().toQualString()) + "_";
  tj::Node* twin = node->owningGraph()->create(c10::Symbol::fromQualString(name), node->inputs(), 1);
  twin->insertBefore(node);
  if (twin->maybeSchema() == nullptr) {
    twin->destroy();
    return false;
  }
  twin->setScope(node->scope());
  twin->setSourceRange(node->sourceRange());
  twin->output()->copyMetadata(node->output());
  node->output()->replaceAllUsesWith(twin->output());
  node->destroy();
  return true;
}

int reuse_in(tj::Block* block) {
  int count = 0;
  for (auto it = block->nodes().begin(); it != block->nodes().end();) {
    tj::Node* node = *it;
    ++it;
    for (tj::Block* inner : node->blocks()) count += reuse_in(inner);
    if (!is_activation(*node)) continue;
    const tj::Value& read = *node->input(0);
    if (read.node()->owningBlock() != block || read.uses().size() != 1 || !may_write_into(*node, read)) continue;
    if (write_in_place(node)) ++count;
  }
  return count;
}

}  // namespace

int reuse_memory(const std::shared_ptr<tj::Graph>& graph) { return reuse_in(graph->block()); }

}  // namespace repsim::bundle
