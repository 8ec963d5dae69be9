#include "comparison_flags.hpp"

#include <charconv>

#include "common_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/text.hpp"

namespace repsim::cli {

void add_comparison(CLI::App& app, ComparisonFlags& flags, double default_tolerance) {
  const char* group = "Comparison";
  flags.default_tolerance = default_tolerance;
  add_text(app, "--fidelity-tolerance", "F", flags.tolerance,
           "Fidelities and accuracies may differ by so much, 0 to 1, as long as the target is kept (default " +
               shortest(default_tolerance) + ")")
      ->group(group);
  app.add_flag("--all", flags.all, "Show what is the same, too")->group(group);
}

report::DiffTolerances tolerances_of(const ComparisonFlags& flags) {
  if (!flags.tolerance) return {flags.default_tolerance};
  const std::string& text = *flags.tolerance;
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !(value >= 0 && value <= 1)) {
    throw Error(ErrorKind::kUsage, "'" + text + "' is not a number from 0 to 1", "--fidelity-tolerance",
                "for example 0.01");
  }
  return {value};
}

report::DiffDetail detail_of(const ComparisonFlags& flags) {
  return flags.all ? report::DiffDetail::kAll : report::DiffDetail::kChanges;
}

}  // namespace repsim::cli
