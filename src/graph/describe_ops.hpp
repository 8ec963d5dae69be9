#pragma once

#include <torch/csrc/jit/ir/alias_analysis.h>

#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph_access.hpp"

namespace repsim::graph {

/// How the nodes of a graph's top block become the ops of a Program, and what layers are told apart by.
struct OpTable {
  std::vector<torch::jit::Node*> nodes;                       ///< of the top block, constants among them
  std::unordered_map<const torch::jit::Node*, int> position;  ///< in `nodes`
  std::unordered_map<const torch::jit::Node*, int> op_of;     ///< index in program.ops; none of a constant
  std::vector<torch::jit::Node*> node_of;                     ///< per op
  std::set<const torch::jit::Value*> image_dependent;         ///< tensors that the picture decides
  std::unordered_set<const torch::jit::Node*> sized;          ///< sizes of such tensors are behind them
  std::vector<bool> on_image_path;                            ///< per op: its result depends on the image
  std::vector<bool> linear;  ///< per op: a linear operation with weights, or control flow that may hold one
};

/// Fills ops and results of `program`, whose parameters are there already.
/// @param images  how many of the graph's inputs come before the parameters
/// @param one  observations at batch 1
OpTable describe_ops(const std::shared_ptr<torch::jit::Graph>& graph, std::size_t images, const Observations& one,
                     Program& program);

/// Whether a node, or one inside it, writes into memory that others may read.
bool writes(torch::jit::Node* node);

}  // namespace repsim::graph
