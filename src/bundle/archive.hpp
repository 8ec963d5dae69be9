#pragma once

#include <string>

namespace repsim::bundle {

/// A TorchScript archive without the records that map code to the source files of whoever exported the models (paths of
/// their machine, and more bytes than the code itself).
std::string without_debug_records(const std::string& archive);

}  // namespace repsim::bundle
