#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace repsim {

/// SHA-256 as 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256(std::string_view bytes);
[[nodiscard]] std::string sha256(std::span<const std::byte> bytes);

/// SHA-256 of a file's content, read in pieces. @throws Error{kInput} naming the path.
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace repsim
