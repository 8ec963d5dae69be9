#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "repsim/base/error.hpp"
#include "truth_formats.hpp"

namespace repsim::verify {
namespace {

constexpr std::size_t kFields = 7;  ///< frame, id, left, top, width, height, active; what follows is not read
constexpr double kMaxFrame = 1e9;
constexpr const char* kRemedy =
    "give MOTChallenge text: frame,id,left,top,width,height,active,... with frames from 1, in pixels; or COCO JSON";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t comma = line.find(',');
    fields.push_back(trimmed(line.substr(0, comma)));
    if (comma == std::string_view::npos) return fields;
    line.remove_prefix(comma + 1);
  }
}

/// A finite number that fills the field.
bool read_number(std::string_view field, double& number) {
  const auto [end, problem] = std::from_chars(field.data(), field.data() + field.size(), number);
  return problem == std::errc() && end == field.data() + field.size() && std::isfinite(number);
}

/// The first kFields fields of one line; throws at the line.
std::array<double, kFields> parse_row(const std::vector<std::string_view>& fields, const std::string& where) {
  std::array<double, kFields> row{};
  for (std::size_t i = 0; i < std::min(fields.size(), kFields); ++i) {
    // Where a row breaks off, half a field may be left; that fields are missing says more.
    if (fields.size() < kFields && i + 1 == fields.size()) break;
    if (read_number(fields[i], row[i])) continue;
    throw input_error(
        "field " + std::to_string(i + 1) + " is no number: '" + std::string(fields[i].substr(0, 40)) + "'", where,
        kRemedy);
  }
  if (fields.size() >= kFields) return row;
  throw input_error("only " + std::to_string(fields.size()) + " of " + std::to_string(kFields) + " fields", where,
                    kRemedy);
}

/// Whether a row names columns: words alone, at least two.
bool is_header(const std::vector<std::string_view>& fields) {
  double ignored = 0;
  const auto is_word = [&](std::string_view field) {
    return !field.empty() && !read_number(field, ignored) && std::isalpha(static_cast<unsigned char>(field.front()));
  };
  return fields.size() > 1 && std::all_of(fields.begin(), fields.end(), is_word);
}

/// What a column may be called: a part of its name that has to be there, and parts that say that it is another one.
struct Column {
  const char* name;
  std::vector<std::string_view> any_of, none_of;
};

const std::vector<Column>& columns() {
  static const std::vector<std::string_view> kCentre{"cent", "cx", "cy", "xc", "yc", "x_c", "y_c", "mid"};
  static const std::vector<Column> kColumns{
      {"frame", {"fr", "f", "img", "image", "t"}, {"track", "object", "left", "top", "width", "height", "det"}},
      {"id", {""}, {"frame"}},
      {"left", {"left", "x"}, kCentre},
      {"top", {"top", "y"}, kCentre},
      {"width", {"w"}, {}},
      {"height", {"h"}, {}},
      {"active", {""}, {"class", "cls", "cat", "label", "type", "vis", "ignore", "trunc", "occl"}}};
  return kColumns;
}

/// Throws when the columns are named, and are others than those of MOTChallenge: corners in the place of sizes would
/// give boxes that nobody drew.
void check_header(const std::vector<std::string_view>& fields, const std::string& where) {
  for (std::size_t i = 0; i < columns().size() && i < fields.size(); ++i) {
    const Column& column = columns()[i];
    std::string name(fields[i]);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    const auto has = [&name](std::string_view part) { return name.find(part) != std::string::npos; };
    if (std::any_of(column.any_of.begin(), column.any_of.end(), has) &&
        std::none_of(column.none_of.begin(), column.none_of.end(), has))
      continue;
    throw input_error("column " + std::to_string(i + 1) + " is called '" + std::string(fields[i].substr(0, 40)) +
                          "', not " + column.name,
                      where, kRemedy);
  }
}

/// Takes the next line off the text. Lines end with LF, CR LF or CR.
std::string_view next_line(std::string_view& rest) {
  const std::size_t end = rest.find_first_of("\r\n");
  const std::string_view line = rest.substr(0, end);
  if (end == std::string_view::npos) {
    rest = {};
  } else {
    rest.remove_prefix(end + (rest.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  return trimmed(line);
}

}  // namespace

Truth parse_motchallenge(std::string_view text, const std::string& file, const video::VideoInfo& video,
                         BeyondTheEnd& beyond) {
  const auto width = static_cast<double>(video.width), height = static_cast<double>(video.height);
  Truth truth{{}, {"person"}, "motchallenge"};
  bool any_row = false, any_line = false;
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const std::string_view line = next_line(text);
    if (line.empty() || line.front() == '#') continue;
    const std::string line_name = "line " + std::to_string(number), where = file + ": " + line_name;
    const std::vector<std::string_view> fields = fields_of(line);
    if (!std::exchange(any_line, true) && is_header(fields)) {
      check_header(fields, where);
      continue;
    }
    any_row = true;
    const auto [frame, id, left, top, box_width, box_height, active] = parse_row(fields, where);
    if (frame < 1 || frame > kMaxFrame || frame != std::floor(frame)) {
      throw input_error("the frame is no whole number from 1", where, kRemedy);
    }
    if (active == 0) continue;
    if (box_width <= 0 || box_height <= 0) throw input_error("the box has no area", where, kRemedy);
    if (video.frame_count > 0 && frame > static_cast<double>(video.frame_count)) {
      if (beyond.boxes++ == 0) beyond.first = line_name;
      continue;
    }
    truth.frames[static_cast<std::int64_t>(frame) - 1].sure.push_back(
        {left / width, top / height, (left + box_width) / width, (top + box_height) / height, 1.0, 0});
  }
  if (!any_row) throw input_error("the ground truth has no row", file, kRemedy);
  return truth;
}

}  // namespace repsim::verify
