#include <algorithm>
#include <array>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/doctor.hpp"

namespace repsim::report {
namespace {

constexpr int kIndent = 27;  ///< where findings begin
constexpr int kHealthWidth = 9, kNameWidth = kIndent - kHealthWidth;
constexpr int kNarrowest = 20;  ///< columns that a finding gets on the narrowest terminal

std::string padded(std::string text, int width) {
  text.append(static_cast<std::size_t>(std::max(0, width - display_width(text))), ' ');
  return text;
}

/// The colours of a traffic light, as every terminal has them.
std::string coloured(const std::string& text, Health health, bool colours) {
  constexpr std::array kCodes{"\x1b[32m", "\x1b[33m", "\x1b[31m"};
  if (!colours) return text;
  return kCodes[static_cast<std::size_t>(health)] + text + "\x1b[0m";
}

std::int64_t count_of(std::span<const MachineCheck> checks, Health health) {
  return std::count_if(checks.begin(), checks.end(), [&](const MachineCheck& one) { return one.health == health; });
}

/// Lines below each other, the first one behind `head`.
std::string entry(const std::string& head, const std::string& text, int columns) {
  std::string out, line = head;
  for (const std::string& part : wrap(text, std::max(kNarrowest, columns - kIndent))) {
    out += line + part + "\n";
    line = std::string(kIndent, ' ');
  }
  return out.empty() ? head + "\n" : out;
}

}  // namespace

std::string to_text(std::span<const MachineCheck> checks, const TextLayout& layout) {
  std::string text;
  for (const MachineCheck& check : checks) {
    const std::string word = padded(word_of(kHealthWords, check.health), kHealthWidth);
    const std::string head = coloured(word, check.health, layout.colours) + padded(check.name, kNameWidth);
    text += entry(head, printable(check.finding), layout.columns);
    if (!check.remedy.empty())
      text += entry(std::string(kIndent, ' '), "what to do: " + printable(check.remedy), layout.columns);
  }
  const std::int64_t failures = count_of(checks, Health::kFailure), warnings = count_of(checks, Health::kWarning);
  const Health worst = health_of(checks);
  const std::string verdict =
      worst == Health::kOk ? "all is well" : counted(failures, "failure") + ", " + counted(warnings, "warning");
  return text + "\n" + coloured(verdict, worst, layout.colours) + "\n";
}

Json to_json(std::span<const MachineCheck> checks) {
  Json json{{"health", word_of(kHealthWords, health_of(checks))},
            {"failures", count_of(checks, Health::kFailure)},
            {"warnings", count_of(checks, Health::kWarning)},
            {"checks", Json::array()}};
  for (const MachineCheck& check : checks) {
    json["checks"].push_back({{"name", check.name},
                              {"health", word_of(kHealthWords, check.health)},
                              {"finding", escape_bytes(check.finding)},
                              {"remedy", check.remedy.empty() ? Json() : Json(escape_bytes(check.remedy))},
                              {"details", check.details}});
  }
  return json;
}

Health health_of(std::span<const MachineCheck> checks) {
  Health worst = Health::kOk;
  for (const MachineCheck& check : checks) worst = std::max(worst, check.health);
  return worst;
}

}  // namespace repsim::report
