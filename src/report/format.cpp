#include "format.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "repsim/report.hpp"

namespace repsim::report {
namespace {

/// Value and prefix so that the printed number stays below 1000: 999 950 is "1.0 M", not "1000.0 k".
std::string with_prefix(std::int64_t value, const std::string& unit) {
  static constexpr std::array<const char*, 7> kPrefixes{"", "k", "M", "G", "T", "P", "E"};
  auto scaled = static_cast<double>(value);
  std::size_t prefix = 0;
  while (std::abs(scaled) >= (prefix == 0 ? 1000.0 : 999.95) && prefix + 1 < kPrefixes.size()) {
    scaled /= 1000;
    ++prefix;
  }
  return fixed(scaled, prefix == 0 ? 0 : 1) + (unit.empty() && prefix == 0 ? "" : " ") + kPrefixes[prefix] + unit;
}

}  // namespace

double rounded(double value) { return std::round(value * 1e6) / 1e6 + 0.0; }

double rounded_significant(double value) {
  if (!std::isfinite(value)) return value;
  std::array<char, 32> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific, 5);
  double read = 0;
  std::from_chars(text.data(), written.ptr, read);
  return read + 0.0;
}

Json to_json(const std::vector<verify::DifferingFrame>& frames) {
  Json list = Json::array();
  for (const verify::DifferingFrame& one : frames) {
    list.push_back({{"frame", one.frame}, {"missed", one.missed}, {"false_alarms", one.false_alarms}});
    if (one.video.empty()) continue;
    list.back()["video"] = one.video;
    list.back()["video_frame"] = one.video_frame;
  }
  return list;
}

void add_figures(const verify::Fidelity& fidelity, Json& json) {
  json["frames"] = fidelity.frames;
  json["own_detections"] = fidelity.own_detections;
  json["kept"] = fidelity.kept ? Json(*fidelity.kept) : Json();
  json["false_alarms"] = fidelity.false_alarms;
  json["boxes_without_area"] = fidelity.boxes_without_area;
  json["worst_frames"] = to_json(fidelity.worst_frames);
  json["bit_identical"] = fidelity.bit_identical;
}

Json video_json(const verify::VideoFidelity& video, Json value, Json interval) {
  return {{"video", video.video},
          {"value", std::move(value)},
          {"interval", std::move(interval)},
          {"frames", video.frames},
          {"own_detections", video.own_detections},
          {"kept", video.kept ? Json(*video.kept) : Json()},
          {"false_alarms", video.false_alarms}};
}

Json rounded_or_null(double value) { return std::isnan(value) ? Json() : Json(rounded(value)); }

std::string fixed(double value, int decimals) {
  if (std::isnan(value)) return "-";
  std::array<char, 400> text{};  // the largest double has 309 digits
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, decimals);
  return {text.data(), written.ptr};
}

std::string fidelity_text(double value) {
  // A billionth makes up for binary fractions: 0.9 times 1000 may be slightly below 900.
  return fixed(std::floor(value * 1000 + 1e-9) / 1000, 3);
}

std::string fidelity_text(const std::optional<double>& value) { return value ? fidelity_text(*value) : "-"; }

Json rounded(const std::optional<double>& value) { return value ? Json(rounded(*value)) : Json(); }

std::string grouped(std::int64_t value) {
  const std::string digits = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  std::string text;
  for (std::size_t at = 0; at < digits.size(); ++at) {
    if (at > first && (digits.size() - at) % 3 == 0) text += ',';
    text += digits[at];
  }
  return text;
}

std::string human_bytes(std::int64_t bytes) { return with_prefix(bytes, "B"); }

std::string human_count(std::int64_t value) { return with_prefix(value, ""); }

std::string percent_change(std::int64_t before, std::int64_t after) {
  if (before == 0) return "-";
  const double percent = 100 * (static_cast<double>(after) / static_cast<double>(before) - 1);
  const std::string text = fixed(std::abs(percent), 1);
  if (text == "0.0") return "0.0 %";
  return (percent < 0 ? "-" : "+") + text + " %";
}

std::string markdown_cell(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|' || c == '\\' || c == '`' || c == '*' || c == '_' || c == '<' || c == '>' || c == '[') safe += '\\';
    safe += c == '\n' || c == '\r' ? ' ' : c;
  }
  return safe;
}

std::string counted(std::int64_t count, const std::string& singular) {
  return grouped(count) + " " + singular + (count == 1 ? "" : "s");
}

}  // namespace repsim::report
