#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "repsim/base/progress.hpp"

namespace repsim {

/// SHA-256 as 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256(std::string_view bytes);
[[nodiscard]] std::string sha256(std::span<const std::byte> bytes);

/// CRC-32 of ISO 3309, as zip archives and PNG images carry it.
[[nodiscard]] std::uint32_t crc32(std::string_view bytes);

/// SHA-256 of a file's content, read in pieces. @throws Error{kInput} naming the path when it cannot be read.
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& path);
/// SHA-256 of a large file: asks `progress` after each piece whether to stop.
/// @throws Error{kInput} naming the path when it cannot be read; Error{kInterrupted}
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& path, Progress& progress);

}  // namespace repsim
