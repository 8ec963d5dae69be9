#pragma once

#include <torch/script.h>

#include <optional>
#include <string>
#include <vector>

#include "repsim/model.hpp"

namespace repsim::model {

/// The path of torchvision's library of operators where it is installed beside a LibTorch: beside
/// site-packages/torch/lib that is site-packages/torchvision/_C*.so; of several files the first by name.
std::optional<std::string> find_torchvision(const std::string& torch_folder);

/// The folder of the LibTorch that this process runs with; empty when it is unknown.
std::string torch_folder();

/// The loaded libraries that the module's forward uses, with the operators that it uses.
std::vector<OperatorLibrary> libraries_of(const torch::jit::Module& module);

}  // namespace repsim::model
