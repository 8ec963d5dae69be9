#pragma once

#include <cstddef>
#include <string>

#include "png.hpp"

/// Colours and names for heatmaps, on the page and in pictures.
namespace repsim::report {

/// Viridis at `part` of its way, 0 (and below) to 1 (and above).
[[nodiscard]] Rgb colour_of(double part);

/// A layer's name in at most 32 characters: its end says more than its beginning; cut between modules where possible.
[[nodiscard]] std::string short_name(const std::string& name);

/// At most the last `bytes` bytes of a text, without a part of a UTF-8 character at their beginning.
[[nodiscard]] std::string end_of(const std::string& text, std::size_t bytes);

}  // namespace repsim::report
