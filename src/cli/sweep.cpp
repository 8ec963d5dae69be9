#include "repsim/sweep.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "cache_flag.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/machine.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/sweep_engines.hpp"
#include "repsim/sweep_summary.hpp"
#include "setting_flags.hpp"
#include "sweep_dry_run.hpp"

namespace repsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSweepFooter = R"(Examples:
  repsim sweep sweep.json --out sweep --dry-run
  repsim sweep sweep.json --out sweep --captures-only
  repsim sweep sweep.json --out sweep --jobs 4
  repsim sweep sweep.json --out sweep --engine slurm --threads 4 --sbatch-option=--mem=8G --wait
  repsim sweep sweep.json --out sweep --engine snakemake

docs/sweep.md and configs/sweep.schema.json explain the file. The same command goes on where an
earlier one stopped, also where it was killed: what is finished is not done again. Failed plans stay
failed until --retry-failed. DIR holds the plans, and summary.html, .md, .csv and .json.
Exit codes: 0 every plan is finished (or was handed to the engine), 2 usage, 3 bad input or plans
failed, 130 interrupted, 1 anything else.)";

struct SweepFlags {
  std::string file;
  std::optional<std::string> out, cache, engine, task;
  std::optional<std::int64_t> jobs;
  std::vector<std::string> sbatch_options;
  SettingFlags settings;
  bool dry_run = false, retry_failed = false, wait = false, summary = false, captures_only = false;
};

Error usage_error(const std::string& problem, const std::string& where, const std::string& remedy) {
  return {ErrorKind::kUsage, problem, where, remedy};
}

std::string engine_of(const SweepFlags& flags) {
  static const std::vector<std::string> kEngines{"local", "slurm", "snakemake"};
  const std::string engine = flags.engine.value_or("local");
  if (std::find(kEngines.begin(), kEngines.end(), engine) == kEngines.end())
    throw usage_error("unknown value '" + engine + "'", "--engine", did_you_mean(engine, kEngines));
  if (engine != "slurm" && (flags.wait || !flags.sbatch_options.empty()))
    throw usage_error("only the engine slurm has it", flags.wait ? "--wait" : "--sbatch-option", "--engine slurm");
  return engine;
}

fs::path directory_of(const SweepFlags& flags) {
  if (!flags.out || flags.out->empty()) throw usage_error("no output folder is given", "repsim sweep", "--out DIR");
  return sweep::absolute_path(*flags.out);
}

/// A folder of something else is not taken for that of a sweep.
void check_directory(const fs::path& directory, const std::string& shown) {
  std::error_code failed;
  if (!fs::exists(directory, failed) || fs::exists(directory / "tasks.json", failed)) return;
  if (!fs::is_directory(directory, failed)) throw input_error("it is no folder", shown, "another --out");
  if (fs::is_empty(directory, failed)) return;
  throw input_error("the folder is not empty, and no sweep made it", shown, "another --out");
}

std::int64_t jobs_of(const SweepFlags& flags) {
  if (flags.jobs && *flags.jobs < 1) throw usage_error("the value is not 1 or more", "--jobs", "--jobs 2");
  return flags.jobs.value_or(1);
}

/// Jobs of one machine divide its cores and the memory limit. Slurm divides by itself.
sweep::Resources resources_of(const SweepFlags& flags, const std::string& engine, std::int64_t jobs,
                              const std::string& cache) {
  config::Settings given;
  flags.settings.apply(given);
  sweep::Resources resources;
  const std::int64_t cores = std::max(1, usable_cores());
  resources.threads = given.threads > 0 ? given.threads : static_cast<int>(std::max<std::int64_t>(1, cores / jobs));
  resources.memory_limit = given.memory_limit;
  if (resources.memory_limit && engine != "slurm")
    resources.memory_limit = std::max<std::int64_t>(1, *resources.memory_limit / jobs);
  if (!cache.empty()) resources.cache = sweep::absolute_path(cache).string();
  return resources;
}

/// All that is known before anything runs.
struct PlannedSweep {
  fs::path directory;
  sweep::Sweep sweep;
  std::vector<sweep::Task> tasks;
  std::vector<sweep::TaskStatus> statuses;

  [[nodiscard]] std::vector<std::size_t> pending() const {
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (statuses[i].state == sweep::TaskState::kPending) indices.push_back(i);
    }
    return indices;
  }
};

