#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>

#include <functional>

#include "graph_access.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// The tensors that a node writes to.
std::vector<tj::Value*> written_tensors(const tj::Node& node) {
  std::vector<tj::Value*> written = written_inputs(node);
  std::erase_if(written, [](const tj::Value* value) { return !is_tensor(value); });
  return written;
}

void find_writers(tj::Block* block, std::vector<tj::Node*>& writers) {
  for (tj::Node* node : block->nodes()) {
    if (!written_tensors(*node).empty()) writers.push_back(node);
    for (tj::Block* inner : node->blocks()) find_writers(inner, writers);
  }
}

/// The values whose memory another value may be, found through views, in-place operations, branches and loops.
struct Origins {
  std::unordered_set<const tj::Value*> values;
  bool steered = false;   ///< a branch or a loop decides which of these it is
  bool no_round = false;  ///< one is the result of a loop that may run no round
};

/// Whether a loop may run no round at all.
bool may_run_no_round(const tj::Node& loop) {
  const auto most = tj::toIValue(loop.input(0)), begin = tj::toIValue(loop.input(1));
  return !most || !most->isInt() || most->toInt() < 1 || !begin || !begin->isBool() || !begin->toBool();
}

void find_loops(tj::Block* block, std::vector<const tj::Node*>& loops) {
  for (tj::Node* node : block->nodes()) {
    if (node->kind() == c10::prim::Loop) loops.push_back(node);
    for (tj::Block* inner : node->blocks()) find_loops(inner, loops);
  }
}

/// The node of the graph's top block that `node` is, or that contains it.
const tj::Node* outermost(const tj::Node* node, const tj::Graph& graph) {
  while (node->owningBlock() != graph.block()) node = node->owningBlock()->owningNode();
  return node;
}

void collect(const tj::Value* value, Origins& origins, std::unordered_set<const tj::Value*>& seen) {
  if (!seen.insert(value).second) return;
  const tj::Node* node = value->node();
  const bool loop = node->kind() == c10::prim::Loop, branch = node->kind() == c10::prim::If;
  if (loop || branch) {
    origins.steered = true;
    for (const tj::Block* block : node->blocks())
      collect(block->outputs()[value->offset() + (loop ? 1 : 0)], origins, seen);
    if (loop) {
      origins.no_round = origins.no_round || may_run_no_round(*node);
      collect(node->input(value->offset() + 2), origins, seen);
    }
    return;
  }
  const tj::Node* owner = node->kind() == c10::prim::Param ? node->owningBlock()->owningNode() : nullptr;
  if (owner && owner->kind() == c10::prim::Loop && value->offset() > 0) {  // carried from round to round
    origins.steered = true;
    collect(owner->input(value->offset() + 1), origins, seen);
    collect(owner->blocks()[0]->outputs()[value->offset()], origins, seen);
    return;
  }
  const c10::FunctionSchema* schema = node->maybeSchema();
  const c10::AliasInfo* result =
      schema && value->offset() < schema->returns().size() ? schema->returns()[value->offset()].alias_info() : nullptr;
  bool alias = false;
  for (std::size_t i = 0; result && i < std::min(schema->arguments().size(), node->inputs().size()); ++i) {
    const c10::AliasInfo* argument = schema->arguments()[i].alias_info();
    if (!argument || argument->beforeSets() != result->beforeSets()) continue;
    alias = true;
    collect(node->input(i), origins, seen);
  }
  if (!alias) origins.values.insert(value);
}

Origins origins_of(const tj::Value* value) {
  Origins origins;
  std::unordered_set<const tj::Value*> seen;
  collect(value, origins, seen);
  return origins;
}

/// Values of the top block that a later write may hit on other pictures: a branch or a loop decides whether it does,
/// and the run that overwritten_values() watches takes only one way.
std::unordered_set<const tj::Value*> overwritten_on_some_way(tj::Graph& graph) {
  const NodePositions position = node_positions(top_nodes(graph));
  std::unordered_map<const tj::Value*, int> last_write;  // position of the last node that may write into it
  std::vector<tj::Node*> writers;
  find_writers(graph.block(), writers);
  for (tj::Node* writer : writers) {
    const tj::Node* top = outermost(writer, graph);
    for (const tj::Value* written : written_tensors(*writer)) {
      const Origins origins = origins_of(written);
      if (!origins.steered) continue;
      for (const tj::Value* origin : origins.values)
        last_write[origin] = std::max(last_write[origin], position.at(top));
    }
  }
  std::unordered_set<const tj::Value*> result;
  if (last_write.empty()) return result;
  const auto look_at = [&](const tj::Value* value, int made_at) {
    if (!is_tensor(value)) return;
    for (const tj::Value* origin : origins_of(value).values) {
      const auto found = last_write.find(origin);
      if (found != last_write.end() && made_at < found->second) result.insert(value);
    }
  };
  constexpr int kBeforeAllNodes = -1;
  for (const tj::Value* input : graph.inputs()) look_at(input, kBeforeAllNodes);
  for (const tj::Node* node : graph.nodes()) {
    for (const tj::Value* output : node->outputs()) look_at(output, position.at(node));
  }
  return result;
}

