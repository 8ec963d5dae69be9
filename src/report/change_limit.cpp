#include <charconv>
#include <cmath>

#include "repsim/base/words.hpp"
#include "repsim/config.hpp"
#include "repsim/plan_diff.hpp"

namespace repsim::report {
namespace {

using Figure = ChangeLimit::Figure;

constexpr auto kFigureWords = std::to_array<Word<Figure>>({
    {Figure::kFidelity, "fidelity"},
    {Figure::kAccuracy, "accuracy"},
    {Figure::kBytes, "bytes"},
    {Figure::kFlops, "flops"},
    {Figure::kLatency, "latency"},
    {Figure::kPeakMemory, "peak-memory"},
});

std::optional<double> parse_number(const std::string& text) {
  double value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto read = std::from_chars(begin, text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// A number, or a size with a sign: -1.5M.
std::optional<double> parse_size(const std::string& text) {
  if (const auto number = parse_number(text)) return number;
  const bool is_negative = text.starts_with('-');
  const auto bytes = config::parse_bytes(text.substr(is_negative || text.starts_with('+') ? 1 : 0));
  if (!bytes) return std::nullopt;
  return is_negative ? -static_cast<double>(*bytes) : static_cast<double>(*bytes);
}

bool is_of(Figure figure, const PlanChange& change) {
  switch (figure) {
    case Figure::kFidelity:
      return change.kind == PlanChange::Kind::kFidelity && change.what == "fidelity";
    case Figure::kAccuracy:
      return change.kind == PlanChange::Kind::kAccuracy;
    case Figure::kBytes:
      return change.kind == PlanChange::Kind::kTotal && change.subject == "bytes";
    case Figure::kFlops:
      return change.kind == PlanChange::Kind::kTotal && change.subject == "flops";
    case Figure::kLatency:
      return change.kind == PlanChange::Kind::kTotal && change.subject == "latency_estimate_ms";
    case Figure::kPeakMemory:
      return change.kind == PlanChange::Kind::kTotal && change.subject == "peak_activation_bytes";
  }
  return false;
}

bool is_broken(const ChangeLimit& limit, const PlanChange& change) {
  const std::optional<double> difference = change.difference();
  if (!difference) return change.before.is_number() && change.after.is_null();
  double value = *difference;
  if (limit.is_relative) {
    const double before = change.before.get<double>();
    if (before == 0) return limit.is_above ? value > 0 : value < 0;
    value /= before;
  }
  constexpr double kRounding = 1e-9;  // of figures with six decimals
  return limit.is_above ? value > limit.change + kRounding : value < limit.change - kRounding;
}

}  // namespace

std::optional<ChangeLimit> parse_change_limit(const std::string& text) {
  const std::size_t sign = text.find_first_of("<>");
  if (sign == std::string::npos) return std::nullopt;
  ChangeLimit limit;
  limit.text = text;
  limit.is_above = text[sign] == '>';
  const auto figure = value_of(kFigureWords, text.substr(0, sign));
  if (!figure) return std::nullopt;
  limit.figure = *figure;
  std::string change = text.substr(sign + 1);
  limit.is_relative = change.ends_with('%');
  if (limit.is_relative) change.pop_back();
  const bool is_size = *figure == Figure::kBytes || *figure == Figure::kPeakMemory || *figure == Figure::kFlops;
  const auto value = is_size && !limit.is_relative ? parse_size(change) : parse_number(change);
  if (!value) return std::nullopt;
  limit.change = limit.is_relative ? *value / 100 : *value;
  return limit;
}

std::string change_limit_figures() {
  std::string text;
  for (const auto& entry : kFigureWords) text += (text.empty() ? "" : ", ") + std::string(entry.word);
  return text;
}

std::vector<PlanChange> broken_by(const ChangeLimit& limit, const PlanDiff& diff) {
  std::vector<PlanChange> broken;
  for (const PlanChange& change : diff.changes) {
    if (is_of(limit.figure, change) && is_broken(limit, change)) broken.push_back(change);
  }
  return broken;
}

}  // namespace repsim::report
