#pragma once

#include <string>

/// Log lines of the library: they go to spdlog's default logger, which the program that uses the library sets up. A
/// header of our own, since LibTorch ships another fmt than the one that spdlog was built with: both cannot be in one
/// file.
namespace repsim::log {

void trace(const std::string& text);
void debug(const std::string& text);  ///< per pass and file, with numbers
void info(const std::string& text);   ///< what a user may act on
void warn(const std::string& text);   ///< says what was done instead

}  // namespace repsim::log
