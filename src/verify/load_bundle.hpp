#pragma once

#include <torch/script.h>

#include <string>

namespace repsim::verify {

/// A bundle as plain torch::jit loads it. @throws Error{kInput}
torch::jit::Module load_bundle(const std::string& path);

}  // namespace repsim::verify
