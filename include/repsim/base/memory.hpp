#pragma once

#include <cstdint>
#include <limits>

namespace repsim {

/// A limit of bytes that nothing reaches.
inline constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

/// Bytes of memory that the process uses now, libraries and mapped files included. 0 where the system does not say.
[[nodiscard]] std::int64_t resident_bytes();

/// The largest number of bytes of memory that the process ever used. 0 where the system does not say.
[[nodiscard]] std::int64_t peak_resident_bytes();

}  // namespace repsim
