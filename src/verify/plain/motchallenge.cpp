#include <charconv>
#include <cmath>
#include <string_view>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::verify {
namespace {

constexpr std::size_t kFields = 7;  ///< frame, id, left, top, width, height, active; what follows is not read
constexpr double kMaxFrame = 1e9;
constexpr const char* kRemedy =
    "give MOTChallenge text: frame,id,left,top,width,height,active,... with frames from 1, in pixels";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// The first kFields fields of one line; throws at the line.
std::array<double, kFields> parse_row(std::string_view line, const std::string& where) {
  std::array<double, kFields> row{};
  std::string_view rest = line;
  for (std::size_t field = 0; field < kFields; ++field) {
    const std::size_t comma = rest.find(',');
    if (comma == std::string_view::npos && field + 1 < kFields) {
      throw input_error("only " + std::to_string(field + 1) + " of " + std::to_string(kFields) + " fields", where,
                        kRemedy);
    }
    const std::string_view text = trimmed(rest.substr(0, comma));
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), row[field]);
    if (problem != std::errc() || end != text.data() + text.size() || !std::isfinite(row[field])) {
      throw input_error(
          "field " + std::to_string(field + 1) + " is no number: '" + std::string(text.substr(0, 40)) + "'", where,
          kRemedy);
    }
    if (comma != std::string_view::npos) rest.remove_prefix(comma + 1);
  }
  return row;
}

}  // namespace

Truth read_motchallenge(const std::filesystem::path& path, std::int64_t frame_width, std::int64_t frame_height,
                        std::int64_t person_label) {
  const std::string text = read_file(path);
  const auto width = static_cast<double>(frame_width), height = static_cast<double>(frame_height);
  Truth truth{{}, "motchallenge"};
  std::int64_t number = 0;
  bool any_row = false;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++number;
    if (line.empty()) continue;
    any_row = true;
    const std::string where = path.string() + ": line " + std::to_string(number);
    const auto [frame, id, left, top, box_width, box_height, active] = parse_row(line, where);
    if (frame < 1 || frame > kMaxFrame || frame != std::floor(frame)) {
      throw input_error("the frame is no whole number from 1", where, kRemedy);
    }
    if (active == 0) continue;
    if (box_width <= 0 || box_height <= 0) throw input_error("the box has no area", where, kRemedy);
    truth.frames[static_cast<std::int64_t>(frame) - 1].push_back(
        {left / width, top / height, (left + box_width) / width, (top + box_height) / height, 1.0, person_label});
  }
  if (!any_row) throw input_error("the ground truth has no row", path.string(), kRemedy);
  return truth;
}

}  // namespace repsim::verify
