#pragma once

#include <cstdint>
#include <limits>

namespace repsim {

/// A number of bytes that nothing reaches: no limit.
inline constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

/// Bytes of memory that the process has in use now, libraries and mapped files included. 0 where the system does not
/// say.
[[nodiscard]] std::int64_t resident_bytes();

/// The most that it ever had.
[[nodiscard]] std::int64_t peak_resident_bytes();

}  // namespace repsim
