#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <string>

namespace repsim::graph {

/// Why code cannot be taken apart into operations that each depend on their inputs alone: it changes how later ones
/// compute (autocast), or what random numbers they get, or it keeps values in a list or a dictionary of the model.
/// @param graph  with all calls inlined
/// @return ends the sentence "the model ..."; empty: there is no such thing
std::string side_effect_of(const std::shared_ptr<torch::jit::Graph>& graph);

/// Whether code may write into tensors of the model, its weights among them, as far as Torch's alias analysis tells.
/// @param graph  with all calls inlined
bool may_write_own_tensors(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace repsim::graph
