#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <vector>

#include "repsim/graph.hpp"

/// Finding values by position, shared by the files of this stage.
namespace repsim::graph {

/// Nodes of the top block in execution order: Place::node counts these.
inline std::vector<torch::jit::Node*> top_nodes(torch::jit::Graph& graph) {
  std::vector<torch::jit::Node*> nodes;
  for (torch::jit::Node* node : graph.nodes()) nodes.push_back(node);
  return nodes;
}

inline torch::jit::Value* value_at(const std::vector<torch::jit::Node*>& nodes, Place place) {
  return nodes.at(static_cast<std::size_t>(place.node))->output(static_cast<std::size_t>(place.output));
}

/// Inserts repsim::tap right behind the producer of `value` (at the start of its block for a block's own inputs).
void insert_tap(torch::jit::Graph& graph, torch::jit::Value* value, int id);

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

/// A parameter without its content hash, which only what is compared between models needs.
Parameter describe_tensor(const std::string& path, const at::Tensor& tensor);

/// Fills graph-derived facts of `program` (ops, layers, others, results) from a prepared graph.
/// @param one,two  observations at batch 1, and at batch 2 (empty when the model is not batchable)
void describe(const std::shared_ptr<torch::jit::Graph>& graph, const Observations& one, const Observations& two,
              const torch::jit::Module& module, Program& program);

}  // namespace repsim::graph
