#pragma once

#include <optional>

#include "repsim/model_spec.hpp"

namespace repsim::model {

/// An input that forward accepts, for a model whose input neither the spec nor the archive states: common sizes are
/// tried. It says nothing of the sizes that the model was made for.
/// @return nothing if the input is stated, or if none of the tried ones works
/// @throws Error{kInput} as load() does, but for the missing size
[[nodiscard]] std::optional<InputSpec> stand_in_input(const ModelSpec& spec);

}  // namespace repsim::model
