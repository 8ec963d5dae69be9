#include <algorithm>

#include "folders.hpp"
#include "process.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/text.hpp"
#include "repsim/sweep_engines.hpp"
#include "slurm_queue.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigitsOfList = 16;

constexpr const char* kScript = R"sh(#!/bin/sh
# Written by repsim sweep. One task of a list, or the summary of a folder.
case $2 in
  task) exec "$1" sweep --task "$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$3")" --quiet ;;
  summary) exec "$1" sweep --summary --out "$3" ;;
esac
)sh";

/// Arrays of one kind of task. @return the indices of the jobs
std::vector<std::size_t> add_arrays(std::vector<SlurmJob>& jobs, const std::vector<std::string>& folders,
                                    const std::string& kind, const std::vector<std::size_t>& after,
                                    const std::vector<std::string>& common, std::int64_t at_once) {
  std::vector<std::size_t> added;
  for (std::size_t begin = 0; begin < folders.size(); begin += kLargestArray) {
    const std::size_t end = std::min(folders.size(), begin + kLargestArray);
    SlurmJob job;
    job.kind = kind;
    job.after = after;
    job.folders.assign(folders.begin() + static_cast<std::ptrdiff_t>(begin),
                       folders.begin() + static_cast<std::ptrdiff_t>(end));
    // Jobs of earlier calls may still read their lists: another list has another name.
    job.list = "slurm/" + kind + "-" + sha256(join(job.folders, "\n")).substr(0, kDigitsOfList) + ".txt";
    job.arguments = {"--job-name=repsim-" + kind, "--array=0-" + std::to_string(end - begin - 1) +
                                                      (at_once > 0 ? "%" + std::to_string(at_once) : "")};
    job.arguments.insert(job.arguments.end(), common.begin(), common.end());
    added.push_back(jobs.size());
    jobs.push_back(std::move(job));
  }
  return added;
}

/// @param ids  of jobs that were submitted before
std::string printed_by_sbatch(const std::vector<std::string>& command, const std::vector<std::string>& ids,
                              Progress& progress) {
  try {
    return output_of(command, "Slurm's client programs, or --engine local", progress);
  } catch (const Error& error) {
    if (ids.empty()) throw;
    throw Error(error.kind(), error.problem(), error.where(),
                (error.remedy().empty() ? "" : error.remedy() + "; ") + "scancel " + join(ids, " ") +
                    " ends what was submitted before");
  }
}

}  // namespace

std::vector<SlurmJob> slurm_jobs(const fs::path& directory, const std::vector<Task>& tasks,
                                 const std::vector<std::size_t>& pending, const Resources& resources,
                                 const SlurmOptions& options, const QueuedJobs& queued) {
  std::vector<std::string> captures, plans;
  for (const std::size_t index : pending) {
    std::string folder = (directory / tasks[index].folder).string();
    if (queued.folders.contains(folder)) continue;
    (tasks[index].kind == TaskKind::kCapture ? captures : plans).push_back(std::move(folder));
  }
  if (captures.empty() && plans.empty() && !queued.ids("summary").empty() && !options.wait) return {};
  std::vector<std::string> common{"--output=" + (directory / "slurm" / "%x-%j.out").string()};
  common.insert(common.end(), options.options.begin(), options.options.end());
  std::vector<std::string> of_tasks{"--cpus-per-task=" + std::to_string(resources.threads)};
  of_tasks.insert(of_tasks.end(), common.begin(), common.end());

  std::vector<SlurmJob> jobs;
  const std::vector<std::size_t> before = add_arrays(jobs, captures, "captures", {}, of_tasks, options.at_once);
  const std::vector<std::string> waiting = queued.ids("captures");
  for (const std::size_t index : add_arrays(jobs, plans, "plans", before, of_tasks, options.at_once))
    jobs[index].after_ids = waiting;
  SlurmJob summary;
  summary.kind = "summary";
  summary.after_ids = queued.ids("plans");
  summary.after_ids.insert(summary.after_ids.end(), waiting.begin(), waiting.end());
  summary.arguments = {"--job-name=repsim-summary"};
  summary.arguments.insert(summary.arguments.end(), common.begin(), common.end());
  if (options.wait) summary.arguments.emplace_back("--wait");
  for (std::size_t i = 0; i < jobs.size(); ++i) summary.after.push_back(i);
  jobs.push_back(std::move(summary));
  return jobs;
}

std::vector<std::string> submit(const fs::path& directory, const std::vector<SlurmJob>& jobs, const QueuedJobs& queued,
                                const fs::path& program, Progress& progress) {
  const fs::path script = directory / "slurm" / "task.sh";
  make_folder(script.parent_path());
  write_file_atomically(script, kScript);
  for (const SlurmJob& job : jobs) {
    if (!job.folders.empty()) write_file_atomically(directory / job.list, join(job.folders, "\n") + "\n");
  }
  std::vector<SubmittedJob> known = queued.jobs;
  std::vector<std::string> ids;
  progress.begin("submit", static_cast<std::int64_t>(jobs.size()));
  for (const SlurmJob& job : jobs) {
    std::vector<std::string> command{"sbatch", "--parsable"};
    command.insert(command.end(), job.arguments.begin(), job.arguments.end());
    std::string after;
    for (const std::size_t index : job.after) after += ":" + ids.at(index);
    for (const std::string& id : job.after_ids) after += ":" + id;
    if (!after.empty()) command.push_back("--dependency=afterany" + after);
    command.push_back(script.string());
    command.push_back(program.string());
    if (job.folders.empty()) {
      command.insert(command.end(), {"summary", directory.string()});
    } else {
      command.insert(command.end(), {"task", (directory / job.list).string()});
    }
    const std::string printed = printed_by_sbatch(command, ids, progress);
    ids.push_back(printed.substr(0, printed.find_first_of(";\n")));
    known.push_back({ids.back(), job.kind, job.list});
    write_submitted(directory, known);
    progress.step();
  }
  progress.end();
  return ids;
}

}  // namespace repsim::sweep
