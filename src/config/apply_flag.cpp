#include <cmath>

#include "parse.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/config.hpp"
#include "setting.hpp"

namespace repsim::config {
namespace {

/// A flag and its texts; one text where it may be given once.
struct Flag {
  std::string name;
  const std::vector<std::string>& texts;
  const Setting& setting;

  [[nodiscard]] const std::string& text() const { return texts.back(); }
  /// @param remedy  empty: what the flag takes, and its help
  [[noreturn]] void fail(const std::string& problem, const std::string& remedy = {}) const {
    throw Error(ErrorKind::kUsage, problem, name,
                remedy.empty() ? name + " " + value_name(setting) + ": " + flag_help(setting, {}) : remedy);
  }
};

void apply(const WholeNumber& kind, const Flag& flag, Settings& out) {
  const std::string noun = *kind.noun == '\0' ? "a whole number" : kind.noun;
  const auto value = parse_number<std::int64_t>(flag.text());
  if (!value || (*kind.noun != '\0' && *value < kind.least)) flag.fail("'" + flag.text() + "' is not " + noun);
  if (const auto found = problem_of(kind, *value)) flag.fail(found->problem, found->remedy);
  kind.set(out, *value);
}

void apply(const Bytes& kind, const Flag& flag, Settings& out) {
  const auto bytes = parse_bytes(flag.text());
  if (!bytes) flag.fail("'" + flag.text() + "' is no size", "bytes: " + flag.name + " " + kind.examples);
  out.*kind.member = bytes;
}

void apply(const Number& kind, const Flag& flag, Settings& out) {
  const auto value = parse_number<double>(flag.text());
  if (!value) flag.fail("'" + flag.text() + "' is not a number");
  if (!std::isfinite(*value)) flag.fail("'" + flag.text() + "' is not a finite number");
  out.*kind.member = *value;
}

void apply(const OnOff& kind, const Flag& flag, Settings& out) {
  if (flag.text() != "on" && flag.text() != "off")
    flag.fail("unknown value '" + flag.text() + "'", did_you_mean(flag.text(), std::vector<std::string>{"on", "off"}));
  out.*kind.member = flag.text() == "on";
}

void apply(const OneWord& kind, const Flag& flag, Settings& out) {
  if (!kind.set(out, flag.text()))
    flag.fail("unknown value '" + flag.text() + "'", did_you_mean(flag.text(), kind.words()));
}

void apply(const Path& kind, const Flag& flag, Settings& out) { kind.set(out, flag.text()); }

void apply(const OneVideo& /*kind*/, const Flag& flag, Settings& out) { out.videos = videos_of(flag.texts, flag.name); }

/// Its flag is that of `video`.
void apply(const SeveralVideos& /*kind*/, const Flag& flag, Settings& out) {
  out.videos = videos_of(flag.texts, flag.name);
}

void apply(const Texts& kind, const Flag& flag, Settings& out) { out.*kind.member = flag.texts; }

/// "0.9" for all models, "NAME=0.9" or "NAME:0.9" for one.
void apply(const MinFidelities& /*kind*/, const Flag& flag, Settings& out) {
  for (const std::string& text : flag.texts) {
    std::size_t equals = text.rfind('=');
    if (equals == std::string::npos) equals = text.rfind(':');
    const auto value =
        parse_number<double>(equals == std::string::npos ? text : std::string_view(text).substr(equals + 1));
    if (!value || equals == 0) {
      flag.fail("'" + text + "' is no fidelity", "--min-fidelity 0.9 for all models, --min-fidelity NAME=0.95 for one");
    }
    if (!std::isfinite(*value)) flag.fail("'" + text + "' is not a finite number");
    if (equals == std::string::npos) {
      out.min_fidelity = *value;
    } else {
      out.min_fidelity_of[text.substr(0, equals)] = *value;
    }
  }
}

void apply(const Directions& /*kind*/, const Flag& flag, Settings& out) {
  out.share.clear();
  for (const std::string& text : flag.texts) {
    const auto direction = parse_direction(text);
    if (!direction) flag.fail("'" + text + "' names no direction", "--share 'RECEIVER<-DONOR', in quotes");
    out.share.push_back(*direction);
  }
}

void apply(const DeviceName& /*kind*/, const Flag& flag, Settings& out) {
  const auto device = parse_device(flag.text());
  if (!device) flag.fail(no_device(flag.text()), device_remedy());
  out.device = *device;
}

}  // namespace

void apply_flag(const Setting& setting, const std::vector<std::string>& texts, Settings& settings) {
  if (texts.empty()) return;
  const Flag flag{std::string(setting.flag), texts, setting};
  std::visit([&](const auto& kind) { apply(kind, flag, settings); }, setting.kind);
}

bool is_repeatable(const Setting& setting) {
  return std::holds_alternative<Texts>(setting.kind) || std::holds_alternative<OneVideo>(setting.kind) ||
         std::holds_alternative<SeveralVideos>(setting.kind) || std::holds_alternative<MinFidelities>(setting.kind) ||
         std::holds_alternative<Directions>(setting.kind);
}

}  // namespace repsim::config
