#include <algorithm>
#include <initializer_list>
#include <memory>

#include <fmt/format.h>

#include "commands.hpp"
#include "common_flags.hpp"
#include "job_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/report.hpp"
#include "settings_flags.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kPlanFooter = R"(Examples:
  repsim plan a.pt b.pt --input 320x240 --video street.mp4 --out plan
  repsim plan --config merge.json --set merge.min_fidelity=0.85 --out plan --force
  repsim plan --config merge.json --share 'small<-large' --out plan   share in this direction only
  repsim plan --config merge.json --explain small --out plan   and say what was tried for this model

What is given twice: a flag wins over --set, --set over the config, the config over the defaults.
Positional models replace the config's list; one whose name is in the config keeps that entry's
input and output. --model without positional models changes the path of that entry, or adds a model.

DIR then holds plan.json, bundle.pt, report.html, similarity.json and run.json.
Exit codes: 0 done, 2 usage, 3 bad input, 4 nothing can be shared at the asked fidelity (the plan is
written, with no shares) or nothing that fits into the budget keeps it (the smallest is written),
130 interrupted, 1 anything else.)";

struct PlanFlags : JobFlags {
  std::vector<std::string> min_fidelity, donors, keep, explain;
  std::optional<std::string> objective, budget;
  std::optional<std::int64_t> max_trials, max_shares, max_rank, max_side_inputs;
  std::optional<double> confidence, max_minutes;
  bool dry_run = false;
};

/// Everything that decides the plan.
config::Settings settings_of(const PlanFlags& flags) {
  config::Settings settings = settings_of_job(flags);
  config::apply_min_fidelity(flags.min_fidelity, settings);
  take(flags.objective, settings.objective);
  if (flags.budget) {
    settings.budget = config::parse_bytes(*flags.budget);
    if (!settings.budget) {
      throw Error(ErrorKind::kUsage, "'" + *flags.budget + "' is no size", "--budget",
                  "bytes: --budget 1500000, or 1500K, 1.5M, 2G");
    }
  }
  if (flags.max_shares) settings.max_shares = flags.max_shares;
  take(flags.donors, settings.donors);
  take(flags.keep, settings.keep);
  take(flags.max_rank, settings.max_rank);
  take(flags.max_side_inputs, settings.max_side_inputs);
  take(flags.max_trials, settings.max_trials);
  take(flags.confidence, settings.confidence);
  take(flags.max_minutes, settings.max_minutes);
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

void run_plan(const PlanFlags& flags, Progress& progress) {
  const config::Settings settings = settings_of(flags);
  const std::vector<std::string> models = explained(flags, settings);
  if (!flags.out) {
    throw Error(ErrorKind::kUsage, "no output folder is given", "repsim plan", "--out DIR");
  }
  if (flags.dry_run) return print_result(report::to_text(pipeline::dry_run(settings, *flags.out, flags.force)));
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
  const config::Settings defaults;
  app.footer(kPlanFooter);
  add_models(app, f);
  const auto group = [](const char* name, std::initializer_list<CLI::Option*> options) {
    for (CLI::Option* option : options) option->group(name);
  };
  group("Video", {add_text(app, "--video", "FILE", f.video, "The video that decides what is shared")});
  add_frames(app, f.frames, f.holdout, "Last part of these frames: one half chooses, one judges, the rest calibrates");
  group("Video", {add_text(app, "--truth", "FILE", f.truth,
                           "Ground truth (MOTChallenge text): report accuracy beside fidelity")});
  group(
      "Sharing",
      {add_repeatable(app, "--min-fidelity", "[NAME=]F", f.min_fidelity,
                      with_default("Every model, or this one, keeps at least this agreement with its original, 0 to 1",
                                   fmt::format("{}", defaults.min_fidelity))),
       add_choice(app, "--objective", {"bytes", "flops", "latency", "peak-memory"}, f.objective,
                  with_default("What to save most of: bytes of parameters, FLOPs per frame, estimated latency, or "
                               "parameters plus the peak of activations",
                               defaults.objective)),
       add_text(app, "--budget", "BYTES", f.budget,
                "The best worst fidelity whose parameters fit into so much (500K, 1.5M, 2G), instead of the largest "
                "saving"),
       add_whole_number(app, "--max-shares", "N", f.max_shares, "Models that may take layers (default: any number)"),
       add_repeatable(app, "--donors", "GLOB", f.donors, "Only models with such names give layers (default: all)"),
       add_repeatable(app, "--keep", "MODEL", f.keep, "This model is never changed; it may give layers"),
       add_choice(app, "--adapters", {"none", "linear"}, f.adapters,
                  with_default("May 1x1 convolutions adapt a donor's representation?", defaults.adapters)),
       add_choice(
           app, "--refit", {"on", "off"}, f.refit,
           with_default("May the first convolutions after a cut be solved again?", defaults.refit ? "on" : "off")),
       add_whole_number(app, "--max-rank", "N", f.max_rank,
                        with_default("Largest rank of the 3x3 corrections tried beside fitted maps where a cut misses "
                                     "its fidelity without; 0: none",
                                     std::to_string(defaults.max_rank))),
       add_whole_number(app, "--max-side-inputs", "N", f.max_side_inputs,
                        with_default("More of the donors' layers that these corrections may read where a cut barely "
                                     "misses its fidelity; 0: none",
                                     std::to_string(defaults.max_side_inputs))),
       add_repeatable(app, "--share", "'R<-D'", f.share,
                      "Only this direction: receiver R takes from donor D (default: all pairs are tried)"),
       add_repeatable(app, "--layers", "GLOB", f.layers, "Only layers with such names are replaced (default: all)"),
       add_repeatable(app, "--exclude", "GLOB", f.exclude, "Layers with such names are neither given nor replaced"),
       add_whole_number(app, "--max-trials", "N", f.max_trials,
                        with_default("Candidates measured per ordered pair of models, and per model that mixes donors",
                                     std::to_string(defaults.max_trials))),
       add_number(app, "--confidence", "C", f.confidence,
                  "Choose by the lower end of the C bootstrap interval of the fidelity, not by its value, C in (0, 1) "
                  "(default: by its value)"),
       add_number(app, "--max-minutes", "F", f.max_minutes,
                  "Measure no more candidates after so long a search: what was found by then is the plan (default: "
                  "no limit; equal runs may then differ)")});
  add_out(app, f, "the plan");
  group("Output",
        {add_repeatable(app, "--explain", "MODEL", f.explain,
                        "After the summary say why this model is what it is: its candidates, what was "
                        "measured of them, and what was not tried"),
         app.add_flag("--dry-run", f.dry_run, "Check everything up to the first frame and say what would be done")});
  add_settings(app, f, "Of the bootstrap intervals");
  return [flags](Progress& progress) { run_plan(*flags, progress); };
}

}  // namespace repsim::cli
