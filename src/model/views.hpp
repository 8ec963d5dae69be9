#pragma once

#include <torch/script.h>

#include <cstdint>
#include <vector>

/// Tensors that are views of larger memory, or of memory that others look at, too. An archive stores the whole memory
/// of each tensor, also what no tensor shows.
namespace repsim::model {

/// What becomes of the steps that a view makes in its memory.
enum class Steps {
  kKept,   ///< the memory keeps the elements between two steps
  kDense,  ///< elements that no view shows are left out. Another stride can make a matrix library round otherwise
};

/// All tensors of a module: its attributes, those in lists, dicts, tuples and objects, and constants of its code. Each
/// once, in an order that is the same for a copy.
[[nodiscard]] std::vector<at::Tensor> tensors_of_module(const torch::jit::Module& module);

/// Whether a tensor does not show its memory as a whole, from begin to end.
[[nodiscard]] bool is_part(const at::Tensor& tensor);

/// Whether all elements of a tensor lie in its memory. Torch itself makes no other tensors; a file may state some.
[[nodiscard]] bool lies_in_its_memory(const at::Tensor& tensor);

/// Moves tensors to memory that holds no more than they show: tensors with elements in common share it as before, all
/// others get memory of their own. The tensors stay the same objects.
/// @return by how many bytes all memory together became smaller
std::int64_t separate(const std::vector<at::Tensor>& tensors, Steps steps);

}  // namespace repsim::model
