#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "repsim/graph.hpp"

/// Finding values by position, shared by the files of this stage.
namespace repsim::graph {

/// Nodes of the top block in execution order. Place::node is an index into this list.
inline std::vector<torch::jit::Node*> top_nodes(torch::jit::Graph& graph) {
  std::vector<torch::jit::Node*> nodes;
  for (torch::jit::Node* node : graph.nodes()) nodes.push_back(node);
  return nodes;
}

/// The position of each node of the top block.
using NodePositions = std::unordered_map<const torch::jit::Node*, int>;
inline NodePositions node_positions(const std::vector<torch::jit::Node*>& nodes) {
  NodePositions positions;
  for (const torch::jit::Node* node : nodes) positions.emplace(node, static_cast<int>(positions.size()));
  return positions;
}

/// Per node of the top block its entry of Program::ops; -1 for a constant, which is no operation. All other nodes are
/// operations, in their order.
inline std::vector<OpIndex> ops_of_nodes(const std::vector<torch::jit::Node*>& nodes) {
  std::vector<OpIndex> ops;
  OpIndex next = 0;
  for (const torch::jit::Node* node : nodes) ops.push_back(node->kind() == c10::prim::Constant ? -1 : next++);
  return ops;
}

/// The value at a place of the graph that `nodes` are the top block of.
inline torch::jit::Value* value_at(const std::vector<torch::jit::Node*>& nodes, Place place) {
  return nodes.at(place.node)->output(static_cast<std::size_t>(place.output));
}

inline bool is_tensor(const torch::jit::Value* value) { return value->type()->isSubtypeOf(*c10::TensorType::get()); }

/// Inserts repsim::probe right behind the producer of `value` (at the start of its block for a block's own inputs).
void insert_probe(torch::jit::Graph& graph, torch::jit::Value* value, int id);

/// The same in front of a node that uses the value.
void insert_probe_before(torch::jit::Graph& graph, torch::jit::Node* node, torch::jit::Value* value, int id);

/// A view of maps with their channels last may need a copy where one of plain maps did not: the same as a reshape, in
/// front of the node, which is left as it is. Null where the node is no view of a shape.
torch::jit::Value* reshape_for_view(torch::jit::Node* node);

/// What the tensor values of a graph looked like in one run, by value; control flow included.
struct Observation {
  std::vector<std::int64_t> sizes;
  at::ScalarType dtype = at::kFloat;
  std::int64_t runs = 0;  ///< how often the value was produced
};
using Observations = std::unordered_map<const torch::jit::Value*, Observation>;

/// The reason in an exception of torch's interpreter, without its backtrace.
std::string reason_of(const std::exception& error);

/// Taps every tensor value of the graph, branches and loops included, and runs it once.
/// @param inputs  of the whole graph, parameters included
Observations observe(const std::shared_ptr<torch::jit::Graph>& graph, const std::vector<c10::IValue>& inputs);

/// Values whose memory is written to after they were made, in one run. Alias analysis knows little of what was in a
/// list and then suspects every write: what it suspects is looked at here, by address. Where a branch or a loop decides
/// what is written to, all that it may be counts.
/// @param inputs  of the whole graph, parameters included
/// @return inputs and values of the top block
std::unordered_set<const torch::jit::Value*> overwritten_values(const std::shared_ptr<torch::jit::Graph>& graph,
                                                                const std::vector<c10::IValue>& inputs);

/// The inputs that a node itself writes into: tensors, lists, dicts. What is in its blocks is not looked at.
std::vector<torch::jit::Value*> written_inputs(const torch::jit::Node& node);

/// Whether something is written to what is another value's memory where a loop runs no round: torch's alias analysis,
/// and so its elimination of dead code, knows of no such loops.
bool writes_behind_loops_of_no_round(torch::jit::Graph& graph);

/// Whether numbers read from the image, or from what was made of it, steer the program (branches, lengths of loops,
/// indices). Such a model may answer for a whole batch by what one of its frames says.
bool is_steered_by_values(const torch::jit::Graph& graph);

/// A parameter without its content hash, which only what is compared between models needs. What is no tensor has the
/// elements and bytes of the tensors in it, and no shape.
Parameter describe_parameter(const std::string& path, const c10::IValue& value);

/// Fills graph-derived facts of `program` (ops, layers, others, results) from a prepared graph.
/// @param one,two  observations at batch 1, and at batch 2 (empty when the model is not batchable)
/// @param overwritten  what overwritten_values found
void describe(const std::shared_ptr<torch::jit::Graph>& graph, const Observations& one, const Observations& two,
              const std::unordered_set<const torch::jit::Value*>& overwritten, const torch::jit::Module& module,
              Program& program);

}  // namespace repsim::graph
