#pragma once

#include <torch/csrc/jit/ir/alias_analysis.h>

#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph_access.hpp"

namespace repsim::graph {

/// The nodes of a graph's top block as ops of a Program, with the facts that decide which values are layers.
struct OpTable {
  std::vector<torch::jit::Node*> nodes;                       ///< of the top block, constants included
  std::unordered_map<const torch::jit::Node*, int> position;  ///< in `nodes`
  std::unordered_map<const torch::jit::Node*, int> op_of;     ///< index in program.ops; constants are absent
  std::vector<torch::jit::Node*> node_of;                     ///< per op
  std::set<const torch::jit::Value*> image_dependent;         ///< tensors that depend on the image
  std::unordered_set<const torch::jit::Node*> sized;          ///< nodes that depend on the sizes of such tensors
  std::vector<bool> on_image_path;                            ///< per op: its result depends on the image
  std::vector<bool> linear;  ///< per op: a linear operation with weights, or control flow that may hold one
};

/// Fills ops and results of `program`, which has its parameters already.
/// @param images  how many of the graph's inputs come before the parameters
/// @param one  observations at batch 1
OpTable describe_ops(const std::shared_ptr<torch::jit::Graph>& graph, std::size_t images, const Observations& one,
                     Program& program);

/// Whether a node, or one inside its blocks, writes into memory that other nodes may read.
bool writes(torch::jit::Node* node);

}  // namespace repsim::graph
