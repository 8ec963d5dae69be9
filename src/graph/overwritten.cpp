#include <torch/csrc/jit/ir/alias_analysis.h>

#include <functional>

#include "graph_access.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// The tensors that a node writes to.
std::vector<tj::Value*> written_inputs(tj::Node& node) {
  std::vector<tj::Value*> written;
  const c10::FunctionSchema* schema = node.maybeSchema();
  if (!schema || !schema->is_mutable()) return written;
  for (std::size_t i = 0; i < std::min(schema->arguments().size(), node.inputs().size()); ++i) {
    const c10::AliasInfo* alias = schema->arguments()[i].alias_info();
    if (alias && alias->isWrite() && node.input(i)->type()->isSubtypeOf(*c10::TensorType::get())) {
      written.push_back(node.input(i));
    }
  }
  return written;
}

void find_writers(tj::Block* block, std::vector<tj::Node*>& writers) {
  for (tj::Node* node : block->nodes()) {
    if (!written_inputs(*node).empty()) writers.push_back(node);
    for (tj::Block* inner : node->blocks()) find_writers(inner, writers);
  }
}

/// What a run shows: which of the suspects were still in use when their memory was written.
class Watch {
 public:
  void saw(std::size_t suspect, const at::Tensor& value) {
    if (value.defined() && value.has_storage()) seen_.emplace_back(suspect, value);  // kept: its address stays its own
  }
  void written(const at::Tensor& value) {
    if (!value.defined() || !value.has_storage()) return;
    for (const auto& [suspect, tensor] : seen_) {
      if (tensor.storage().unsafeGetStorageImpl() == value.storage().unsafeGetStorageImpl()) hit_.insert(suspect);
    }
  }
  [[nodiscard]] bool hit(std::size_t suspect) const { return hit_.count(suspect) > 0; }

 private:
  std::vector<std::pair<std::size_t, at::Tensor>> seen_;
  std::set<std::size_t> hit_;
};

}  // namespace

std::unordered_set<const tj::Value*> overwritten_values(const std::shared_ptr<tj::Graph>& graph,
                                                        const std::vector<c10::IValue>& inputs) {
  const tj::AliasDb aliases(graph);
  const std::shared_ptr<tj::Graph> copy = graph->copy();
  const std::vector<tj::Node*> nodes = top_nodes(*graph), twins = top_nodes(*copy);
  std::vector<const tj::Value*> suspects;
  std::vector<tj::Value*> tapped;  // in the copy; nullptr: an input
  std::vector<c10::IValue> given;  // per suspect that is an input
  for (std::size_t i = 0; i < graph->inputs().size(); ++i) {
    if (!aliases.hasWriters(graph->inputs()[i])) continue;
    suspects.push_back(graph->inputs()[i]);
    tapped.push_back(nullptr);
    given.push_back(inputs.at(i));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t j = 0; j < nodes[i]->outputs().size(); ++j) {
      const tj::Value* value = nodes[i]->output(j);
      if (!value->type()->isSubtypeOf(*c10::TensorType::get()) || !aliases.hasWriters(value)) continue;
      suspects.push_back(value);
      tapped.push_back(twins[i]->output(j));
    }
  }
  if (suspects.empty()) return {};

  std::vector<tj::Node*> writers;
  find_writers(copy->block(), writers);
  for (std::size_t i = 0; i < tapped.size(); ++i) {
    if (tapped[i]) insert_tap(*copy, tapped[i], static_cast<int>(i));
  }
  int next = static_cast<int>(suspects.size());
  for (tj::Node* writer : writers) {
    for (tj::Value* value : written_inputs(*writer)) insert_tap_before(*copy, writer, value, next++);
  }

  Watch watch;
  for (std::size_t i = 0; i < given.size(); ++i) {
    for (const at::Tensor& tensor : model::tensors_of(given[i])) watch.saw(i, tensor);
  }
  const Runner runner(*copy, {}, {}, /*keep_output=*/true);
  (void)runner.run(inputs, [&](int tap, const at::Tensor& value) {
    const auto index = static_cast<std::size_t>(tap);
    if (index < suspects.size()) {
      watch.saw(index, value);
    } else {
      watch.written(value);
    }
  });
  std::unordered_set<const tj::Value*> overwritten;
  for (std::size_t i = 0; i < suspects.size(); ++i) {
    if (watch.hit(i)) overwritten.insert(suspects[i]);
  }
  return overwritten;
}

}  // namespace repsim::graph