/// No pending plan has use of these captures: they count as finished.
void leave_out_needless_captures(PlannedSweep& planned) {
  std::vector<bool> is_needed(planned.tasks.size(), false);
  for (const std::size_t index : planned.pending()) {
    for (const std::size_t before : planned.tasks[index].after) is_needed[before] = true;
  }
  for (std::size_t i = 0; i < planned.tasks.size(); ++i) {
    const bool is_capture = planned.tasks[i].kind == sweep::TaskKind::kCapture;
    if (is_capture && !is_needed[i] && planned.statuses[i].state == sweep::TaskState::kPending)
      planned.statuses[i].state = sweep::TaskState::kFinished;
  }
}

/// Only captures are of this run.
void leave_out_plans(PlannedSweep& planned) {
  for (std::size_t i = 0; i < planned.tasks.size(); ++i) {
    if (planned.tasks[i].kind == sweep::TaskKind::kPlan) planned.statuses[i].state = sweep::TaskState::kLeftOut;
  }
}

PlannedSweep planned_sweep(const SweepFlags& flags, bool with_captures, Progress& progress) {
  if (flags.file.empty()) throw usage_error("no sweep is given", "repsim sweep", "repsim sweep SWEEP.json --out DIR");
  PlannedSweep planned{directory_of(flags), sweep::read_sweep(flags.file), {}, {}};
  check_directory(planned.directory, *flags.out);
  planned.tasks = sweep::tasks_of(planned.sweep, sweep::hashes_of(planned.sweep, progress), with_captures);
  planned.statuses = sweep::statuses_of(planned.directory, planned.tasks);
  if (flags.retry_failed) {
    for (std::size_t i = 0; i < planned.tasks.size(); ++i) {
      if (planned.statuses[i].state != sweep::TaskState::kFailed) continue;
      planned.statuses[i] = {};
      if (!flags.dry_run) sweep::forget_failure(planned.directory, planned.tasks[i]);
    }
  }
  leave_out_needless_captures(planned);
  if (flags.captures_only) leave_out_plans(planned);
  return planned;
}

/// @throws Error{kInput} where not every plan is finished, or, of captures alone, where one failed
void finish(const fs::path& directory, const SweepFlags& flags, Progress& progress) {
  const std::string& shown = *flags.out;
  const report::SweepSummary summary = sweep::summarise(directory, progress);
  sweep::write_summary(directory, summary);
  print_result(report::to_text(summary) + "\n" + (fs::path(shown) / "summary.html").string() + "\n");
  if (flags.captures_only) {
    if (summary.failed_captures.empty()) return;
    throw input_error(fmt::format("{} captures failed", summary.failed_captures.size()),
                      (fs::path(shown) / "summary.md").string(),
                      "the logs that the summary names; then --retry-failed");
  }
  const std::int64_t failed = summary.count("failed"), pending = summary.count("pending");
  if (failed + pending == 0) return;
  throw input_error(
      fmt::format("{} of {} plans failed{}", failed, summary.plans.size(),
                  pending > 0 ? fmt::format(", {} did not end", pending) : ""),
      (fs::path(shown) / "summary.md").string(),
      failed > 0 ? "the logs that the summary names; then --retry-failed" : "the same command goes on with the others");
}

void run_on_slurm(const SweepFlags& flags, const PlannedSweep& planned, const sweep::Resources& resources,
                  Progress& progress) {
  sweep::SlurmOptions options;
  options.at_once = flags.jobs.value_or(0);
  options.options = flags.sbatch_options;
  options.wait = flags.wait;
  const sweep::QueuedJobs queued = sweep::queued_jobs(planned.directory, progress);
  const std::vector<sweep::SlurmJob> jobs =
      sweep::slurm_jobs(planned.directory, planned.tasks, planned.pending(), resources, options, queued);
  if (!queued.folders.empty())
    log::info(fmt::format("{} tasks wait or run already, submitted earlier", queued.folders.size()));
  std::vector<std::string> ids;
  try {
    ids = sweep::submit(planned.directory, jobs, queued, sweep::program_path(), progress);
  } catch (const Error&) {
    // With --wait sbatch ends as the summary does, which says more itself.
    std::error_code failed;
    if (!flags.wait || !fs::exists(planned.directory / "summary.json", failed)) throw;
  }
  if (flags.wait) return finish(planned.directory, flags, progress);
  print_result((ids.empty() ? "nothing to submit: Slurm has all tasks already" : "submitted: " + join(ids, " ")) +
               "\nThe last job writes " + (fs::path(*flags.out) / "summary.html").string() + "\n");
}

