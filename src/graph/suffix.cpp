#include "repsim/suffix.hpp"

#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <unordered_map>

#include "graph_access.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// The numbers of the computations of a graph's invariant values. Other values are absent.
using Numbered = std::unordered_map<const tj::Value*, int>;

std::string text_of(const c10::IValue& value) {
  if (value.isTensor()) return "tensor " + content_hash(value.toTensor());
  std::ostringstream text;
  text << value.tagKind() << ' ' << value;
  return text.str();
}

/// What a node computes of its inputs, as text; empty where equal text does not mean equal results.
std::string operation_of(tj::Node* node) {
  if (node->kind() == c10::prim::Constant) {
    const auto value = tj::toIValue(node->output());
    if (!value || value->isObject()) return {};
    return "constant " + text_of(*value);
  }
  const tj::FunctionSchema* schema = node->maybeSchema();
  const bool known = schema || node->kind() == c10::prim::ListConstruct || node->kind() == c10::prim::ListUnpack ||
                     node->kind() == c10::prim::TupleConstruct || node->kind() == c10::prim::TupleUnpack;
  if (!known || !node->blocks().empty() || node->hasAttributes() || node->hasSideEffects() ||
      node->isNondeterministic() || (schema && schema->is_mutable()))
    return {};
  std::string text = node->kind().toQualString();
  if (schema) text += "." + schema->overload_name();
  for (const tj::Value* output : node->outputs()) text += " " + output->type()->str();
  return text;
}

Numbered invariant_values(const Assembly& assembly, ValueNumbering& numbers) {
  Numbered result;
  const auto inputs = assembly.graph->inputs();
  for (std::size_t i = 0; i < assembly.input_groups.size(); ++i)
    result[inputs[i]] = numbers.of("group " + std::to_string(assembly.input_groups[i]));
  for (std::size_t i = 0; i < assembly.parameters.size(); ++i) {
    const std::string& content = assembly.parameters[i].content;
    if (!content.empty()) result[inputs[assembly.input_groups.size() + i]] = numbers.of("parameter " + content);
  }
  const tj::AliasDb aliases(assembly.graph);
  for (tj::Node* node : assembly.graph->nodes()) {
    std::string computation = operation_of(node);
    if (computation.empty()) continue;
    bool invariant = true;
    for (const tj::Value* input : node->inputs()) {
      const auto found = result.find(input);
      invariant = invariant && found != result.end() && !aliases.hasWriters(input);
      if (invariant) computation += " " + std::to_string(found->second);
    }
    if (!invariant) continue;
    for (const tj::Value* output : node->outputs()) {
      // A value that something writes to later does not stay as it was computed.
      if (!aliases.hasWriters(output))
        result[output] = numbers.of(computation + " -> " + std::to_string(output->offset()));
    }
  }
  return result;
}

/// Replaces views by reshapes: a supplied value may lie with its channels last, where a view would fail.
void loosen_views(tj::Block& block) {
  for (auto node = block.nodes().begin(); node != block.nodes().end(); ++node) {
    for (tj::Block* inner : node->blocks()) loosen_views(*inner);
    if (tj::Value* reshaped = reshape_for_view(*node)) node->output()->replaceAllUsesWith(reshaped);
  }
}

}  // namespace

std::vector<InvariantValue> invariant_places(const Assembly& assembly, ValueNumbering& numbers) {
  const Numbered numbered = invariant_values(assembly, numbers);
  const std::vector<tj::Node*> nodes = top_nodes(*assembly.graph);
  std::vector<InvariantValue> result;
  for (const Place& place : assembly.places) {
    const auto found = place.node < 0 ? numbered.end() : numbered.find(value_at(nodes, place));
    result.push_back({found == numbered.end() ? -1 : found->second, place});
  }
  return result;
}

SuffixGraph suffix_of(const Assembly& assembly, ValueNumbering& numbers) {
  const Numbered numbered = invariant_values(assembly, numbers);
  const std::vector<tj::Node*> nodes = top_nodes(*assembly.graph);
  const NodePositions position = node_positions(nodes);
  // Backwards from the results: invariant tensors are supplied; everything else is computed, invariant lists and sizes
  // included.
  SuffixGraph suffix;
  std::vector<bool> needed(nodes.size(), false);
  const auto need = [&](const tj::Value* value) {
    const auto found = position.find(value->node());
    if (found == position.end()) return;  // an input
    const bool keep = numbered.count(value) > 0 && is_tensor(value) && value->node()->kind() != c10::prim::Constant;
    if (keep) {
      const Place place{found->second, static_cast<int>(value->offset())};
      const bool known = std::any_of(suffix.supplied.begin(), suffix.supplied.end(), [&](const InvariantValue& one) {
        return one.place.node == place.node && one.place.output == place.output;
      });
      if (!known) suffix.supplied.push_back({numbered.at(value), place});
    } else {
      needed[found->second] = true;
    }
  };
  for (const tj::Value* output : assembly.graph->outputs()) need(output);
  for (std::size_t i = nodes.size(); i-- > 0;) {
    if (!needed[i] && !nodes[i]->hasSideEffects()) continue;
    for (const tj::Value* input : nodes[i]->inputs()) need(input);
    for (const tj::Block* block : nodes[i]->blocks()) {
      const std::function<void(const tj::Block*)> inside = [&](const tj::Block* one) {
        for (const tj::Node* node : one->nodes()) {
          for (const tj::Value* input : node->inputs()) need(input);
          for (const tj::Block* deeper : node->blocks()) inside(deeper);
        }
        for (const tj::Value* output : one->outputs()) need(output);
      };
      inside(block);
    }
  }
  suffix.graph = assembly.graph->copy();
  const std::vector<tj::Node*> copies = top_nodes(*suffix.graph);
  for (std::size_t i = 0; i < suffix.supplied.size(); ++i) {
    tj::Value* value = value_at(copies, suffix.supplied[i].place);
    tj::Value* input = suffix.graph->insertInput(assembly.input_groups.size() + i);
    input->setType(value->type());
    value->replaceAllUsesWith(input);
  }
  loosen_views(*suffix.graph->block());
  tj::EliminateDeadCode(suffix.graph);
  for (std::size_t i = 0; i < assembly.input_groups.size(); ++i)
    suffix.reads_group.push_back(suffix.graph->inputs()[i]->hasUses());
  return suffix;
}

}  // namespace repsim::graph
