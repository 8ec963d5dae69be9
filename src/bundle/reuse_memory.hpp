#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace repsim::bundle {

/// Lets activations write into the memory of the value that they read, where this value is the fresh result of a
/// convolution, a normalisation or a sum, and nothing else reads it. Prepared graphs write nothing in place, since
/// layers may be taken from any value; in a bundle it is known who reads what. The values stay the same, bit by bit.
/// @return how many activations now do so
int reuse_memory(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace repsim::bundle
