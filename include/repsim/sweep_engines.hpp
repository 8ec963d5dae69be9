#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "repsim/sweep.hpp"

/// What runs the tasks of a sweep: processes of this machine, Snakemake, Slurm. Every engine runs the same command
/// lines and leaves the same files.
namespace repsim::sweep {

/// Runs tasks, some at once. Tests run none.
class TaskRunner {
 public:
  virtual ~TaskRunner() = default;
  enum class Start {
    kStarted,
    kEnded,  ///< it has ended meanwhile: another process ran it
    kBusy,   ///< another process runs it
  };
  [[nodiscard]] virtual Start start(std::size_t task) = 0;
  /// Waits a moment. @return the tasks that ended since the last call
  [[nodiscard]] virtual std::vector<std::size_t> ended() = 0;
  /// Ends all tasks that run, and waits for them.
  virtual void stop() = 0;
};

/// Runs all tasks of a schedule, at most `jobs` at once.
/// @throws Error{kInterrupted} after the running tasks were stopped, when the user asked to stop
void run_all(Schedule& schedule, std::int64_t jobs, TaskRunner& runner, Progress& progress);

/// Runs tasks as processes of this program. A task's folder is locked while its process lives, also beyond the end of
/// this process.
class ProcessRunner : public TaskRunner {
 public:
  /// @param directory  of the sweep, absolute
  /// @param tasks  outlive this object
  ProcessRunner(std::filesystem::path directory, const std::vector<Task>& tasks, Resources resources);
  ~ProcessRunner() override;

  Start start(std::size_t task) override;
  std::vector<std::size_t> ended() override;
  void stop() override;

 private:
  struct Running;
  std::filesystem::path directory_;
  const std::vector<Task>& tasks_;
  Resources resources_;
  std::vector<std::unique_ptr<Running>> running_;
};

/// Runs one prepared task and records how it ended: the command of engines that start processes themselves. Does
/// nothing when the task has a result, or has failed.
/// @throws Error{kInput} when another process runs it, or task.json is missing; Error{kInterrupted}
void run_task(const std::filesystem::path& folder, Progress& progress);

/// The path of this program. @throws Error{kInternal} where the system does not say
[[nodiscard]] std::filesystem::path program_path();

/// Prepares all pending tasks for an engine that runs them later.
/// @throws Error{kInput} when another process runs a task that is no longer the same
void prepare_all(const std::filesystem::path& directory, const std::vector<Task>& tasks,
                 const std::vector<TaskStatus>& statuses, const Resources& resources);

/// A Snakefile that runs the tasks of tasks.json beside it, then the summary.
[[nodiscard]] std::string snakefile(const std::filesystem::path& program, const Resources& resources);

/// A job that sbatch took.
struct SubmittedJob {
  std::string id;
  std::string kind;  ///< "captures", "plans", "summary"
  std::string list;  ///< file of its tasks' folders, below the sweep's folder; empty: the summary
};

/// What Slurm still has of earlier calls: jobs that wait or run.
struct QueuedJobs {
  std::vector<SubmittedJob> jobs;
  std::set<std::string> folders;  ///< tasks, absolute

  /// Ids of the jobs of this kind.
  [[nodiscard]] std::vector<std::string> ids(const std::string& kind) const;
};

/// Asks squeue which of the jobs in slurm/jobs.json wait or run. Asks nothing where there are none.
/// @throws Error{kInput} when squeue does not say; Error{kInterrupted}
[[nodiscard]] QueuedJobs queued_jobs(const std::filesystem::path& directory, Progress& progress);

/// @param submitted  jobs of earlier calls
/// @param printed  by squeue: a line per waiting or running task, with the job's id and the task's index in its array
/// @param folders  of the tasks in a list, by the list's name
[[nodiscard]] QueuedJobs still_queued(const std::vector<SubmittedJob>& submitted, const std::string& printed,
                                      const std::map<std::string, std::vector<std::string>>& folders);

/// One call of sbatch.
struct SlurmJob {
  std::string kind;                    ///< as of a SubmittedJob
  std::vector<std::string> arguments;  ///< of sbatch, without the ids of dependencies
  std::vector<std::size_t> after;      ///< jobs (indices) that end before it
  std::vector<std::string> after_ids;  ///< jobs of earlier calls that end before it
  std::vector<std::string> folders;    ///< tasks of the array, absolute; empty: the summary
  std::string list;                    ///< file of these folders, below the sweep's folder
};

struct SlurmOptions {
  std::int64_t at_once = 0;          ///< tasks of one array at the same time; 0: as Slurm decides
  std::vector<std::string> options;  ///< of sbatch, for every job
  bool wait = false;                 ///< the last call ends with the sweep
};

/// Tasks of one array: Slurm's MaxArraySize is 1001 where nobody changed it.
inline constexpr std::size_t kLargestArray = 1000;

/// The jobs of a sweep: arrays of captures, then arrays of plans, then the summary. Tasks that Slurm has already are
/// left out; the new jobs wait for them where they need them.
/// @param pending  indices of the tasks that are to run
/// @return none where Slurm has all tasks and the summary, and nobody waits for it
[[nodiscard]] std::vector<SlurmJob> slurm_jobs(const std::filesystem::path& directory, const std::vector<Task>& tasks,
                                               const std::vector<std::size_t>& pending, const Resources& resources,
                                               const SlurmOptions& options, const QueuedJobs& queued);

/// Writes the lists and the script of the jobs, gives the jobs to sbatch, and records each in slurm/jobs.json as soon
/// as Slurm has it.
/// @param queued  stay recorded
/// @return the ids of the new jobs
/// @throws Error{kInput} when there is no sbatch, or it refuses a job; Error{kInterrupted}
std::vector<std::string> submit(const std::filesystem::path& directory, const std::vector<SlurmJob>& jobs,
                                const QueuedJobs& queued, const std::filesystem::path& program, Progress& progress);

}  // namespace repsim::sweep
