#pragma once

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstdint>
#include <vector>

/// What the nodes of 2-d convolutions say of their geometry.
namespace repsim::graph {

inline bool is_convolution(const torch::jit::Node& node) {
  return node.kind() == c10::aten::conv2d || node.kind() == c10::aten::_convolution;
}

/// An input that is a constant list of integers; one number stands for both dimensions. Empty: it is no such list.
inline std::vector<std::int64_t> pair_of(const torch::jit::Node& node, std::size_t input) {
  const auto constant = torch::jit::toIValue(node.input(input));
  if (!constant || !constant->isIntList()) return {};
  std::vector<std::int64_t> values = constant->toIntVector();
  if (values.size() == 1) values.push_back(values[0]);
  return values;
}

/// The groups of a convolution with constant stride, padding and dilation that is not transposed; 0 of any other.
inline std::int64_t groups_of(const torch::jit::Node& node) {
  for (const std::size_t input : {3, 4, 5}) {
    if (pair_of(node, input).size() != 2) return 0;
  }
  const bool general =
      node.kind() == c10::aten::_convolution;  // (..., dilation, transposed, output_padding, groups, ...)
  const auto groups = torch::jit::toIValue(node.input(general ? 8 : 6));
  if (!groups || !groups->isInt()) return 0;
  if (general) {
    const auto transposed = torch::jit::toIValue(node.input(6));
    if (!transposed || transposed->toBool()) return 0;
  }
  return groups->toInt();
}

}  // namespace repsim::graph
