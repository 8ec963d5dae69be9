#pragma once

#include <ATen/core/Tensor.h>

namespace repsim::fit {

/// Adds rows^T rows, which is symmetric, to `sum` [p, p]: what lies below the diagonal blocks is copied, not computed.
void add_symmetric(at::Tensor& sum, const at::Tensor& rows);

}  // namespace repsim::fit
