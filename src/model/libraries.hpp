#pragma once

#include <torch/script.h>

#include <optional>
#include <string>
#include <vector>

#include "repsim/model.hpp"

namespace repsim::model {

/// Where torchvision's library of operators lies when it is installed beside a LibTorch: of
/// site-packages/torch/lib that is site-packages/torchvision/_C*.so, of several the first by name.
std::optional<std::string> find_torchvision(const std::string& torch_folder);

/// The folder of the LibTorch that this process runs with; empty when it cannot be told.
std::string torch_folder();

/// What the module's forward uses of the libraries that were loaded.
std::vector<OperatorLibrary> libraries_of(const torch::jit::Module& module);

}  // namespace repsim::model
