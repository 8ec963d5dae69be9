#pragma once

#include <exception>

namespace repsim {

/// True for std::bad_alloc, and where LibTorch or OpenCV say in words that they cannot allocate memory.
[[nodiscard]] bool is_out_of_memory(const std::exception& error);

/// Throws std::bad_alloc if memory ran out. For places that go on after an exception as if the model were to blame:
/// what memory the machine has at the moment must not decide a plan.
void rethrow_out_of_memory(const std::exception& error);

}  // namespace repsim
