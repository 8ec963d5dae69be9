#include "repsim/sweep.hpp"
#include "repsim/sweep_engines.hpp"

namespace repsim::sweep {

Schedule::Schedule(const std::vector<Task>& tasks, const std::vector<TaskStatus>& statuses)
    : waits_for_(tasks.size()), followers_(tasks.size()) {
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (statuses[i].state != TaskState::kPending) continue;
    ++left_;
    for (const std::size_t before : tasks[i].after) {
      if (statuses[before].state != TaskState::kPending) continue;
      ++waits_for_[i];
      followers_[before].push_back(i);
    }
    if (waits_for_[i] == 0) ready_.push_back(i);
  }
}

std::optional<std::size_t> Schedule::next() {
  if (ready_.empty()) return std::nullopt;
  const std::size_t task = ready_.front();
  ready_.pop_front();
  return task;
}

void Schedule::settle(std::size_t task) {
  --left_;
  for (const std::size_t follower : followers_[task]) {
    if (--waits_for_[follower] == 0) ready_.push_back(follower);
  }
}

namespace {

/// Starts what is ready, as long as there is room. A task that another process runs comes again later.
/// @return how many tasks had ended already
std::int64_t start_ready(Schedule& schedule, std::size_t jobs, std::size_t& running, TaskRunner& runner) {
  std::int64_t ended = 0;
  std::vector<std::size_t> busy;
  while (running < jobs) {
    const std::optional<std::size_t> task = schedule.next();
    if (!task) break;
    switch (runner.start(*task)) {
      case TaskRunner::Start::kStarted:
        ++running;
        break;
      case TaskRunner::Start::kEnded:
        schedule.settle(*task);
        ++ended;
        break;
      case TaskRunner::Start::kBusy:
        busy.push_back(*task);
        break;
    }
  }
  for (const std::size_t task : busy) schedule.postpone(task);
  return ended;
}

}  // namespace

void run_all(Schedule& schedule, std::int64_t jobs, TaskRunner& runner, Progress& progress) {
  progress.begin("sweep", static_cast<std::int64_t>(schedule.left()));
  std::size_t running = 0;
  try {
    while (!schedule.is_done()) {
      if (const std::int64_t ended = start_ready(schedule, static_cast<std::size_t>(jobs), running, runner); ended > 0)
        progress.step(ended);
      if (schedule.is_done()) break;
      for (const std::size_t task : runner.ended()) {
        schedule.settle(task);
        --running;
        progress.step();
      }
      progress.step(0);  // asks whether to stop
    }
  } catch (...) {
    runner.stop();
    throw;
  }
  progress.end();
}

}  // namespace repsim::sweep
