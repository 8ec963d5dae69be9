#pragma once

#include <memory>
#include <string>

#include "common_flags.hpp"
#include "terminal.hpp"

namespace repsim::cli {

/// Sends spdlog's default logger to stderr through `terminal`: info and above; -q warnings and errors only, -v debug,
/// -vv trace. With --log-json each line is one JSON object: time, level, message.
void set_up_logging(const CommonFlags& flags, std::shared_ptr<Terminal> terminal);

/// Seconds since 1970 with milliseconds as "2024-05-01T12:00:00.123Z".
[[nodiscard]] std::string utc_text(std::int64_t milliseconds_since_1970);
[[nodiscard]] std::string utc_now();

}  // namespace repsim::cli
