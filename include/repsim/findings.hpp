#pragma once

#include <string>
#include <vector>

/// What a command found, in the forms that CI systems read. Plain data and text, no torch.
namespace repsim::report {

struct Plan;
struct PlanDiff;
struct Verification;

/// One thing that a command checked.
struct Finding {
  enum class Level { kPassed, kNotice, kWarning, kError };
  Level level = Level::kPassed;
  std::string name;     ///< what was checked: "plain: fidelity"
  std::string message;  ///< one sentence; empty if it passed without a remark
};

/// One number for a metrics report.
struct Metric {
  std::string name;   ///< "repsim_fidelity"
  std::string help;   ///< one line
  std::string model;  ///< label; empty: none
  double value = 0;
};

struct Findings {
  std::string command;  ///< "check"
  std::string file;     ///< to which annotations belong: the plan, as the user gave it
  std::vector<Finding> findings;
  std::vector<Metric> metrics;  ///< metrics of one name stand together
};

/// A case per compared thing. Drift is of level `drift`, a figure within its tolerance a notice.
[[nodiscard]] std::vector<Finding> findings_of(const PlanDiff& diff, Finding::Level drift);
/// A case per model: below its min_fidelity is an error, nothing compared a warning.
[[nodiscard]] std::vector<Finding> findings_of(const Verification& verification);

/// Fidelity per model where it was measured, and the bytes of parameters before and after merging.
[[nodiscard]] std::vector<Metric> metrics_of(const Plan& plan);
[[nodiscard]] std::vector<Metric> metrics_of(const Verification& verification);

/// Annotations of GitHub Actions, one line per finding that did not pass without a remark: "::error
/// file=F,title=T::M", with the escapes of the workflow commands.
[[nodiscard]] std::string github_annotations(const Findings& findings);

/// JUnit's XML as Jenkins and GitLab read it: one suite, one case per finding; an error is a failure, a notice or a
/// warning goes to system-out. Characters that XML does not allow are left out.
[[nodiscard]] std::string junit_xml(const Findings& findings);

/// OpenMetrics text, which GitLab shows as a metrics report: a gauge per name, ends with "# EOF".
[[nodiscard]] std::string openmetrics(const Findings& findings);

}  // namespace repsim::report
