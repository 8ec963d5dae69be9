#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace repsim::cli {

/// The one writer of stderr: keeps log lines and the progress bar from overwriting each other. Thread safe.
class Terminal {
 public:
  /// Prints a whole line; a bar that is shown goes first.
  void line(std::string_view text);
  /// Shows `text` as the bar, in place of the one before. No line break in it.
  void bar(std::string_view text);
  void clear_bar();

  /// Whether stderr is a terminal on which a line can be written again.
  [[nodiscard]] static bool can_show_bar();
  /// Columns of the terminal, 80 when unknown.
  [[nodiscard]] static int columns();

 private:
  void erase_bar();

  std::mutex mutex_;
  bool bar_shown_ = false;
};

/// A stream of the process.
enum class Stream { kOut, kError };

/// Columns of the terminal that the stream is; nothing where it is none, or does not say.
[[nodiscard]] std::optional<int> columns_of(Stream stream);

/// Whether text on this stream may have colours: it is a terminal that knows them, and the user did not say NO_COLOR
/// (https://no-color.org).
[[nodiscard]] bool has_colours(Stream stream);

/// What is wrong, or may be, in the colour of its kind.
enum class Emphasis { kWarning, kError };
[[nodiscard]] std::string emphasised(const std::string& text, Emphasis emphasis, Stream stream);

}  // namespace repsim::cli
