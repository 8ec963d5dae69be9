#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace repsim::graph {

/// How an operation relates to fused blocks. The set of operations is open: unknown ones are kOther, which is always
/// safe.
enum class Role {
  kLinear,  ///< starts a block: convolution, linear, matrix product
  kFollow,  ///< continues its producer's block: normalisation, activation
  kJoin,    ///< starts a block when two operands depend on the image, else element-wise arithmetic
  kPool,    ///< starts a block: pooling, upsampling, padding
  kBranch,  ///< prim::If: starts a block; nodes inside it start none
  kView,    ///< no new values
  kOther,
};

struct OpInfo {
  Role role = Role::kOther;
  const char* kind = "other";  ///< name of the layer that it starts
};

OpInfo op_info(const torch::jit::Node& node);

/// Whether the first output shares memory with an input, or may do so (reshape, contiguous, to).
bool is_view(const torch::jit::Node& node);

/// Whether a node reads only the shape or type of its tensor inputs.
bool reads_shape_only(const torch::jit::Node& node);

/// Floating point operations of one node; a multiply-add counts as 2. Nodes inside its blocks do not count.
/// @param sizes  returns the observed sizes of a value, nullptr when there are none
std::int64_t flops_of(const torch::jit::Node& node,
                      const std::function<const std::vector<std::int64_t>*(const torch::jit::Value*)>& sizes);

}  // namespace repsim::graph
