// The order of tasks, stops and resumed sweeps, with a runner that runs nothing; what is told to Slurm and Snakemake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <set>

#include "base/error_matcher.hpp"
#include "repsim/base/error.hpp"
#include "repsim/sweep_engines.hpp"
#include "sweep/fixtures.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;
using testing::SizeIs;

std::vector<Task> tasks_with(const std::vector<std::vector<std::size_t>>& after) {
  std::vector<Task> tasks(after.size());
  for (std::size_t i = 0; i < after.size(); ++i) tasks[i].after = after[i];
  return tasks;
}

/// Tasks end in the order in which they began, one per look.
class FakeRunner : public TaskRunner {
 public:
  Start start(std::size_t task) override {
    if (busy_looks.contains(task) && busy_looks[task]-- > 0) return Start::kBusy;
    if (ended_elsewhere.contains(task)) return Start::kEnded;
    began.push_back(task);
    running_.push_back(task);
    most_at_once = std::max(most_at_once, running_.size());
    return Start::kStarted;
  }
  std::vector<std::size_t> ended() override {
    ++looks;
    if (running_.empty()) return {};
    const std::size_t task = running_.front();
    running_.pop_front();
    if (on_end) on_end(task);
    return {task};
  }
  void stop() override { stopped.assign(running_.begin(), running_.end()); }

  std::map<std::size_t, int> busy_looks;  ///< tasks that another process runs for so many looks
  std::set<std::size_t> ended_elsewhere;
  std::function<void(std::size_t)> on_end;
  std::vector<std::size_t> began, stopped;
  std::size_t most_at_once = 0;
  int looks = 0;

 private:
  std::deque<std::size_t> running_;
};

/// Asks to stop after so many steps.
class StopAfter : public SilentProgress {
 public:
  explicit StopAfter(std::int64_t steps) : left_(steps) {}
  void advance(std::int64_t steps) override { left_ -= steps; }
  [[nodiscard]] bool stop_requested() const override { return left_ <= 0; }

 private:
  std::int64_t left_;
};

void run(const std::vector<Task>& tasks, const std::vector<TaskStatus>& statuses, std::int64_t jobs,
         FakeRunner& runner) {
  Schedule schedule(tasks, statuses);
  SilentProgress progress;
  run_all(schedule, jobs, runner, progress);
}

TEST(SweepSchedule, RunsEachTaskOnceAfterThoseBeforeIt) {
  const auto tasks = tasks_with({{}, {}, {0}, {0, 1}, {1}});
  for (const std::int64_t jobs : {1, 2, 3, 9}) {
    FakeRunner runner;
    std::set<std::size_t> done;
    runner.on_end = [&](std::size_t task) { done.insert(task); };
    run(tasks, std::vector<TaskStatus>(5), jobs, runner);
    EXPECT_EQ(std::set<std::size_t>(runner.began.begin(), runner.began.end()).size(), 5U);
    EXPECT_EQ(runner.began.size(), 5U);
    EXPECT_LE(runner.most_at_once, static_cast<std::size_t>(jobs));
    EXPECT_EQ(done.size(), 5U);
  }
}

