#include <torch/version.h>

#include "repsim/pipeline.hpp"

namespace repsim::pipeline {

std::string torch_version() { return TORCH_VERSION; }

}  // namespace repsim::pipeline
