#pragma once

#include <torch/script.h>

#include <string>

namespace repsim::model {

/// Checks the numbers by which TorchScript code names a type of elements, a layout or an order in memory. Torch takes
/// them for what they say and reads beyond its tables, or calls itself without end, where there is no such type.
/// @throws Error{kInput} where a constant of the code names none
void check_enumerations(const torch::jit::Module& module, const std::string& path);

}  // namespace repsim::model
