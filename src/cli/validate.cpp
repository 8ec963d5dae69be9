#include <memory>

#include <fmt/format.h>

#include "cache_flag.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "job_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/study.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kValidateFooter = R"(Examples:
  repsim validate a.pt b.pt --input 320x240 --video street.mp4 --out study
  repsim validate --config merge.json --truth gt.txt --frames 128 --cuts 32 --out study

Cuts along the depth of each model, half of them at equal depth, the others with donor layers drawn
from all depths, are fitted on calibration frames and measured on hold-out frames. Tables say how
well S and other guides go along with the measured fidelity (and AP with --truth), and how well a
combination of them that was learned from other cuts foretells it. Of a config, what a plan does
with candidates (fidelities, objective, trials, refit, ranks) is not read.

DIR then holds validation.json, validation.csv and validation.html (docs/validate.md).
Exit codes: 0 done, 2 usage, 3 bad input, 4 no cut can be measured (nothing is written),
130 interrupted, 1 anything else.)";

struct ValidateFlags : JobFlags {
  std::optional<std::int64_t> cuts;
};

pipeline::StudySettings settings_of(const ValidateFlags& flags) {
  pipeline::StudySettings settings;
  settings.job = settings_of_job(flags);
  settings.job.refit = settings.job.refit && flags.settings.given("merge.refit");
  settings.cuts = flags.cuts.value_or(settings.cuts);
  pipeline::check(settings);
  settings.job.cache = cache_folder(flags.cache);
  return settings;
}

void run_validate(const ValidateFlags& flags, Progress& progress) {
  const pipeline::StudySettings settings = settings_of(flags);
  if (!flags.out) throw Error(ErrorKind::kUsage, "no output folder is given", "repsim validate", "--out DIR");
  print_result(report::summary(pipeline::validate(settings, *flags.out, flags.force, progress)));
}

}  // namespace

Job setup_validate(CLI::App& app) {
  auto flags = std::make_shared<ValidateFlags>();
  ValidateFlags& f = *flags;
  app.footer(kValidateFooter);
  add_models(app, f);
  f.settings.add(app, "Video", "video", "The video on which is fitted and measured");
  f.settings.add(app, "Video", "frames.count");
  f.settings.add(app, "Video", "frames.holdout",
                 "Last part of these frames that measures, the rest calibrates (default {})");
  f.settings.add(app, "Video", "truth", "Ground truth (MOTChallenge text or COCO JSON): correlations with AP as well");
  add_whole_number(app, "--cuts", "N", f.cuts,
                   fmt::format("Cuts measured per ordered pair of models (default {})", pipeline::StudySettings{}.cuts))
      ->group("Cuts");
  f.settings.add(app, "Cuts", "merge.share", "Only this direction: receiver R takes from donor D (default: all pairs)");
  for (const char* key : {"merge.layers", "merge.exclude", "merge.adapters"}) f.settings.add(app, "Cuts", key);
  f.settings.add(app, "Cuts", "merge.refit",
                 "May the first convolutions after a cut be solved again instead? (default off)");
  add_out(app, f, "the study");
  add_settings(app, f, "Of the drawn cuts, the projections and the bootstrap intervals (default {})");
  return [flags](Progress& progress) { run_validate(*flags, progress); };
}

}  // namespace repsim::cli
