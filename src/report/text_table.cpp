#include "text_table.hpp"

#include <algorithm>

namespace repsim::report {
namespace {

constexpr int kGap = 2;
constexpr int kLeastFirst = 12;  ///< columns that the first column keeps whatever the others need

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

/// The first or last `count` characters.
std::string first_characters(const std::string& text, int count) {
  std::size_t end = 0;
  for (; end < text.size(); ++end) {
    if (starts_character(text[end]) && count-- == 0) break;
  }
  return text.substr(0, end);
}

std::string last_characters(const std::string& text, int count) {
  std::size_t begin = text.size();
  while (begin > 0 && count > 0) {
    if (starts_character(text[--begin])) --count;
  }
  return text.substr(begin);
}

std::string spaces(int count) { return std::string(static_cast<std::size_t>(std::max(count, 0)), ' '); }

}  // namespace

std::string shortened(const std::string& text, int width) {
  if (display_width(text) <= width) return text;
  const int kept = std::max(width - 2, 0), front = kept / 2;
  return first_characters(text, front) + ".." + last_characters(text, kept - front);
}

std::string wrapped(const std::string& text, const std::string& indent) {
  std::string lines;
  for (const std::string& line : wrap(text, kTextWidth - display_width(indent))) lines += indent + line + "\n";
  return lines;
}

std::string TextTable::text() const {
  std::vector<int> widths;
  widths.reserve(titles_.size());
  for (const std::string& title : titles_) widths.push_back(display_width(title));
  int others = 0;
  for (std::size_t column = 0; column < titles_.size(); ++column) {
    for (const Row& row : rows_) widths[column] = std::max(widths[column], display_width(row.cells[column]));
    if (column > 0) others += kGap + widths[column];
  }
  widths[0] = std::min(widths[0], std::max(kTextWidth - others, kLeastFirst));
  const auto line = [&](const std::vector<std::string>& cells) {
    const std::string first = shortened(cells[0], widths[0]);
    std::string made = first + spaces(widths[0] - display_width(first));
    for (std::size_t column = 1; column < cells.size(); ++column) {
      made += spaces(kGap + widths[column] - display_width(cells[column])) + cells[column];
    }
    return made.substr(0, made.find_last_not_of(' ') + 1) + "\n";
  };
  std::string table = line(titles_);
  for (const Row& row : rows_) {
    table += line(row.cells);
    for (const std::string& note : row.notes) table += wrapped(note, "    ");
  }
  return table;
}

}  // namespace repsim::report
