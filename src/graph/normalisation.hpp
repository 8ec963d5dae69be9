#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <functional>

namespace repsim::graph {

/// Batch normalisation by constants becomes part of the weight [C, ...] and bias [C] (undefined: none) of the
/// convolution in front of it, both float64: the factors are quotients.
/// @param norm  an aten::batch_norm
/// @param parameter  the float32 tensor that a value holds; undefined where it is anything else
/// @return false, and nothing is changed, where it is no normalisation by constants
bool fold_normalisation(const torch::jit::Node& norm,
                        const std::function<at::Tensor(const torch::jit::Value*)>& parameter, at::Tensor& weight,
                        at::Tensor& bias);

}  // namespace repsim::graph
