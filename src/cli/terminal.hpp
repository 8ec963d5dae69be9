#pragma once

#include <mutex>
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

  [[nodiscard]] static bool is_tty();
  /// Columns of the terminal, 80 when unknown.
  [[nodiscard]] static int columns();

 private:
  void erase_bar();

  std::mutex mutex_;
  bool bar_shown_ = false;
};

}  // namespace repsim::cli
