#include "terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

namespace repsim::cli {
namespace {

constexpr int kUsualColumns = 80;

void put(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

void Terminal::erase_bar() {
  if (bar_shown_) put("\r\x1b[K");
  bar_shown_ = false;
}

void Terminal::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  erase_bar();
  put(text);
  put("\n");
  std::fflush(stderr);
}

void Terminal::bar(std::string_view text) {
  const std::lock_guard lock(mutex_);
  erase_bar();
  put(text);
  std::fflush(stderr);
  bar_shown_ = true;
}

void Terminal::clear_bar() {
  const std::lock_guard lock(mutex_);
  erase_bar();
  std::fflush(stderr);
}

bool Terminal::is_tty() { return isatty(STDERR_FILENO) == 1; }

int Terminal::columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsualColumns;
}

}  // namespace repsim::cli