void run_sweep_file(const SweepFlags& flags, Progress& progress) {
  const std::string engine = engine_of(flags);
  const std::int64_t jobs = jobs_of(flags);
  const std::string cache = flags.dry_run ? named_cache_folder(flags.cache) : cache_folder(flags.cache);
  const sweep::Resources resources = resources_of(flags, engine, jobs, cache);
  PlannedSweep planned = planned_sweep(flags, !cache.empty(), progress);
  if (flags.dry_run) return print_result(sweep_dry_run(planned.tasks, planned.statuses, jobs, resources, progress));
  sweep::write_tasks(planned.directory, planned.tasks, planned.sweep.boxes);
  log::info(fmt::format("{} tasks to do, {} threads each", planned.pending().size(), resources.threads));
  if (engine == "local") {
    sweep::ProcessRunner runner(planned.directory, planned.tasks, resources);
    sweep::Schedule schedule(planned.tasks, planned.statuses);
    sweep::run_all(schedule, jobs, runner, progress);
    return finish(planned.directory, flags, progress);
  }
  sweep::prepare_all(planned.directory, planned.tasks, planned.statuses, resources);
  std::error_code ignored;
  fs::remove(planned.directory / "summary.json", ignored);  // an engine writes it when all has ended
  if (engine == "slurm") return run_on_slurm(flags, planned, resources, progress);
  const fs::path path = planned.directory / "Snakefile";
  write_file_atomically(path, sweep::snakefile(sweep::program_path(), resources));
  print_result(fmt::format("snakemake --snakefile {} --cores {}{}\n", (fs::path(*flags.out) / "Snakefile").string(),
                           resources.threads * jobs, flags.captures_only ? " captures" : ""));
}

void run_sweep(const SweepFlags& flags, Progress& progress) {
  if (!flags.task && !flags.summary) return run_sweep_file(flags, progress);
  const char* flag = flags.task ? "--task" : "--summary";
  if (!flags.file.empty() || (flags.task && flags.summary))
    throw usage_error("this flag needs no sweep beside it: the folder says all", flag,
                      flags.task ? "repsim sweep --task FOLDER" : "repsim sweep --summary --out DIR");
  if (flags.task) return sweep::run_task(sweep::absolute_path(*flags.task), progress);
  finish(directory_of(flags), flags, progress);
}

}  // namespace

Job setup_sweep(CLI::App& app) {
  auto flags = std::make_shared<SweepFlags>();
  SweepFlags& f = *flags;
  app.footer(kSweepFooter);
  app.add_option("SWEEP", f.file, "What is to be planned: models, sets, videos, settings, boxes")->type_name("FILE");
  add_text(app, "--out", "DIR", f.out,
           "Folder for the plans and the summary; an earlier run of the sweep goes on there")
      ->group("Output");
  app.add_flag("--dry-run", f.dry_run, "List the tasks, what is there already, and about how long the others take")
      ->group("Output");
  app.add_flag("--summary", f.summary, "Write the summary of what is in DIR, and run nothing")->group("Output");
  app.add_flag("--captures-only", f.captures_only,
               "Capture, and say in the summary how alike the models are; make no plans")
      ->group("Output");
  app.add_flag("--retry-failed", f.retry_failed, "Run failed tasks again")->group("Output");
  add_text(app, "--engine", "local|slurm|snakemake", f.engine,
           "What runs the tasks: processes of this machine (default), arrays of Slurm, or a Snakefile for Snakemake 9")
      ->group("Engine");
  add_whole_number(app, "--jobs", "N", f.jobs, "Tasks at once (default 1; slurm: as many as it has room for)")
      ->group("Engine");
  add_repeatable(app, "--sbatch-option", "OPTION", f.sbatch_options, "An option of sbatch for every job of Slurm")
      ->group("Engine");
  app.add_flag("--wait", f.wait, "With Slurm: end when the sweep ends, not when it is submitted")->group("Engine");
  add_text(app, "--task", "DIR", f.task, "Run one task that a sweep prepared; engines call this")->group("Engine");
  add_cache(app, f.cache)->group("Settings");
  f.settings.add(app, "Settings", "threads", "CPU threads of each task (default: cores divided by --jobs)");
  f.settings.add(
      app, "Settings", "memory_limit",
      "Memory of all tasks together (800M, 2G), divided by --jobs; with Slurm of each task (default: no limit)");
  return [flags](Progress& progress) { run_sweep(*flags, progress); };
}

}  // namespace repsim::cli
