#include "terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace repsim::cli {
namespace {

constexpr int kUsualColumns = 80;

/// Whether the terminal, if there is one, can move its cursor and show colours.
bool knows_escapes() {
  const char* terminal = std::getenv("TERM");
  return terminal != nullptr && *terminal != '\0' && std::string_view(terminal) != "dumb";
}

int descriptor(Stream stream) { return stream == Stream::kOut ? STDOUT_FILENO : STDERR_FILENO; }

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

bool Terminal::can_show_bar() { return knows_escapes() && isatty(STDERR_FILENO) == 1; }

int Terminal::columns() { return columns_of(Stream::kError).value_or(kUsualColumns); }

std::optional<int> columns_of(Stream stream) {
  winsize size{};
  if (ioctl(descriptor(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return size.ws_col;
}

bool has_colours(Stream stream) {
  const char* none = std::getenv("NO_COLOR");
  const bool refused = none != nullptr && *none != '\0';
  return !refused && knows_escapes() && isatty(descriptor(stream)) == 1;
}

std::string emphasised(const std::string& text, Emphasis emphasis, Stream stream) {
  if (!has_colours(stream)) return text;
  return (emphasis == Emphasis::kError ? "\x1b[1;31m" : "\x1b[33m") + text + "\x1b[0m";
}

}  // namespace repsim::cli
