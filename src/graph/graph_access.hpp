#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "repsim/graph.hpp"

/// Nodes and values by position, and facts of graphs that several files of this stage need.
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

/// Inserts repsim::probe of `value` in front of a node.
void insert_probe_before(torch::jit::Graph& graph, torch::jit::Node* node, torch::jit::Value* value, int id);

/// Inserts a reshape to the shape of a view in front of it; the view stays. A view fails on maps with their channels
/// last where it would have to copy; a reshape copies. @return the reshape's value; null where the node is no view to a
/// shape
torch::jit::Value* reshape_for_view(torch::jit::Node* node);

/// A tensor value as one run showed it.
struct Observation {
  std::vector<std::int64_t> sizes;
  at::ScalarType dtype = at::kFloat;
  std::int64_t runs = 0;  ///< how often the run computed the value
};
/// By value, those inside branches and loops included.
using Observations = std::unordered_map<const torch::jit::Value*, Observation>;

/// The reason in the message of an exception of torch's interpreter, without the backtrace.
std::string reason_of(const std::exception& error);

/// Runs a graph once with a probe on every tensor value, in branches and loops, too.
/// @param inputs  of the whole graph, parameters included
Observations observe(const std::shared_ptr<torch::jit::Graph>& graph, const std::vector<c10::IValue>& inputs);

/// Values whose memory something writes to after they are computed. Alias analysis knows little of values that were in
/// a list and suspects every write of hitting them; one run then shows, by address, which suspects are hit. If a branch
/// or a loop decides which value a write hits, all candidates count.
/// @param inputs  of the whole graph, parameters included
/// @return inputs and values of the top block
std::unordered_set<const torch::jit::Value*> overwritten_values(const std::shared_ptr<torch::jit::Graph>& graph,
                                                                const std::vector<c10::IValue>& inputs);

/// The values whose memory a value may be, found through views, in-place operations, branches and loops: results of
/// operations that make new memory, attributes, inputs, and what comes out of lists and the like.
std::unordered_set<const torch::jit::Value*> memory_origins(const torch::jit::Value& value);

/// The inputs that a node writes into: tensors, lists, dicts. Nodes inside its blocks do not count.
std::vector<torch::jit::Value*> written_inputs(const torch::jit::Node& node);

/// Whether the graph writes to a value that is another value's memory if a loop runs no round. Torch's alias analysis,
/// and so its elimination of dead code, does not take such loops into account.
bool writes_behind_loops_of_no_round(torch::jit::Graph& graph);

/// Whether numbers that the program reads from the image, or from values computed of it, steer it (branches, lengths of
/// loops, indices). In such a model one frame of a batch may decide for all.
bool is_steered_by_values(const torch::jit::Graph& graph);

/// Describes a parameter, without its content hash, which is needed only to compare parameters between models. A value
/// that is no tensor has the elements and bytes of the tensors in it, and no shape.
Parameter describe_parameter(const std::string& path, const c10::IValue& value);

/// Fills ops, results, layers and rejected layers of a program from the prepared graph.
/// @param one,two  observations at batch 1, and at batch 2 (empty when the model is not batchable)
/// @param overwritten  as overwritten_values() returned them
void describe(const std::shared_ptr<torch::jit::Graph>& graph, const Observations& one, const Observations& two,
              const std::unordered_set<const torch::jit::Value*>& overwritten, const torch::jit::Module& module,
              Program& program);

}  // namespace repsim::graph
