#include <memory>

#include "commands.hpp"
#include "common_flags.hpp"
#include "comparison_flags.hpp"
#include "output_format.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/text.hpp"
#include "repsim/plan_diff.hpp"
#include "repsim/recorded_plan.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kDiffFooter = R"(Examples:
  repsim diff plan new-plan
  repsim diff old.json new.json --output-format markdown
  repsim diff plan new-plan --fail-if 'fidelity<-0.01' --fail-if 'bytes>2%'

Structure (models, video, frames, settings, shares, bytes) is compared exactly, fidelities up to
--fidelity-tolerance. Evidence, versions, paths and the bundle's hash are only noted.
Exit codes: 0 done, 2 usage, 3 a plan cannot be read, 5 a --fail-if is broken, or the plans differ and
--exit-code is given, 1 anything else.)";

struct DiffFlags {
  std::string before, after;
  std::vector<std::string> fail_if;
  bool exit_code = false;
  ComparisonFlags comparison;
  OutputFlags output;
};

std::vector<report::ChangeLimit> limits_of(const DiffFlags& flags) {
  std::vector<report::ChangeLimit> limits;
  for (const std::string& text : flags.fail_if) {
    const auto limit = report::parse_change_limit(text);
    if (!limit) {
      throw Error(ErrorKind::kUsage, "'" + text + "' is not FIGURE<CHANGE or FIGURE>CHANGE", "--fail-if",
                  "'fidelity<-0.01', 'bytes>2%'; figures: " + report::change_limit_figures());
    }
    limits.push_back(*limit);
  }
  return limits;
}

/// "fidelity<-0.01: plain: fidelity 0.953 -> 0.912 (-0.041)" per broken limit.
std::vector<std::string> broken_limits(const std::vector<report::ChangeLimit>& limits, const report::PlanDiff& diff) {
  std::vector<std::string> broken;
  for (const report::ChangeLimit& limit : limits) {
    for (const report::PlanChange& change : report::broken_by(limit, diff))
      broken.push_back(limit.text + ": " + report::in_words(change));
  }
  return broken;
}

void run_diff(const DiffFlags& flags) {
  if (flags.before.empty() || flags.after.empty())
    throw Error(ErrorKind::kUsage, "two plans are needed", "repsim diff", "repsim diff OLD NEW");
  check_output_format(flags.output);
  const std::vector<report::ChangeLimit> limits = limits_of(flags);
  const report::Plan before = rebuild::read_plan(flags.before), after = rebuild::read_plan(flags.after);
  if (flags.output.file) {
    check_replaces_no_input(*flags.output.file, rebuild::input_files_of(flags.before, before), "--output-file");
    check_replaces_no_input(*flags.output.file, rebuild::input_files_of(flags.after, after), "--output-file");
  }
  const report::PlanDiff diff = report::compare(before, after, tolerances_of(flags.comparison));
  const std::vector<std::string> broken = broken_limits(limits, diff);
  const report::DiffDetail detail = detail_of(flags.comparison);
  using Level = report::Finding::Level;

  Json json = report::to_json(diff, detail);
  json["broken_limits"] = broken;
  Rendered rendered{report::to_text(diff, detail), to_text(json), report::to_markdown(diff, detail), {}};
  for (const std::string& one : broken) {
    rendered.text += "broken  " + one + "\n";
    rendered.markdown += "\nbroken: " + one + "\n";
  }
  rendered.findings = {"diff", flags.after,
                       report::findings_of(diff, flags.exit_code ? Level::kError : Level::kWarning),
                       report::metrics_of(after)};
  for (const std::string& one : broken) rendered.findings.findings.push_back({Level::kError, "--fail-if", one});
  print_rendered(flags.output, rendered);

  if (!broken.empty()) {
    throw Error(ErrorKind::kDrift, join(broken, "; "), flags.after, "a wider --fail-if, or the old plan");
  }
  if (flags.exit_code && diff.has_drift())
    throw Error(ErrorKind::kDrift, "the plans differ", flags.after, "leave out --exit-code to see it with exit code 0");
}

}  // namespace

Job setup_diff(CLI::App& app) {
  auto flags = std::make_shared<DiffFlags>();
  app.footer(kDiffFooter);
  app.add_option("OLD", flags->before, "The folder of a plan, or its plan.json")->type_name("PLAN");
  app.add_option("NEW", flags->after, "Another one")->type_name("PLAN");
  add_comparison(app, flags->comparison, 0);
  app.add_flag("--exit-code", flags->exit_code, "End with 5 where the plans differ")->group("Comparison");
  add_repeatable(app, "--fail-if", "LIMIT", flags->fail_if,
                 "End with 5 where a figure changed by more: FIGURE<CHANGE or FIGURE>CHANGE, for example "
                 "'fidelity<-0.01'; figures: " +
                     report::change_limit_figures())
      ->group("Comparison");
  add_output_format(app, flags->output);
  return [flags](Progress&) { run_diff(*flags); };
}

}  // namespace repsim::cli