TEST(SweepSchedule, StartsNoTaskBeforeThoseBeforeItHaveEnded) {
  const auto tasks = tasks_with({{}, {}, {0}, {0, 1}});
  FakeRunner runner;
  std::set<std::size_t> ended;
  runner.on_end = [&](std::size_t task) {
    for (const std::size_t before : tasks[task].after) EXPECT_TRUE(ended.contains(before));
    ended.insert(task);
  };
  run(tasks, std::vector<TaskStatus>(4), 4, runner);
  EXPECT_THAT(runner.began, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(runner.most_at_once, 2U);  // 2 and 3 wait
}

TEST(SweepSchedule, LeavesOutWhatIsFinishedOrFailed) {
  std::vector<TaskStatus> statuses(4);
  statuses[0].state = TaskState::kFinished;
  statuses[3].state = TaskState::kFailed;
  FakeRunner runner;
  run(tasks_with({{}, {}, {0, 1}, {0}}), statuses, 2, runner);
  EXPECT_THAT(runner.began, ElementsAre(1, 2));
}

TEST(SweepSchedule, EndsAtOnceWithoutAnythingToDo) {
  FakeRunner runner;
  run({}, {}, 1, runner);
  EXPECT_EQ(runner.looks, 0);
}

TEST(SweepSchedule, ComesBackToWhatAnotherProcessRuns) {
  FakeRunner runner;
  runner.busy_looks = {{0, 3}};
  run(tasks_with({{}, {}, {}}), std::vector<TaskStatus>(3), 1, runner);
  EXPECT_THAT(runner.began, SizeIs(3));
  EXPECT_EQ(runner.began.front(), 1U);
}

TEST(SweepSchedule, WaitsWhereAllThatIsLeftRunsElsewhere) {
  FakeRunner runner;
  runner.busy_looks = {{0, 5}};
  runner.ended_elsewhere = {0};
  run(tasks_with({{}, {0}}), std::vector<TaskStatus>(2), 2, runner);
  EXPECT_THAT(runner.began, ElementsAre(1));
  EXPECT_GE(runner.looks, 5);
}

TEST(SweepSchedule, StopsWhatRunsWhenAskedTo) {
  Schedule schedule(tasks_with({{}, {}, {}, {}}), std::vector<TaskStatus>(4));
  FakeRunner runner;
  StopAfter progress(1);
  EXPECT_EQ(error_of([&] { run_all(schedule, 2, runner, progress); }).value().kind(), ErrorKind::kInterrupted);
  EXPECT_THAT(runner.began, ElementsAre(0, 1));
  EXPECT_THAT(runner.stopped, ElementsAre(1));
}

/// A sweep on disk whose tasks end as a table says, and which is killed after some of them.
TEST(SweepResume, RedoesNothingThatIsFinishedHoweverOftenItIsKilled) {
  const SweepFolder folder({"a", "b", "c", "d"});
  const fs::path out = folder / "out";
  const auto tasks = folder.tasks(folder.small());
  const Resources resources{1, {}, "/cache"};
  std::map<std::size_t, int> runs;
  std::mt19937 random(3);
  int kills = 0;
  while (true) {
    Schedule schedule(tasks, statuses_of(out, tasks));
    if (schedule.is_done()) break;
    ASSERT_LT(kills, 100);
    FakeRunner runner;
    runner.on_end = [&](std::size_t task) {
      ++runs[task];
      prepare(out, tasks[task], resources);
      const bool fails = task == tasks.size() - 1;
      if (tasks[task].kind == TaskKind::kPlan && !fails) finish_plan(out, tasks[task]);
      const bool is_recorded = tasks[task].kind == TaskKind::kCapture || fails || random() % 2 == 0;
      if (is_recorded) record_outcome(out / tasks[task].folder, tasks[task].key, fails ? 3 : 0, 1);
    };
    StopAfter progress(1 + static_cast<std::int64_t>(random() % 3));
    static_cast<void>(error_of([&] { run_all(schedule, 2, runner, progress); }));
    ++kills;
  }
  EXPECT_GT(kills, 3);
  EXPECT_EQ(runs.size(), tasks.size());
  for (const auto& [task, count] : runs) EXPECT_EQ(count, 1) << tasks[task].folder;
  EXPECT_EQ(status_of(out, tasks.back()).state, TaskState::kFailed);
}

// ---- Snakemake ----

TEST(Snakefile, NamesTheProgramAsATextOfPython) {
  const std::string text = snakefile("/opt/a \"b\"/repsim", {3, 2'500'000'000, ""});
  EXPECT_THAT(text, HasSubstr(R"(REPSIM = "/opt/a \"b\"/repsim")"));
  EXPECT_THAT(text, HasSubstr("threads: 3\n"));
  EXPECT_THAT(text, HasSubstr("mem_mb=2500,"));
  EXPECT_THAT(text, Not(HasSubstr("@")));
}

// ---- Slurm ----

class SlurmJobs : public testing::Test {
 protected:
  static std::vector<Task> many(std::size_t captures, std::size_t plans) {
    std::vector<Task> tasks(captures + plans);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      tasks[i].kind = i < captures ? TaskKind::kCapture : TaskKind::kPlan;
      tasks[i].folder = "t" + std::to_string(i);
    }
    return tasks;
  }
  static std::vector<SlurmJob> jobs(const std::vector<Task>& tasks, const SlurmOptions& options = {},
                                    const QueuedJobs& queued = {}) {
    std::vector<std::size_t> pending(tasks.size());
    for (std::size_t i = 0; i < tasks.size(); ++i) pending[i] = i;
    return slurm_jobs("/s", tasks, pending, {4, {}, "/cache"}, options, queued);
  }
};

TEST_F(SlurmJobs, PlansWaitForCapturesAndTheSummaryForAll) {
  const auto found = jobs(many(2, 3));
  ASSERT_THAT(found, SizeIs(3));
  EXPECT_THAT(found[0].folders, ElementsAre("/s/t0", "/s/t1"));
  EXPECT_THAT(found[0].arguments, AllOf(Contains("--array=0-1"), Contains("--cpus-per-task=4")));
  EXPECT_THAT(found[1].after, ElementsAre(0));
  EXPECT_THAT(found[1].arguments, Contains("--array=0-2"));
  EXPECT_THAT(found[2].folders, IsEmpty());
  EXPECT_THAT(found[2].after, ElementsAre(0, 1));
}

TEST_F(SlurmJobs, ArraysHaveAThousandTasksAtMost) {
  const auto found = jobs(many(0, 2500));
  ASSERT_THAT(found, SizeIs(4));
  std::size_t tasks = 0;
  std::set<std::string> lists;
  for (const SlurmJob& job : found) {
    EXPECT_THAT(job.folders.size(), Le(1000U));
    tasks += job.folders.size();
    if (!job.folders.empty()) lists.insert(job.list);
  }
  EXPECT_EQ(tasks, 2500U);
  EXPECT_EQ(lists.size(), 3U);
  EXPECT_THAT(found[2].arguments, Contains("--array=0-499"));
}

TEST_F(SlurmJobs, TakeOptionsAndALimit) {
  SlurmOptions options;
  options.at_once = 7;
  options.options = {"--partition=cpu"};
  options.wait = true;
  const auto found = jobs(many(0, 2), options);
  EXPECT_THAT(found[0].arguments,
              AllOf(Contains("--array=0-1%7"), Contains("--partition=cpu"), Not(Contains("--wait"))));
  EXPECT_THAT(found[1].arguments, AllOf(Contains("--partition=cpu"), Contains("--wait")));
}

// Captures 0 and 1 and the summary of an earlier call wait or run.
const std::vector<SubmittedJob> kSubmitted{
    {"12", "captures", "slurm/c.txt"}, {"13", "plans", "slurm/p.txt"}, {"14", "summary", ""}};
const std::map<std::string, std::vector<std::string>> kLists{{"slurm/c.txt", {"/s/t0", "/s/t1"}},
                                                             {"slurm/p.txt", {"/s/t2", "/s/t3"}}};

TEST_F(SlurmJobs, ThatWaitAreNotSubmittedAgain) {
  const QueuedJobs queued = still_queued(kSubmitted, "12 1\n13 0\n13 1\n14 N/A\n99 0\n", kLists);
  EXPECT_EQ(queued.folders, (std::set<std::string>{"/s/t1", "/s/t2", "/s/t3"}));
  const auto found = jobs(many(2, 3), {}, queued);
  ASSERT_THAT(found, SizeIs(3));
  EXPECT_THAT(found[0].folders, ElementsAre("/s/t0"));
  EXPECT_THAT(found[1].folders, ElementsAre("/s/t4"));
  EXPECT_THAT(found[1].after, ElementsAre(0));
  EXPECT_THAT(found[1].after_ids, ElementsAre("12"));  // it may need the capture that waits there
  EXPECT_THAT(found[2].after_ids, testing::UnorderedElementsAre("12", "13"));
}

TEST_F(SlurmJobs, AreNoneWhereSlurmHasAll) {
  const QueuedJobs queued = still_queued(kSubmitted, "12 0\n12 1\n13 0\n13 1\n14 N/A\n", kLists);
  EXPECT_THAT(jobs(many(2, 2), {}, queued), IsEmpty());
  SlurmOptions options;
  options.wait = true;
  EXPECT_THAT(jobs(many(2, 2), options, queued), SizeIs(1));  // a summary to wait for
}

TEST_F(SlurmJobs, WithoutASummaryGetOne) {
  const QueuedJobs queued = still_queued(kSubmitted, "12 0\n12 1\n13 0\n13 1\n", kLists);
  const auto found = jobs(many(2, 2), {}, queued);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].kind, "summary");
  EXPECT_THAT(found[0].after_ids, testing::UnorderedElementsAre("12", "13"));
}

TEST_F(SlurmJobs, ThatHaveEndedAreForgotten) {
  for (const char* printed : {"", "120 0\n", "x\n"}) {
    const QueuedJobs queued = still_queued(kSubmitted, printed, kLists);
    EXPECT_THAT(queued.jobs, IsEmpty()) << printed;
    EXPECT_THAT(queued.folders, IsEmpty()) << printed;
  }
}

// Jobs that wait read their list when they begin.
TEST_F(SlurmJobs, OfOtherTasksHaveOtherLists) {
  const auto all = jobs(many(0, 3)), fewer = jobs(many(0, 2));
  EXPECT_NE(all[0].list, fewer[0].list);
  EXPECT_EQ(all[0].list, jobs(many(0, 3))[0].list);
}

TEST_F(SlurmJobs, AreAskedForOnlyWhereSomeWereSubmitted) {
  const SweepFolder folder;
  SilentProgress progress;
  EXPECT_THAT(queued_jobs(folder / "out", progress).jobs, IsEmpty());
}

// ---- Engines that run later ----

TEST(PrepareAll, RecordsResultsThatNobodyRecorded) {
  const SweepFolder folder;
  const fs::path out = folder / "out";
  const auto tasks = folder.tasks(folder.small());
  const Resources resources{1, {}, "/cache"};
  prepare(out, tasks.back(), resources);
  finish_plan(out, tasks.back());
  prepare_all(out, tasks, statuses_of(out, tasks), resources);
  EXPECT_TRUE(fs::exists(out / tasks.back().folder / "outcome.json"));
  EXPECT_EQ(status_of(out, tasks.back()).state, TaskState::kFinished);
  for (std::size_t i = 0; i + 1 < tasks.size(); ++i) EXPECT_EQ(read_prepared(out / tasks[i].folder).key, tasks[i].key);
}

}  // namespace
}  // namespace repsim::sweep
