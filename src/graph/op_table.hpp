#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace repsim::graph {

/// What an operation means for fused blocks. The set of operations is open: unknown ones are kOther, which is always
/// safe.
enum class Role {
  kLinear,  ///< starts a block: convolution, linear, matrix product
  kFollow,  ///< continues its producer's block: normalisation, activation
  kJoin,    ///< starts a block when two operands depend on the image, else element-wise arithmetic
  kPool,    ///< starts a block: pooling, upsampling, padding
  kBranch,  ///< prim::If: starts a block, its inside is not looked at
  kView,    ///< no new values
  kOther,
};

struct OpInfo {
  Role role = Role::kOther;
  const char* kind = "other";  ///< name of the layer that it starts
};

OpInfo op_info(const torch::jit::Node& node);

/// The first output shares memory with an input, or may (reshape, contiguous, to).
bool is_view(const torch::jit::Node& node);

/// Reads only the shape or type of its tensor inputs.
bool reads_shape_only(const torch::jit::Node& node);

/// Floating point operations of one node, control flow not entered; a multiply-add counts as 2.
/// @param sizes  observed sizes of a value, nullptr when never seen
std::int64_t flops_of(const torch::jit::Node& node,
                      const std::function<const std::vector<std::int64_t>*(const torch::jit::Value*)>& sizes);

}  // namespace repsim::graph
