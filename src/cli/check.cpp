#include <algorithm>
#include <cctype>
#include <memory>

#include "cache_flag.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "comparison_flags.hpp"
#include "output_format.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"
#include "repsim/plan_check.hpp"
#include "repsim/recorded_plan.hpp"
#include "setting_flags.hpp"
#include "settings_files.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kCheckFooter = R"(Examples:
  repsim check plan
  repsim check plan --config merge.json --output-format github
  repsim check plan --fast
  repsim check plan --out new-plan && repsim diff plan new-plan --all

Without --config the settings, models and video are those that the plan records. The plan is made again
and compared: structure (models, video, frames, settings, shares, bytes) exactly, fidelities up to
--fidelity-tolerance. PLAN itself is not changed.
Exit codes: 0 the same, 5 drift, 2 usage, 3 bad input (also: a model or the video is not there),
130 interrupted, 1 anything else.)";

constexpr double kDefaultTolerance = 0.005;

struct CheckFlags {
  std::string plan;
  std::optional<std::string> config, out, cache;
  std::vector<std::string> set;
  SettingFlags settings;
  bool fast = false, exit_zero = false, force = false;
  ComparisonFlags comparison;
  OutputFlags output;
};

/// A word for a shell: as it is where that is safe, else in single quotes.
std::string shell_word(const std::string& text) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string("._-/=:,+@%").find(c) != std::string::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

pipeline::PlanCheckSettings settings_of(const CheckFlags& flags) {
  if (flags.plan.empty()) throw Error(ErrorKind::kUsage, "no plan is given", "repsim check", "repsim check DIR");
  pipeline::PlanCheckSettings check;
  check.plan = flags.plan;
  if (flags.config) {
    check.settings = settings_from_files(flags.config, flags.set);
  } else {
    const auto file = rebuild::plan_file(flags.plan);
    const Json config = rebuild::recorded_config(rebuild::read_plan(file));
    check.settings = settings_from_config(config, file.string() + ": settings", {}, flags.set);
  }
  flags.settings.apply(check.settings);
  config::check(check.settings);
  if (!flags.fast) check.settings.cache = cache_folder(flags.cache);
  check.hashes_only = flags.fast;
  check.tolerances = tolerances_of(flags.comparison);
  if (flags.out) check.out = *flags.out;
  check.force = flags.force;
  return check;
}

/// The command that makes the new plan the recorded one.
std::string accepting_command(const CheckFlags& flags) {
  const auto parent = rebuild::plan_file(flags.plan).parent_path();
  const std::string folder = parent.empty() ? "." : shell_word(parent.string());
  if (!flags.config) return "repsim check " + shell_word(flags.plan) + " --exit-zero --force --out " + folder;
  std::string command = "repsim plan --config " + shell_word(*flags.config);
  for (const std::string& one : flags.set) command += " --set " + shell_word(one);
  return command + " --out " + folder + " --force";
}

void run_check(const CheckFlags& flags, Progress& progress) {
  check_output_format(flags.output);
  const pipeline::PlanCheckSettings settings = settings_of(flags);
  if (flags.output.file)
    check_replaces_no_input(*flags.output.file, rebuild::input_files_of(flags.plan, rebuild::read_plan(flags.plan)),
                            "--output-file");
  const pipeline::PlanCheck check = pipeline::check_plan(settings, progress);
  const bool drift = check.diff.has_drift();
  const report::DiffDetail detail = detail_of(flags.comparison);
  using Level = report::Finding::Level;
  Json json = report::to_json(check.diff, detail);
  json["plan"] = flags.plan;
  json["regenerated"] = !flags.fast;
  json["accept"] = drift ? Json(accepting_command(flags)) : Json();
  Rendered rendered{report::to_text(check.diff, detail), to_text(json), report::to_markdown(check.diff, detail), {}};
  if (drift) {
    rendered.text += "to accept it: " + accepting_command(flags) + "\n";
    rendered.markdown += "\nTo accept it: `" + accepting_command(flags) + "`\n";
  }
  rendered.findings = {"check", rebuild::plan_file(flags.plan).string(),
                       report::findings_of(check.diff, flags.exit_zero ? Level::kWarning : Level::kError),
                       report::metrics_of(check.now)};
  print_rendered(flags.output, rendered);
  if (drift && !flags.exit_zero) {
    throw Error(ErrorKind::kDrift, flags.fast ? "what the plan was made from has changed" : "the plan has drifted",
                flags.plan, "to accept it: " + accepting_command(flags));
  }
}

}  // namespace

Job setup_check(CLI::App& app) {
  auto flags = std::make_shared<CheckFlags>();
  CheckFlags& f = *flags;
  app.footer(kCheckFooter);
  app.add_option("PLAN", f.plan, "The folder of a plan, or its plan.json")->type_name("PLAN");
  app.add_flag("--fast", f.fast, "Compare hashes and settings only; do not make the plan again")->group("Comparison");
  add_comparison(app, f.comparison, kDefaultTolerance);
  app.add_flag("--exit-zero", f.exit_zero, "End with 0 where the plan has drifted, too")->group("Comparison");
  add_text(app, "--config", "FILE", f.config, "The settings with which to plan again (default: those of the plan)")
      ->group("Settings");
  add_repeatable(app, "--set", "KEY=VALUE", f.set, "Change one setting of the config: merge.min_fidelity=0.85")
      ->group("Settings");
  for (const char* key : {"libraries", "truth", "threads", "device", "memory_limit"})
    f.settings.add(app, "Settings", key);
  add_cache(app, f.cache)->group("Settings");
  add_text(app, "--out", "DIR", f.out, "Keep the new plan in this folder (default: it is removed)")->group("Output");
  app.add_flag("--force", f.force, "Replace the files of an earlier run in DIR")->group("Output");
  add_output_format(app, f.output);
  return [flags](Progress& progress) { run_check(*flags, progress); };
}

}  // namespace repsim::cli
