#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "cache_flag.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "job_flags.hpp"
#include "print_config.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/report.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kPlanFooter = R"(Examples:
  repsim plan a.pt b.pt --input 320x240 --video street.mp4 --out plan
  repsim plan --config merge.json --set merge.min_fidelity=0.85 --out plan --force
  repsim plan --config merge.json --share 'small<-large' --out plan   share in this direction only
  repsim plan --config merge.json --explain small --out plan   and say what was tried for this model
  repsim plan --config merge.json --seed 7 --print-config      which value holds, and who gave it

What is given twice: a flag wins over --set, --set over the config, the config over the defaults.
Positional models replace the config's list; one whose name is in the config keeps that entry's
input and output. --model without positional models changes the path of that entry, or adds a model.

DIR then holds plan.json, bundle.pt, report.html, similarity.json and run.json.
Exit codes: 0 done, 2 usage, 3 bad input, 4 nothing can be shared at the asked fidelity (the plan is
written, with no shares) or nothing that fits into the budget keeps it (the smallest is written),
130 interrupted, 1 anything else.)";

struct PlanFlags : JobFlags {
  std::vector<std::string> explain;
  std::string print_config;  ///< empty, "text" or "json"
  bool dry_run = false;
};

/// Everything that decides the plan.
config::Settings settings_of(const PlanFlags& flags) {
  config::Settings settings = settings_of_job(flags);
  config::check(settings);
  if (!flags.dry_run) settings.cache = cache_folder(flags.cache);
  return settings;
}

/// Models to be explained, each once, in the order given.
std::vector<std::string> explained(const PlanFlags& flags, const config::Settings& settings) {
  std::vector<std::string> names, result;
  for (const model::ModelSpec& spec : settings.models) names.push_back(spec.name);
  for (const std::string& name : flags.explain) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw Error(ErrorKind::kUsage, "there is no model named '" + name + "'", "--explain " + name,
                  did_you_mean(name, names));
    }
    if (std::find(result.begin(), result.end(), name) == result.end()) result.push_back(name);
  }
  return result;
}

/// Nearly all models have a few equal tensors (counters, zero biases): they alone are not worth a bundle.
bool shares_nothing(const report::Plan& plan) {
  constexpr std::int64_t kWorthwhilePercent = 1;
  return plan.shares.empty() && 100 * plan.exact.bytes_saved < kWorthwhilePercent * plan.before.bytes;
}

void print_config(const PlanFlags& flags) {
  static const std::vector<std::string> kForms{"text", "json"};
  if (std::find(kForms.begin(), kForms.end(), flags.print_config) == kForms.end()) {
    throw Error(ErrorKind::kUsage, "unknown value '" + flags.print_config + "'", "--print-config",
                did_you_mean(flags.print_config, kForms));
  }
  print_result(flags.print_config == "json" ? to_text(to_config(flags)) : settings_text(effective_settings(flags)));
}

void run_plan(const PlanFlags& flags, Progress& progress) {
  if (!flags.print_config.empty()) return print_config(flags);
  const config::Settings settings = settings_of(flags);
  const std::vector<std::string> models = explained(flags, settings);
  if (flags.dry_run) {
    check_cache_folder(flags.cache);
    const std::optional<std::filesystem::path> out = flags.out;
    return print_result(report::to_text(pipeline::dry_run(settings, out, flags.force, progress)));
  }
  if (!flags.out) throw Error(ErrorKind::kUsage, "no output folder is given", "repsim plan", "--out DIR");
  const pipeline::Outcome outcome = pipeline::plan(settings, *flags.out, flags.force, progress);
  std::string text = report::summary(outcome.plan);
  for (const std::string& model : models) text += "\n" + report::explanation(outcome.plan, model);
  print_result(text);
  if (settings.budget) {
    if (outcome.plan.after.bytes <= *settings.budget) return;
    throw Error(ErrorKind::kNothingToShare,
                fmt::format("nothing found within the budget of {} keeps the asked fidelity; the plan that is written "
                            "saves what can be, to {}",
                            report::human_bytes(*settings.budget), report::human_bytes(outcome.plan.after.bytes)),
                outcome.directory.string(), "a larger --budget, or a lower --min-fidelity");
  }
  if (shares_nothing(outcome.plan)) {
    throw Error(ErrorKind::kNothingToShare,
                fmt::format("nothing can be shared at a fidelity of {}; the plan is written, with no shares",
                            settings.min_fidelity),
                outcome.directory.string(), "a lower --min-fidelity; report.html shows what was tried");
  }
}

}  // namespace

Job setup_plan(CLI::App& app) {
  auto flags = std::make_shared<PlanFlags>();
  PlanFlags& f = *flags;
  app.footer(kPlanFooter);
  add_models(app, f);
  for (const char* key : {"video", "frames.count", "frames.holdout", "frames.scan", "truth"})
    f.settings.add(app, "Video", key);
  f.settings.add_all(app, "Sharing", "merge.");
  add_out(app, f, "the plan");
  add_repeatable(app, "--explain", "MODEL", f.explain,
                 "After the summary say why this model is what it is: its candidates, what was measured of them, and "
                 "what was not tried")
      ->group("Output");
  f.settings.add(app, "Output", "report_frames");
  app.add_flag("--dry-run", f.dry_run, "Check everything up to the first frame and say what would be done")
      ->group("Output");
  app.add_flag(
         "--print-config{text}", f.print_config,
         "Print all settings and where each came from, and do nothing else; json: as a config that --config reads")
      ->type_name("[=json]")
      ->group("Output");
  add_settings(app, f);
  return [flags](Progress& progress) { run_plan(*flags, progress); };
}

}  // namespace repsim::cli
