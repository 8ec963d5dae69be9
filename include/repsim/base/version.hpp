#pragma once

#include <string>

namespace repsim {

/// The version of repsim: "0.1.0". Files that it writes state it.
[[nodiscard]] std::string tool_version();

}  // namespace repsim
