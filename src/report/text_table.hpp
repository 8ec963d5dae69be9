#pragma once

#include <string>
#include <vector>

#include "repsim/base/text.hpp"

namespace repsim::report {

inline constexpr int kTextWidth = 100;  ///< columns of a report in a terminal

/// At most `width` columns, the middle replaced by "..": names differ at both ends.
[[nodiscard]] std::string shortened(const std::string& text, int width);
/// Lines of at most kTextWidth columns, each starting with `indent`, broken at spaces, final newline.
[[nodiscard]] std::string wrapped(const std::string& text, const std::string& indent);

/// A table in plain text. The first column is aligned to the left and shortened where the whole would be too wide, the
/// others are aligned to the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> titles) : titles_(std::move(titles)) {}
  void add_row(std::vector<std::string> cells) { rows_.push_back({std::move(cells), {}}); }
  /// A sentence below the last row, wrapped and indented.
  void add_note(const std::string& note) { rows_.back().notes.push_back(note); }
  [[nodiscard]] std::string text() const;

 private:
  struct Row {
    std::vector<std::string> cells, notes;
  };
  std::vector<std::string> titles_;
  std::vector<Row> rows_;
};

}  // namespace repsim::report
