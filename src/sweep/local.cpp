#include <signal.h>

#include <chrono>

#include "folders.hpp"
#include "process.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/sweep_engines.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kInterrupted = 130;  // exit code of a task that was asked to stop: it has no outcome

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Whether a task that ended so has an outcome. One that was asked to stop has none.
bool is_outcome(int exit_code) {
  return exit_code != kInterrupted && exit_code != 128 + SIGTERM && exit_code != 128 + SIGINT;
}

std::string ended_text(const std::string& folder, int exit_code) {
  if (exit_code == 0) return folder + ": done";
  return folder + (is_result(exit_code) ? ": done, nothing can be shared"
                                        : ": failed with exit code " + std::to_string(exit_code));
}

}  // namespace

struct ProcessRunner::Running {
  std::size_t task;
  FileDescriptor lock;
  pid_t child;
  Clock::time_point begin;
};

ProcessRunner::ProcessRunner(fs::path directory, const std::vector<Task>& tasks, Resources resources)
    : directory_(std::move(directory)), tasks_(tasks), resources_(std::move(resources)) {}

ProcessRunner::~ProcessRunner() { ProcessRunner::stop(); }

TaskRunner::Start ProcessRunner::start(std::size_t index) {
  const Task& task = tasks_[index];
  const fs::path folder = directory_ / task.folder;
  make_folder(folder);
  std::optional<FileDescriptor> lock = try_lock(folder);
  if (!lock) return Start::kBusy;
  if (status_of(directory_, task).state != TaskState::kPending) return Start::kEnded;
  prepare(directory_, task, resources_);
  const std::vector<std::string> arguments = command_of(task, directory_, resources_);
  const pid_t child = start_process({arguments, folder / "log.txt", lock->get(), true});
  running_.push_back(std::make_unique<Running>(Running{index, std::move(*lock), child, Clock::now()}));
  return Start::kStarted;
}

std::vector<std::size_t> ProcessRunner::ended() {
  std::vector<std::size_t> tasks;
  std::erase_if(running_, [&](const std::unique_ptr<Running>& one) {
    const std::optional<int> exit_code = exit_code_of(one->child);
    if (!exit_code) return false;
    const Task& task = tasks_[one->task];
    if (is_outcome(*exit_code))
      record_outcome(directory_ / task.folder, task.key, exit_code, seconds_since(one->begin));
    log::info(ended_text(task.folder, *exit_code));
    tasks.push_back(one->task);
    return true;
  });
  if (tasks.empty()) wait_a_moment();
  return tasks;
}

void ProcessRunner::stop() {
  for (const auto& one : running_) ::kill(one->child, SIGTERM);
  while (!running_.empty()) {
    std::erase_if(running_, [](const auto& one) { return exit_code_of(one->child).has_value(); });
    if (!running_.empty()) wait_a_moment();
  }
}

void run_task(const fs::path& folder, Progress& progress) {
  const PreparedTask task = read_prepared(folder);
  const std::optional<FileDescriptor> lock = try_lock(folder);
  if (!lock) throw input_error("another process runs this task", folder.string(), "wait until it has ended");
  // The kind of task decides only what its result is: a plan's is there beside the outcome.
  std::error_code failed;
  if (fs::is_regular_file(folder / "outcome.json", failed)) return;
  const Clock::time_point begin = Clock::now();
  const pid_t child = start_process({task.arguments, folder / "log.txt", lock->get(), false});
  progress.begin("task", 0);
  std::optional<int> exit_code;
  bool asked = false;
  while (!(exit_code = exit_code_of(child))) {
    if (progress.stop_requested() && !asked) {
      ::kill(child, SIGTERM);
      asked = true;
    }
    wait_a_moment();
  }
  if (!is_outcome(*exit_code)) throw Error(ErrorKind::kInterrupted, "interrupted", folder.string());
  record_outcome(folder, task.key, exit_code, seconds_since(begin));
  progress.end();
  log::info(ended_text(folder.filename().string(), *exit_code));
}

fs::path program_path() {
  std::error_code failed;
  const fs::path path = fs::read_symlink("/proc/self/exe", failed);
  if (failed) throw Error(ErrorKind::kInternal, "the system does not say where this program is", "/proc/self/exe");
  return path;
}

void prepare_all(const fs::path& directory, const std::vector<Task>& tasks, const std::vector<TaskStatus>& statuses,
                 const Resources& resources) {
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const fs::path folder = directory / tasks[i].folder;
    if (statuses[i].state == TaskState::kPending) {
      make_folder(folder);
      const std::optional<FileDescriptor> lock = try_lock(folder);
      if (lock) {
        if (status_of(directory, tasks[i]).state == TaskState::kPending) prepare(directory, tasks[i], resources);
        continue;
      }
      if (read_prepared(folder).key == tasks[i].key) continue;
      throw input_error("a process runs an earlier form of this task", folder.string(), "wait until it has ended");
    }
    // An engine sees an outcome alone. A plan of a sweep that was killed may have none.
    std::error_code failed;
    const bool is_plan_there = tasks[i].kind == TaskKind::kPlan && statuses[i].state == TaskState::kFinished;
    if (!is_plan_there || fs::is_regular_file(folder / "outcome.json", failed)) continue;
    record_outcome(folder, tasks[i].key, statuses[i].exit_code, statuses[i].seconds);
  }
}

}  // namespace repsim::sweep
