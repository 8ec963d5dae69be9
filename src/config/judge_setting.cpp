#include <algorithm>

#include "repsim/base/text.hpp"
#include "repsim/config.hpp"
#include "setting.hpp"
#include "values.hpp"

namespace repsim::config {
namespace {

using Judgement = std::optional<Problem>;

Judgement judge(const WholeNumber& kind, const Settings& settings) {
  const auto value = kind.get(settings);
  return value ? problem_of(kind, *value) : std::nullopt;
}

Judgement judge(const Bytes& kind, const Settings& settings) {
  const std::optional<std::int64_t>& value = settings.*kind.member;
  if (!value || *value >= 1) return std::nullopt;
  return Problem{"the value is " + std::to_string(*value) + ", not above 0", size_remedy()};
}

Judgement judge(const Number& kind, const Settings& settings) {
  const double value = settings.*kind.member;
  const bool above = kind.above_least ? value > kind.least : value >= kind.least;  // false for NaN
  const bool below = kind.below_most ? value < kind.most : value <= kind.most;
  if (above && below) return std::nullopt;
  return Problem{"the value is " + shortest(value) + ", not " + kind.range, kind.remedy};
}

Judgement judge(const Texts& kind, const Settings& settings) {
  const std::vector<std::string>& texts = settings.*kind.member;
  if (std::find(texts.begin(), texts.end(), "") == texts.end()) return std::nullopt;
  if (kind.of == Texts::Of::kModelPatterns) return Problem{"a pattern is empty", "a model's name, * and ? allowed"};
  if (kind.of != Texts::Of::kLayerPatterns) return std::nullopt;
  return Problem{"a pattern is empty", "a layer's name, * and ? allowed: 'backbone.*'"};
}

Judgement judge(const MinFidelities& /*kind*/, const Settings& settings) {
  const auto problem = [](double value, const std::string& whose) -> Judgement {
    if (value >= 0 && value <= 1) return std::nullopt;
    const bool is_percentage = value > 1 && value <= 100;
    return Problem{"the value" + whose + " is " + shortest(value) + ", not 0 to 1",
                   is_percentage ? shortest(value) + " % is " + shortest(value / 100) : ""};
  };
  if (const auto found = problem(settings.min_fidelity, "")) return found;
  for (const auto& [name, value] : settings.min_fidelity_of) {
    if (const auto found = problem(value, " of '" + name + "'")) return found;
  }
  return std::nullopt;
}

/// The other kinds cannot hold a wrong value.
template <typename Kind>
Judgement judge(const Kind& /*kind*/, const Settings& /*settings*/) {
  return std::nullopt;
}

}  // namespace

std::optional<Problem> problem_of(const WholeNumber& kind, std::int64_t value) {
  if ((value >= kind.least && value <= kind.most) || (kind.or_zero && value == 0)) return std::nullopt;
  return Problem{"the value is " + std::to_string(value) + ", not " + range_of(kind), ""};
}

std::optional<Problem> problem_of(const Setting& setting, const Settings& settings) {
  return std::visit([&](const auto& kind) { return judge(kind, settings); }, setting.kind);
}

std::string range_of(const WholeNumber& kind) {
  if (*kind.range != '\0') return kind.range;
  const std::string least = (kind.or_zero ? "0 or " : "") + std::to_string(kind.least);
  return kind.most == kNoLimit ? least + " or more" : least + " to " + std::to_string(kind.most);
}

}  // namespace repsim::config
