#pragma once

#include <string_view>

namespace repsim::model {

/// The bytes of an empty shared library named libtorch_python.so. Torch's tools for extensions, and torchvision, link
/// operators against the library of that name whether they use it or not; the real one needs a Python around it.
[[nodiscard]] std::string_view no_python_library();

}  // namespace repsim::model
