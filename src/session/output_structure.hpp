#pragma once

#include <torch/script.h>

#include <string>

namespace repsim::session {

/// The nesting of an output with the types and shapes of its tensors: "tuple(Float[1,484,4], Long[1,484])".
[[nodiscard]] std::string output_structure(const c10::IValue& value);

}  // namespace repsim::session