/// Records during a run which suspects were still in use when their memory was written.
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

std::unordered_set<const tj::Value*> memory_origins(const tj::Value& value) { return origins_of(&value).values; }

std::vector<tj::Value*> written_inputs(const tj::Node& node) {
  std::vector<tj::Value*> written;
  const c10::FunctionSchema* schema = node.maybeSchema();
  if (!schema || !schema->is_mutable()) return written;
  for (std::size_t i = 0; i < std::min(schema->arguments().size(), node.inputs().size()); ++i) {
    const c10::AliasInfo* alias = schema->arguments()[i].alias_info();
    if (alias && alias->isWrite()) written.push_back(node.input(i));
  }
  return written;
}

bool writes_behind_loops_of_no_round(tj::Graph& graph) {
  std::vector<tj::Node*> writers;
  find_writers(graph.block(), writers);
  std::vector<const tj::Node*> loops;
  find_loops(graph.block(), loops);
  std::erase_if(loops, [](const tj::Node* loop) { return !may_run_no_round(*loop); });
  // A loop that runs no round returns its inputs: a later write into its result changes these, too.
  const auto comes_out_of_one_before = [&](const tj::Node& writer, const Origins& origins) {
    return std::any_of(loops.begin(), loops.end(), [&](const tj::Node* loop) {
      if (!outermost(loop, graph)->isBefore(outermost(&writer, graph))) return false;
      return std::any_of(loop->outputs().begin(), loop->outputs().end(), [&](const tj::Value* output) {
        if (!is_tensor(output)) return false;
        const Origins of_output = origins_of(output);
        return std::any_of(of_output.values.begin(), of_output.values.end(),
                           [&](const tj::Value* one) { return origins.values.count(one) > 0; });
      });
    });
  };
  return std::any_of(writers.begin(), writers.end(), [&](tj::Node* writer) {
    const std::vector<tj::Value*> written = written_tensors(*writer);
    return std::any_of(written.begin(), written.end(), [&](const tj::Value* one) {
      const Origins origins = origins_of(one);
      return origins.no_round || comes_out_of_one_before(*writer, origins);
    });
  });
}

std::unordered_set<const tj::Value*> overwritten_values(const std::shared_ptr<tj::Graph>& graph,
                                                        const std::vector<c10::IValue>& inputs) {
  const tj::AliasDb aliases(graph);
  const std::shared_ptr<tj::Graph> copy = graph->copy();
  const std::vector<tj::Node*> nodes = top_nodes(*graph), twins = top_nodes(*copy);
  std::vector<const tj::Value*> suspects;
  std::vector<tj::Value*> probed;         // in the copy; nullptr: an input
  std::vector<c10::IValue> input_values;  // per suspect that is an input
  for (std::size_t i = 0; i < graph->inputs().size(); ++i) {
    if (!aliases.hasWriters(graph->inputs()[i])) continue;
    suspects.push_back(graph->inputs()[i]);
    probed.push_back(nullptr);
    input_values.push_back(inputs.at(i));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t j = 0; j < nodes[i]->outputs().size(); ++j) {
      const tj::Value* value = nodes[i]->output(j);
      if (!is_tensor(value) || !aliases.hasWriters(value)) continue;
      suspects.push_back(value);
      probed.push_back(twins[i]->output(j));
    }
  }
  std::unordered_set<const tj::Value*> overwritten = overwritten_on_some_way(*graph);
  if (suspects.empty()) return overwritten;

  std::vector<tj::Node*> writers;
  find_writers(copy->block(), writers);
  for (std::size_t i = 0; i < probed.size(); ++i) {
    if (probed[i]) insert_probe(*copy, probed[i], static_cast<int>(i));
  }
  int next = static_cast<int>(suspects.size());
  for (tj::Node* writer : writers) {
    for (tj::Value* value : written_tensors(*writer)) insert_probe_before(*copy, writer, value, next++);
  }

  Watch watch;
  for (std::size_t i = 0; i < input_values.size(); ++i) {
    for (const at::Tensor& tensor : model::tensors_of(input_values[i])) watch.saw(i, tensor);
  }
  const Runner runner(*copy, {}, {}, /*keep_output=*/true);
  (void)runner.run(inputs, [&](int probe, const at::Tensor& value) {
    const auto index = static_cast<std::size_t>(probe);
    if (index < suspects.size()) {
      watch.saw(index, value);
    } else {
      watch.written(value);
    }
  });
  for (std::size_t i = 0; i < suspects.size(); ++i) {
    if (watch.hit(i)) overwritten.insert(suspects[i]);
  }
  return overwritten;
}

}  // namespace repsim::graph
