#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <memory>
#include <string>

namespace repsim::graph {

/// Why code cannot be taken apart into operations that each depend on their inputs alone: it changes how later ones
/// compute (autocast), or what random numbers they get, or it keeps values in a list or a dictionary of the model.
/// @param graph  with all calls inlined
/// @return ends the sentence "the model ..."; empty: there is no such thing
std::string side_effect_of(const std::shared_ptr<torch::jit::Graph>& graph);

/// Whether code may write into a parameter of the model, as far as the graph and Torch's alias analysis tell. Buffers
/// are there to be written.
/// @param graph  of the module's forward, with all calls inlined
bool may_write_own_weights(const std::shared_ptr<torch::jit::Graph>& graph, const torch::jit::Module& module);

}  // namespace repsim::graph
