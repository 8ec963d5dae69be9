#pragma once

#include <cstdint>
#include <optional>

#include "repsim/base/progress.hpp"

namespace repsim::measure {

/// Bytes of GPU memory that NVIDIA's driver states for a process. Nothing where nvidia-smi is not there, or does not
/// know the process by this number (in a container).
[[nodiscard]] std::optional<std::int64_t> driver_memory(std::int64_t process, Progress& progress);

}  // namespace repsim::measure
