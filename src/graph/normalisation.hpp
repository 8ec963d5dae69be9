#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <functional>

namespace repsim::graph {

/// Folds a batch normalisation by constants into the weight [C, ...] and bias [C] of the convolution in front of it.
/// Both are float64; an undefined bias means none.
/// @param norm  an aten::batch_norm
/// @param parameter  returns the float32 tensor that a value holds; undefined where it is anything else
/// @return false where it is no normalisation by constants; weight and bias are unchanged then
bool fold_normalisation(const torch::jit::Node& norm,
                        const std::function<at::Tensor(const torch::jit::Value*)>& parameter, at::Tensor& weight,
                        at::Tensor& bias);

}  // namespace repsim::graph
