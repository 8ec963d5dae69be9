#pragma once

#include <string>

namespace repsim::model {

/// The name of a model that has none of its own: its file's name without the extension.
[[nodiscard]] std::string name_of(const std::string& path);

}  // namespace repsim::model
