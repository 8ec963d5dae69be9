#include "repsim/base/log.hpp"

#include <spdlog/spdlog.h>

namespace repsim::log {

void trace(const std::string& text) { spdlog::trace("{}", text); }
void debug(const std::string& text) { spdlog::debug("{}", text); }
void info(const std::string& text) { spdlog::info("{}", text); }
void warn(const std::string& text) { spdlog::warn("{}", text); }

}  // namespace repsim::log
