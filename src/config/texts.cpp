#include <cctype>
#include <charconv>
#include <cmath>

#include "repsim/config.hpp"

namespace repsim::config {

std::optional<Direction> parse_direction(const std::string& text) {
  static constexpr std::string_view kArrow = "<-";
  const std::size_t arrow = text.find(kArrow);
  if (arrow == std::string::npos) return std::nullopt;
  Direction direction{text.substr(0, arrow), text.substr(arrow + kArrow.size())};
  if (direction.receiver.empty() || direction.donor.empty()) return std::nullopt;
  if (direction.donor.find(kArrow) != std::string::npos) return std::nullopt;
  return direction;
}

std::optional<std::int64_t> parse_bytes(const std::string& text) {
  double factor = 1;
  std::string number = text;
  if (!number.empty()) {
    const std::string_view suffixes = "KMG";
    const std::size_t at = suffixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(number.back()))));
    if (at != std::string_view::npos) {
      factor = at == 0 ? 1e3 : at == 1 ? 1e6 : 1e9;
      number.pop_back();
    }
  }
  double value = 0;
  const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), value);
  constexpr double kMost = 1e15;
  if (failed != std::errc() || end != number.data() + number.size() || !(value * factor >= 1) || value * factor > kMost)
    return std::nullopt;
  return std::llround(value * factor);
}

}  // namespace repsim::config
