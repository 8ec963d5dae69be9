#include "repsim/run.hpp"

#include <memory>
#include <sstream>

#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/error.hpp"
#include "setting_flags.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kRunFooter = R"(Examples:
  repsim run plan --draw merged.mp4
  repsim run plan --video night.mp4 --draw both.mp4 --against plan
  repsim run bundle.pt --video street.mp4 --json found.jsonl --models front,back
  repsim run plan --json - --quiet | jq -c 'select(.model == "front") | .boxes'

A bundle alone is enough: it says how its inputs are made and its outputs are read. The lines of --json
are explained in docs/outputs.md.
Exit codes: 0 done, 2 usage, 3 bad input (also: a model fails on a frame), 130 interrupted, 1 anything
else. Files are written whole or not at all.)";

constexpr const char* kToStdout = "-";

struct RunFlags {
  std::string bundle;
  std::vector<std::string> videos;
  std::optional<std::string> draw, json, models, against;
  std::optional<std::int64_t> frames, stride;
  std::optional<double> min_score, rate;
  SettingFlags settings;
  bool force = false;
};

std::vector<std::string> list_of(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream stream(text);
  for (std::string name; std::getline(stream, name, ',');) names.push_back(name);
  return names;
}

pipeline::RunSettings settings_of(const RunFlags& flags) {
  if (flags.bundle.empty()) throw Error(ErrorKind::kUsage, "no bundle is given", "repsim run", "repsim run DIR");
  pipeline::RunSettings settings;
  settings.bundle = flags.bundle;
  settings.videos = flags.videos;
  settings.against = flags.against;
  if (flags.models) settings.models = list_of(*flags.models);
  if (flags.draw) settings.draw = *flags.draw;
  if (flags.json && *flags.json == kToStdout) settings.on_line = [](const std::string& line) { print_result(line); };
  if (flags.json && *flags.json != kToStdout) settings.json = *flags.json;
  settings.force = flags.force;
  settings.stride = one_or_more(flags.stride, "--stride", 1);
  settings.frames = one_or_more(flags.frames, "--frames", 0);
  if (flags.min_score && !(*flags.min_score >= 0 && *flags.min_score <= 1))
    throw Error(ErrorKind::kUsage, "the value is not from 0 to 1", "--min-score");
  settings.min_score = flags.min_score;
  if (flags.rate && !(*flags.rate >= 0.1 && *flags.rate <= 1000))
    throw Error(ErrorKind::kUsage, "the value is not from 0.1 to 1000", "--fps");
  settings.frames_per_second = flags.rate;
  config::Settings given;
  flags.settings.apply(given);
  settings.libraries = given.libraries;
  settings.threads = given.threads;
  settings.device = given.device;
  return settings;
}

void run_run(const RunFlags& flags, Progress& progress) {
  const pipeline::RunSettings settings = settings_of(flags);
  const std::vector<report::RunSummary> summaries = pipeline::run(settings, progress);
  if (settings.on_line) return;  // stdout holds lines of JSON alone
  std::string text;
  for (const report::RunSummary& summary : summaries) text += (text.empty() ? "" : "\n") + report::to_text(summary);
  print_result(text);
}

}  // namespace

Job setup_run(CLI::App& app) {
  auto flags = std::make_shared<RunFlags>();
  RunFlags& f = *flags;
  app.footer(kRunFooter);
  app.add_option("BUNDLE", f.bundle, "The folder of a plan, its plan.json, or a bundle.pt");
  add_repeatable(app, "--video", "[STREAM=]FILE", f.videos,
                 "The video: a file, a folder of pictures, img_%03d.png (default: the plan's own); where the models "
                 "run on several streams, one for each: STREAM=FILE")
      ->group("Video");
  add_whole_number(app, "--stride", "N", f.stride, "Run on every Nth frame (default: 1)")->group("Video");
  add_whole_number(app, "--frames", "N", f.frames, "Stop after N frames (default: at the end)")->group("Video");
  add_text(app, "--models", "NAME,...", f.models, "Run these models alone (default: all, in one call)")
      ->group("Models");
  add_text(app, "--against", "PLAN", f.against, "Run the plan's original models as well, and compare")->group("Models");
  add_number(app, "--min-score", "S", f.min_score, "Least score of a detection (default: each model's score_threshold)")
      ->group("Models");
  for (const char* key : {"libraries", "threads"}) f.settings.add(app, "Models", key);
  f.settings.add(app, "Models", "device", "Where the models run: cpu, cuda or cuda:1 (default cpu)");
  add_text(app, "--draw", "FILE", f.draw,
           "Write a video (.mp4, .mov, .mkv, .avi, .webm) with the boxes: one tile per model, originals beside them")
      ->group("Output");
  add_text(app, "--json", "FILE", f.json, "Write a line of JSON per frame and model; -: to stdout")->group("Output");
  add_number(app, "--fps", "F", f.rate,
             "Frames per second of --draw's video (default: the speed of the video; 25 for pictures)")
      ->group("Output");
  app.add_flag("--force", f.force, "Replace FILE where it exists")->group("Output");
  return [flags](Progress& progress) { run_run(*flags, progress); };
}

}  // namespace repsim::cli
