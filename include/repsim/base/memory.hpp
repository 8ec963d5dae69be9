#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace repsim {

/// A limit of bytes that nothing reaches.
inline constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

/// Bytes of memory that the process uses now, libraries and mapped files included. 0 where the system does not say.
[[nodiscard]] std::int64_t resident_bytes();

/// The largest number of bytes of memory that the process ever used. 0 where the system does not say.
[[nodiscard]] std::int64_t peak_resident_bytes();
/// Makes peak_resident_bytes() count from now on. @return false where the system does not allow it
bool reset_peak_resident_bytes();

/// How the process's memory is shared with others.
struct MemoryUse {
  std::int64_t resident = 0;      ///< bytes in memory, libraries and mapped files included
  std::int64_t proportional = 0;  ///< proportional set size: a page of n processes counts a n-th
  std::int64_t anonymous = 0;     ///< the process's own: no page of a file
};
/// Reads the text of /proc/PID/smaps_rollup. Nothing where a field is missing.
[[nodiscard]] std::optional<MemoryUse> memory_use_from(std::string_view smaps_rollup);
/// @throws Error{kInput} where the system does not say
[[nodiscard]] MemoryUse memory_use();

}  // namespace repsim
