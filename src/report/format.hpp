#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/base/text.hpp"
#include "repsim/verify_metrics.hpp"

/// How numbers are written in all reports. Independent of the process's locale.
namespace repsim::report {

/// The nearest number with 6 decimals; the one rounding of plan.json and similarity.json. Rounding twice changes
/// nothing.
[[nodiscard]] double rounded(double value);
/// The nearest number with 6 significant digits, for values whose size is the message.
[[nodiscard]] double rounded_significant(double value);
inline constexpr double kNanosecondsPerMillisecond = 1e6;

/// Null where nothing was compared.
[[nodiscard]] Json rounded(const std::optional<double>& value);
/// A list of objects: frame, missed, false_alarms; of several videos also video and video_frame.
[[nodiscard]] Json to_json(const std::vector<verify::DifferingFrame>& frames);
/// Adds what all documents say of a fidelity in the same way: frames, counts of boxes, worst frames, bit identity.
void add_figures(const verify::Fidelity& fidelity, Json& json);
/// What a model keeps on one of several videos; `value` and `interval` are written as the document writes them.
[[nodiscard]] Json video_json(const verify::VideoFidelity& video, Json value, Json interval);
/// rounded(value), null for NaN.
[[nodiscard]] Json rounded_or_null(double value);

/// "0.921" for decimals = 3; "-" for NaN.
[[nodiscard]] std::string fixed(double value, int decimals);
/// A fidelity with 3 decimals, rounded down, so that a value below a target never looks equal to it.
[[nodiscard]] std::string fidelity_text(double value);
/// "-" where nothing was compared.
[[nodiscard]] std::string fidelity_text(const std::optional<double>& value);
/// "243,980".
[[nodiscard]] std::string grouped(std::int64_t value);
/// "1.2 G", "34.5 M", "812": decimal prefixes for counts such as FLOPs.
[[nodiscard]] std::string human_count(std::int64_t value);
/// "-29.7 %", "+1.2 %", "0.0 %"; "-" when there was nothing before.
[[nodiscard]] std::string percent_change(std::int64_t before, std::int64_t after);
/// Text as a cell of a Markdown table: one line, nothing in it is markup.
[[nodiscard]] std::string markdown_cell(const std::string& text);
/// "1 layer", "3 layers".
[[nodiscard]] std::string counted(std::int64_t count, const std::string& singular);

}  // namespace repsim::report
