#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

/// Small rewrites of one graph. Each returns what it changed; prepare.cpp lists them in order.
namespace repsim::graph {

/// Replaces every call by its body and writes the module path of the call into the scope of the inlined nodes ("" for
/// the root's own code): after loading, scopes are free, and they survive later rewrites and copies.
/// @return how many calls were inlined; calls that cannot be (interfaces, foreign functions) stay
int inline_modules(const std::shared_ptr<torch::jit::Graph>& graph);

/// The module path that inline_modules left on a node.
std::string module_path(torch::jit::Node& node);

/// Replaces reads of the attribute `training` by false: the graph is only ever run in evaluation mode.
int fold_training(const std::shared_ptr<torch::jit::Graph>& graph);

/// A tensor attribute that became a graph input.
struct Lifted {
  std::string path;
  c10::IValue value;
};

/// Turns reads of tensor attributes into graph inputs (appended in order of first use) and of other plain attributes
/// into constants; afterwards the graph knows no module and its first input is the image.
/// @param reason  set when the graph uses its module in another way (writes an attribute, calls an interface, reads an
///                object): the graph is then unusable
std::vector<Lifted> lift_attributes(const std::shared_ptr<torch::jit::Graph>& graph, const torch::jit::Module& module,
                                    std::string& reason);

/// Replaces aten::dim of values whose rank was observed by that rank, which resolves the branches that F.interpolate
/// and friends take by rank. Values never seen are left alone.
int fold_ranks(const std::shared_ptr<torch::jit::Graph>& graph,
               const std::unordered_map<const torch::jit::Value*, std::int64_t>& ranks);

/// Constant propagation, peepholes, simple tuples, dead code: run between the passes above.
void simplify(std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace repsim::graph
