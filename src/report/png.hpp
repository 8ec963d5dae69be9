#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace repsim::report {

/// A colour, 8 bits per channel.
using Rgb = std::array<std::uint8_t, 3>;

/// A PNG with a palette of at most 256 colours, colour 0 rewritable. Stored, not compressed: small pictures only.
/// @param pixels  width * height indices into `palette`, row by row; both sides at least 1
/// @return "data:image/png;base64,..."
[[nodiscard]] std::string png_data_uri(std::int64_t width, std::int64_t height, std::span<const std::uint8_t> pixels,
                                       std::span<const Rgb> palette);

}  // namespace repsim::report
