#pragma once

namespace repsim::cli {

/// Says, where the process crashes while a model is opened or tried, which file it was, and ends with the exit code of
/// bad input: that code is no part of repsim. Any other crash ends as it would without.
/// @param log_json  the report is one JSON object
void install_crash_report(bool log_json);

}  // namespace repsim::cli
