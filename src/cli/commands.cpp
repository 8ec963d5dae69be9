#include "commands.hpp"

#include <cstdio>

#include "repsim/base/error.hpp"

namespace repsim::cli {

void print_result(const std::string& text) {
  bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!text.empty() && text.back() != '\n') written = std::fputc('\n', stdout) != EOF && written;
  if (!written || std::fflush(stdout) != 0) {
    throw input_error("the result cannot be written", "standard output", "look at where it is redirected to");
  }
}

}  // namespace repsim::cli
