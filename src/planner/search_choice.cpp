#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "repsim/search.hpp"

namespace repsim::planner {
namespace {

/// A choice in which an option may stand several times, each time worth another value.
class VersionedChoice {
 public:
  explicit VersionedChoice(std::vector<ShareOption> options) : of_version_(options.size()), versions_(options.size()) {
    choice_.options = std::move(options);
    for (std::size_t i = 0; i < versions_.size(); ++i) {
      of_version_[i] = i;
      versions_[i] = {i};
    }
  }

  /// The option may also be chosen at this value, which is below its own.
  void add_version(std::size_t option, double value) {
    const bool known = std::any_of(versions_[option].begin(), versions_[option].end(),
                                   [&](std::size_t version) { return choice_.options[version].value == value; });
    if (known) return;
    versions_[option].push_back(choice_.options.size());
    of_version_.push_back(option);
    choice_.options.push_back(choice_.options[option]);
    choice_.options.back().value = value;
  }

  /// Forbids these options side by side. With `most_value`, they may stand side by side if the last one is chosen at
  /// that value or at a lower one.
  void forbid(const std::vector<std::size_t>& options, std::optional<double> most_value = std::nullopt) {
    std::vector<std::vector<std::size_t>> nogoods{{}};
    for (const std::size_t option : options) {
      std::vector<std::vector<std::size_t>> longer;
      for (const std::size_t version : versions_[option]) {
        if (most_value && option == options.back() && choice_.options[version].value <= *most_value) continue;
        for (std::vector<std::size_t> nogood : nogoods) {
          nogood.push_back(version);
          longer.push_back(std::move(nogood));
        }
      }
      nogoods = std::move(longer);
    }
    choice_.nogoods.insert(choice_.nogoods.end(), nogoods.begin(), nogoods.end());
  }

  [[nodiscard]] Choice& choice() { return choice_; }
  [[nodiscard]] double value(std::size_t option) const { return choice_.options[option].value; }
  [[nodiscard]] std::size_t option_of(std::size_t version) const { return of_version_[version]; }

 private:
  Choice choice_;
  std::vector<std::size_t> of_version_;             // per entry of choice_.options
  std::vector<std::vector<std::size_t>> versions_;  // per option
};

}  // namespace

/// The choice of largest value among the options that are not out. An option may save less beside the shares of its
/// donors than without them, since it needs corrections there. So it also stands in the choice at what it was measured
/// to save there, and beside these shares it may not be chosen at more.
Chosen Search::choose(const ValueOf& value) const {
  std::vector<ShareOption> options = input_.options;
  for (Option i = 0; i < options.size(); ++i) options[i].value = is_in_question(i) ? value(i, savings(i)) : 0;
  VersionedChoice versions(std::move(options));
  std::vector<std::pair<const Chain*, double>> less;  // chains whose last option is worth less than alone
  for (const auto& [chain, trial] : trials_) {
    const Option option = chain.back();
    if (chain.size() == 1 || !trial.holds || !is_in_question(option)) continue;
    const double there = value(option, trial.candidate.savings);
    if (there >= versions.value(option)) continue;
    versions.add_version(option, there);
    less.emplace_back(&chain, there);
  }
  for (const Chain& nogood : nogoods_) versions.forbid(nogood);
  for (const auto& [chain, there] : less) versions.forbid(*chain, there);
  Choice& choice = versions.choice();
  choice.models = static_cast<int>(input_.targets.size());
  choice.max_shares = static_cast<int>(options_.max_shares.value_or(-1));
  Chosen chosen = planner::choose(choice);
  if (!chosen.proven) observer_.choice_not_proven(choice, chosen);
  for (Option& option : chosen.options) option = versions.option_of(option);
  return chosen;
}

}  // namespace repsim::planner
