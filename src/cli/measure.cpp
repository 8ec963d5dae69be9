#include <algorithm>
#include <memory>
#include <string_view>

#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/measure_plan.hpp"
#include "repsim/measure_process.hpp"
#include "setting_flags.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kMeasureFooter = R"(Examples:
  repsim measure plan
  repsim measure plan --threads 1 --repeats 9 --out measured
  repsim measure plan --device cuda --batch 8 --json | jq .deployments

Runs in processes of their own, in turn: the originals, one process each; the originals in one
process; the bundle without shares; the plan's bundle. The honest baseline is the originals in one
process: one process each pays for the libraries several times, whatever the models are.
docs/measure.md explains the figures. With --out the folder holds measure.json and measure.html.
Exit codes: 0 done, 2 usage, 3 bad input (also: a model, the video or the bundle is not the plan's),
130 interrupted, 1 anything else.)";

struct MeasureFlags {
  std::string plan;
  std::optional<std::string> out, job;
  std::optional<std::int64_t> repeats, frames, batch;
  SettingFlags settings;
  bool json = false, force = false;
};

pipeline::MeasureSettings settings_of(const MeasureFlags& flags) {
  if (flags.plan.empty()) throw Error(ErrorKind::kUsage, "no plan is given", "repsim measure", "repsim measure DIR");
  pipeline::MeasureSettings settings;
  settings.plan = flags.plan;
  if (flags.out) settings.out = *flags.out;
  settings.force = flags.force;
  settings.repeats = one_or_more(flags.repeats, "--repeats", settings.repeats);
  settings.frames = one_or_more(flags.frames, "--frames", settings.frames);
  settings.batch = one_or_more(flags.batch, "--batch", settings.batch);
  config::Settings given;
  flags.settings.apply(given);
  settings.libraries = given.libraries;
  settings.threads = given.threads;
  settings.device = given.device;
  settings.command = [](const std::filesystem::path& job) {
    return std::vector<std::string>{"measure", kMeasureJobFlag, job.string(), "--log-json", "--progress", "never"};
  };
  return settings;
}

void run_measure(const MeasureFlags& flags, Progress& progress) {
  if (flags.job) {
    const measure::Job job = measure::job_from_json(read_json(*flags.job), *flags.job);
    return print_result(to_text(measure::to_json(measure::run_job(job, progress))));
  }
  const report::Measurement measurement = pipeline::measure(settings_of(flags), progress);
  print_result(flags.json ? to_text(report::to_json(measurement)) : report::to_text(measurement));
}

}  // namespace

bool is_measured_process(int argc, const char* const* argv) {
  return std::any_of(argv + 1, argv + argc, [](const char* text) { return std::string_view(text) == kMeasureJobFlag; });
}

Job setup_measure(CLI::App& app) {
  auto flags = std::make_shared<MeasureFlags>();
  MeasureFlags& f = *flags;
  app.footer(kMeasureFooter);
  app.add_option("PLAN", f.plan, "A plan.json, or the folder that holds it")->type_name("PLAN");
  const pipeline::MeasureSettings defaults;
  const auto with_default = [](const std::string& text, std::int64_t value) {
    return text + " (default " + std::to_string(value) + ")";
  };
  add_whole_number(app, "--repeats", "N", f.repeats,
                   with_default("Processes of each kind; figures are medians over them", defaults.repeats))
      ->group("Runs");
  add_whole_number(app, "--frames", "N", f.frames, with_default("Timed calls of each process", defaults.frames))
      ->group("Runs");
  add_whole_number(app, "--batch", "N", f.batch, with_default("Frames of one call", defaults.batch))->group("Runs");
  f.settings.add(app, "Runs", "threads", "CPU threads of each process (default: as many as the machine has cores)");
  f.settings.add(app, "Runs", "device", "Where the models run: cpu, cuda or cuda:1 (default cpu)");
  f.settings.add(app, "Runs", "libraries");
  app.add_flag("--json", f.json, "Print measure.json instead of the tables")->group("Output");
  add_text(app, "--out", "DIR", f.out, "Folder for measure.json and measure.html (default: nothing is written)")
      ->group("Output");
  app.add_flag("--force", f.force, "Replace them where they exist")->group("Output");
  add_text(app, kMeasureJobFlag, "FILE", f.job, "One process of a measurement")
      ->group("");  // the command itself uses it
  return [flags](Progress& progress) { run_measure(*flags, progress); };
}

}  // namespace repsim::cli
