#include "heatmap_parts.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace repsim::report {
namespace {

constexpr std::size_t kLabelLength = 32;

/// Viridis (S. van der Walt, N. Smith, 2015; CC0) at nine equal steps: lightness rises evenly, also for the colour
/// blind.
constexpr std::array<Rgb, 9> kRamp{{{68, 1, 84},
                                    {71, 44, 122},
                                    {59, 81, 139},
                                    {44, 113, 142},
                                    {33, 144, 141},
                                    {39, 173, 129},
                                    {92, 200, 99},
                                    {170, 220, 50},
                                    {253, 231, 37}}};

}  // namespace

Rgb colour_of(double part) {
  const double position = std::clamp(part, 0.0, 1.0) * static_cast<double>(kRamp.size() - 1);
  const std::size_t below = std::min(static_cast<std::size_t>(position), kRamp.size() - 2);
  Rgb mixed{};
  for (std::size_t channel = 0; channel < mixed.size(); ++channel) {
    mixed[channel] = static_cast<std::uint8_t>(std::lround(
        std::lerp(kRamp[below][channel], kRamp[below + 1][channel], position - static_cast<double>(below))));
  }
  return mixed;
}

std::string end_of(const std::string& text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  std::size_t begin = text.size() - bytes;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80U) ++begin;
  return text.substr(begin);
}

std::string short_name(const std::string& name) {
  if (name.size() <= kLabelLength) return name;
  const std::string end = end_of(name, kLabelLength - 2);
  const std::size_t dot = end.find('.');
  return ".." + (dot == std::string::npos || dot > end.size() / 2 ? end : end.substr(dot + 1));
}

}  // namespace repsim::report
