#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <set>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Operations whose form without the underscore computes the same from the same arguments.
bool has_twin(const tj::Node& node) {
  static const std::set<std::string> kNames = {
      "aten::relu_",        "aten::relu6_", "aten::leaky_relu_", "aten::silu_",    "aten::hardswish_",
      "aten::hardsigmoid_", "aten::tanh_",  "aten::hardtanh_",   "aten::sigmoid_", "aten::elu_",
      "aten::selu_",        "aten::celu_",  "aten::gelu_",       "aten::mish_",    "aten::clamp_",
      "aten::clamp_min_",   "aten::add_",   "aten::clamp_max_",  "aten::mul_",     "aten::threshold_"};
  return kNames.count(node.kind().toQualString()) > 0;
}

/// Whether a node gives new memory that nothing else refers to.
bool is_fresh(const tj::Value& value) {
  const c10::FunctionSchema* schema = value.node()->maybeSchema();
  if (!schema || !value.node()->kind().is_aten() || value.offset() >= schema->returns().size()) return false;
  // reshape, contiguous, ... say that they may return what they were given.
  static const std::set<std::string> kMayAlias = {
      "aten::reshape", "aten::contiguous", "aten::flatten",       "aten::to",         "aten::type_as",
      "aten::dropout", "aten::pad",        "aten::__interpolate", "aten::reshape_as", "aten::adaptive_avg_pool2d"};
  return !schema->returns()[value.offset()].alias_info() && kMayAlias.count(value.node()->kind().toQualString()) == 0;
}

/// Inserts the operation without the underscore in front of `node`; nullptr if Torch has none with these arguments.
tj::Node* make_twin(tj::Node* node) {
  std::string name = node->kind().toQualString();
  name.pop_back();
  tj::Node* twin = node->owningGraph()->create(c10::Symbol::fromQualString(name), node->inputs(), 1);
  twin->insertBefore(node);
  if (!twin->maybeSchema()) {
    twin->destroy();
    return nullptr;
  }
  twin->setScope(node->scope());
  twin->setSourceRange(node->sourceRange());
  twin->output()->copyMetadata(node->output());
  return twin;
}

int rewrite_block(tj::Block* block) {
  int count = 0;
  for (auto it = block->nodes().begin(); it != block->nodes().end();) {
    tj::Node* node = *it;
    ++it;
    for (tj::Block* inner : node->blocks()) count += rewrite_block(inner);
    if (!has_twin(*node)) continue;
    tj::Value* self = node->input(0);
    // Everybody else looks at the memory after the write, so the result may stand for it.
    const bool first = std::all_of(self->uses().begin(), self->uses().end(), [&](const tj::Use& use) {
      return use.user == node || (use.user->owningBlock() == block && use.user->isAfter(node));
    });
    if (!first || self->node()->owningBlock() != block || !is_fresh(*self)) continue;
    tj::Node* twin = make_twin(node);
    if (!twin) continue;
    self->replaceAllUsesAfterNodeWith(node, twin->output());
    node->output()->replaceAllUsesWith(twin->output());
    node->destroy();
    ++count;
  }
  return count;
}

}  // namespace

int functional_in_place(const std::shared_ptr<tj::Graph>& graph) { return rewrite_block(graph->block()); }

}  // namespace repsim::graph
