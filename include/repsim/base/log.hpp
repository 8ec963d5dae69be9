#pragma once

#include <string>

/// Log lines of the library. They go to spdlog's default logger, which the program sets up. This header hides spdlog:
/// LibTorch ships another fmt than the one that spdlog was built with, and one file cannot include both.
namespace repsim::log {

void trace(const std::string& text);
void debug(const std::string& text);  ///< per pass and file, with numbers
void info(const std::string& text);   ///< facts that a user may act on
void warn(const std::string& text);   ///< problems, with what repsim did instead

}  // namespace repsim::log
