#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Text that people read: lists, numbers, lines of a terminal. Independent of the process's locale.
namespace repsim {

/// "a, b, c" for separator ", ". Empty for an empty list.
[[nodiscard]] std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// "0.912": three decimals. "nan", "-nan" and "inf" for what is not finite.
[[nodiscard]] std::string fixed3(double value);

/// The shortest text that reads back as `value`: "0.9", "1e+30", for numbers that the user gave.
[[nodiscard]] std::string shortest(double value);

/// Columns that text fills in a terminal: code points of UTF-8, which is right for all but wide and combining
/// characters.
[[nodiscard]] int display_width(std::string_view text);

/// True for valid UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text);

/// The text with each byte that is not UTF-8 written as \xNN, for what has to be UTF-8 (JSON).
[[nodiscard]] std::string escape_bytes(std::string_view text);

/// The text for one line of a terminal: as escape_bytes(), control characters too (\n, \t, \x1b).
[[nodiscard]] std::string printable(std::string_view text);

/// Lines of at most `columns` columns (1 or more), broken at spaces; a longer word is cut. No line breaks at their
/// ends. No lines for an empty text.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, int columns);

}  // namespace repsim
