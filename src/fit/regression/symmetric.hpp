#pragma once

#include <ATen/core/Tensor.h>

namespace repsim::fit {

/// Adds the symmetric product samples^T samples to `sum` [p, p]. Computes the blocks on and above the diagonal and
/// copies the others.
/// @param samples  [n, p]
void add_symmetric(at::Tensor& sum, const at::Tensor& samples);

}  // namespace repsim::fit
