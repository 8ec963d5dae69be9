// From a sweep to its tasks: which there are, what decides their keys, what is finished.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error_matcher.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"
#include "sweep/fixtures.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

std::vector<Task> of_kind(const std::vector<Task>& tasks, TaskKind kind) {
  std::vector<Task> found;
  for (const Task& task : tasks) {
    if (task.kind == kind) found.push_back(task);
  }
  return found;
}

TEST(SweepTasks, CaptureEachModelOncePerVideoAndFrames) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(folder.read(
      R"("models": ["*.pt"], "video": ["v.mp4", "w.mp4"], "grid": {"merge.min_fidelity": [0.9, 0.95], "seed": [1, 2]})"));
  EXPECT_THAT(of_kind(tasks, TaskKind::kCapture), SizeIs(3 * 2));
  EXPECT_THAT(of_kind(tasks, TaskKind::kPlan), SizeIs(3 * 2 * 4));
}

// The case that sweeps are for: captures grow with models and videos, not with sets.
TEST(SweepTasks, FortyModelsOnSixVideosAre240Captures) {
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("m" + std::to_string(100 + i));
  const SweepFolder folder(names);
  std::string videos;
  for (int i = 0; i < 6; ++i)
    videos += (i > 0 ? ", " : "") + std::string(R"({"path": "v.mp4", "name": "cam)") + std::to_string(i) + "\"}";
  const auto tasks = folder.tasks(folder.read(R"("models": ["*.pt"], "video": [)" + videos + "]"));
  EXPECT_THAT(of_kind(tasks, TaskKind::kCapture), SizeIs(240));
  EXPECT_THAT(of_kind(tasks, TaskKind::kPlan), SizeIs(40 * 39 / 2 * 6));
}

TEST(SweepTasks, CaptureAgainForOtherFrames) {
  const SweepFolder folder;
  EXPECT_THAT(of_kind(folder.tasks(folder.small(R"("grid": {"frames.count": [64, 128]})")), TaskKind::kCapture),
              SizeIs(6));
}

TEST(SweepTasks, PlansComeAfterTheCapturesOfTheirModels) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(folder.small(R"("sets": [["c", "a"]])"));
  ASSERT_THAT(tasks, SizeIs(3));
  EXPECT_THAT(tasks[2].after, ElementsAre(0, 1));
  EXPECT_THAT(tasks[0].models, ElementsAre("c"));
  EXPECT_THAT(tasks[1].models, ElementsAre("a"));
}

TEST(SweepTasks, CaptureNothingWithoutACache) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(folder.small(), false);
  EXPECT_THAT(tasks, SizeIs(3));
  EXPECT_THAT(tasks[0].after, IsEmpty());
}

TEST(SweepTasks, HaveFoldersOfTheirOwn) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(
      folder.read(R"("models": ["*.pt"], "video": ["v.mp4", "w.mp4"], "grid": {"merge.min_fidelity": [0.9, 0.95]})"));
  std::set<std::string> folders, keys;
  for (const Task& task : tasks) {
    folders.insert(task.folder);
    keys.insert(task.key);
  }
  EXPECT_EQ(folders.size(), tasks.size());
  EXPECT_EQ(keys.size(), tasks.size());
  EXPECT_THAT(folders, Contains("plans/a+b/w,merge.min_fidelity=0.95"));
  EXPECT_THAT(folders, Contains("captures/a/v,256,0.3"));
}

TEST(SweepTasks, AreNamedDefaultWithoutAnythingToTellThemApart) {
  const SweepFolder folder;
  EXPECT_EQ(folder.tasks(folder.small()).back().folder, "plans/b+c/default");
}

TEST(FolderName, KeepsPlainNamesAndMakesOthersPlain) {
  EXPECT_EQ(folder_name("a+b=0.9,x_1-Z"), "a+b=0.9,x_1-Z");
  const std::vector<std::string> texts{"a/b", "..", "", "a b", "-x", ".x", "\xc3\xa4", std::string(300, 'x')};
  for (const std::string& text : texts) {
    const std::string name = folder_name(text);
    EXPECT_NE(name, text);
    EXPECT_LT(name.size(), 120U);
    EXPECT_THAT(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-"), std::string::npos) << name;
    EXPECT_NE(name.front(), '.');
    EXPECT_NE(name.front(), '-');
  }
  EXPECT_NE(folder_name("a/b"), folder_name("a b"));
}

TEST(SweepTasks, GiveEachPlanAConfigThatReadsBack) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(folder.small(
      R"("settings": {"merge": {"max_trials": 3, "min_fidelity": 0.5}}, "grid": {"merge.min_fidelity": [0.9, 0.95]})"));
  const auto settings = config::settings_from_json(tasks.back().config, "config.json", "");
  EXPECT_EQ(settings.max_trials, 3);
  EXPECT_EQ(settings.min_fidelity, 0.95);
  EXPECT_EQ(settings.videos.at(0).path, folder / "v.mp4");
  ASSERT_THAT(settings.models, SizeIs(2));
  EXPECT_EQ(settings.models[0].path, folder / "b.pt");
}

TEST(SweepTasks, LeaveOutWhatSettingsSayOfModelsOfOtherSets) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(folder.small(
      R"("settings": {"merge": {"keep": ["a"], "min_fidelity": {"default": 0.8, "a": 0.99}}}, "sets": [["a", "b"], ["b", "c"]])"));
  const auto with = config::settings_from_json(tasks[tasks.size() - 2].config, "", "");
  const auto without = config::settings_from_json(tasks.back().config, "", "");
  EXPECT_THAT(with.keep, ElementsAre("a"));
  EXPECT_EQ(with.min_fidelity_for("a"), 0.99);
  EXPECT_THAT(without.keep, IsEmpty());
  EXPECT_THAT(without.min_fidelity_of, IsEmpty());
}

TEST(SweepTasks, RefuseSettingsThatNameNoModelOfTheSweep) {
  const SweepFolder folder;
  const auto error =
      error_of([&] { static_cast<void>(folder.tasks(folder.small(R"("settings": {"merge": {"keep": ["aa"]}})"))); });
  EXPECT_EQ(error.value().kind(), ErrorKind::kInput);
  EXPECT_THAT(error.value().what(), HasSubstr("s.json: set a+b"));
}

TEST(SweepTasks, RefuseASetWithoutADirectionThatMayShare) {
  const SweepFolder folder;
  const auto error =
      error_of([&] { static_cast<void>(folder.tasks(folder.small(R"("settings": {"merge": {"share": ["a<-b"]}})"))); });
  EXPECT_THAT(error.value().what(), HasSubstr("set a+c"));
}

// ---- Keys ----

class TaskKeys : public testing::Test {
 protected:
  /// Whether a change gives the plan of a and b another key.
  template <typename Change>
  bool changes_key(const Change& change) {
    const std::string before = key();
    change();
    return key() != before;
  }
  std::string key() const {
    for (const Task& task : folder_.tasks(folder_.small(members_))) {
      if (task.folder.starts_with("plans/a+b/")) return task.key;
    }
    return {};
  }

  SweepFolder folder_;
  std::string members_;
};

TEST_F(TaskKeys, StayWithoutAChange) {
  EXPECT_FALSE(changes_key([] {}));
}
TEST_F(TaskKeys, DependOnTheContentOfModels) {
  EXPECT_TRUE(changes_key([&] { test::write_text(folder_ / "a.pt", "other"); }));
}
TEST_F(TaskKeys, DependOnTheContentOfTheVideo) {
  EXPECT_TRUE(changes_key([&] { test::write_text(folder_ / "v.mp4", "other"); }));
}
TEST_F(TaskKeys, DependOnSettings) {
  EXPECT_TRUE(changes_key([&] { members_ = R"("settings": {"seed": 7})"; }));
}
TEST_F(TaskKeys, DoNotDependOnModelsOfOtherSets) {
  EXPECT_FALSE(changes_key([&] { test::write_text(folder_ / "c.pt", "other"); }));
}
TEST_F(TaskKeys, DoNotDependOnBoxes) {
  EXPECT_FALSE(changes_key([&] { members_ = R"("boxes": {"nano": 7})"; }));
}

// ---- Command lines ----

TEST(SweepCommand, SharesTheMachineAsTold) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(folder.small());
  const auto plan = command_of(tasks.back(), "/sweep", {3, 1000, "/cache"});
  EXPECT_THAT(plan, ElementsAre("plan", "--config", "/sweep/plans/b+c/default/config.json", "--out",
                                "/sweep/plans/b+c/default/plan", "--force", "--cache", "/cache", "--threads", "3",
                                "--memory-limit", "1000", "--progress", "never"));
  EXPECT_THAT(command_of(tasks.front(), "/sweep", {3, {}, "/cache"}),
              ElementsAre("capture", folder / "a.pt", "--video", folder / "v.mp4", "--frames", "256", "--holdout",
                          "0.3", "--device", "cpu", "--out", "/sweep/" + tasks.front().folder + "/model.signatures",
                          "--force", "--cache", "/cache", "--threads", "3", "--progress", "never"));
}

TEST(SweepCommand, GivesCapturesTheInputOfTheModel) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(
      folder.read(R"("models": [{"path": "*.pt", "input": {"width": 32, "height": 16}}], "video": "v.mp4")"));
  EXPECT_THAT(tasks.front().arguments, Contains("--input"));
  EXPECT_THAT(tasks.front().arguments.back(), HasSubstr("32x16"));
}

// ---- What is finished ----

class TaskFiles : public testing::Test {
 protected:
  SweepFolder folder_;
  fs::path out_ = folder_ / "out";
  std::vector<Task> tasks_ = folder_.tasks(folder_.small());
  const Task& capture_ = tasks_.front();
  const Task& plan_ = tasks_.back();
  Resources resources_{1, {}, "/cache"};

  TaskState state(const Task& task) const { return status_of(out_, task).state; }
};

TEST_F(TaskFiles, NothingIsFinishedAtFirst) { EXPECT_EQ(state(plan_), TaskState::kPending); }

TEST_F(TaskFiles, APreparedTaskIsPending) {
  prepare(out_, plan_, resources_);
  EXPECT_EQ(state(plan_), TaskState::kPending);
  const PreparedTask read = read_prepared(out_ / plan_.folder);
  EXPECT_EQ(read.key, plan_.key);
  EXPECT_EQ(read.arguments, command_of(plan_, out_, resources_));
  EXPECT_EQ(read_json(out_ / plan_.folder / "config.json"), plan_.config);
}

TEST_F(TaskFiles, APlanIsFinishedOnceItIsThere) {
  prepare(out_, plan_, resources_);
  finish_plan(out_, plan_);
  EXPECT_EQ(state(plan_), TaskState::kFinished);
}

// The process ended, but the sweep was killed before it recorded that.
TEST_F(TaskFiles, TheTimeOfAPlanWithoutOutcomeIsThatOfItsRun) {
  prepare(out_, plan_, resources_);
  finish_plan(out_, plan_);
  EXPECT_FALSE(status_of(out_, plan_).seconds.has_value());
  test::write_text(out_ / plan_.folder / "plan" / "run.json", R"({"seconds": {"load": 1.5, "capture": 2}})");
  EXPECT_EQ(status_of(out_, plan_).seconds, 3.5);
}

TEST_F(TaskFiles, AnOutcomeWithoutAPlanIsNoResult) {
  prepare(out_, plan_, resources_);
  record_outcome(out_ / plan_.folder, plan_.key, 0, 1);
  EXPECT_EQ(state(plan_), TaskState::kPending);
}

TEST_F(TaskFiles, ACaptureIsFinishedByItsExitCode) {
  prepare(out_, capture_, resources_);
  EXPECT_EQ(state(capture_), TaskState::kPending);
  record_outcome(out_ / capture_.folder, capture_.key, 0, 2.5);
  EXPECT_EQ(state(capture_), TaskState::kFinished);
  EXPECT_EQ(status_of(out_, capture_).seconds, 2.5);
}

TEST_F(TaskFiles, NothingToShareIsAResult) {
  prepare(out_, plan_, resources_);
  finish_plan(out_, plan_);
  record_outcome(out_ / plan_.folder, plan_.key, 4, 1);
  EXPECT_EQ(state(plan_), TaskState::kFinished);
  EXPECT_EQ(status_of(out_, plan_).exit_code, 4);
}

TEST_F(TaskFiles, OtherExitCodesAreFailuresUntilForgotten) {
  prepare(out_, plan_, resources_);
  record_outcome(out_ / plan_.folder, plan_.key, 3, 1);
  EXPECT_EQ(state(plan_), TaskState::kFailed);
  forget_failure(out_, plan_);
  EXPECT_EQ(state(plan_), TaskState::kPending);
}

TEST_F(TaskFiles, ATaskOfAnotherKeyIsPendingAndItsResultGoes) {
  prepare(out_, plan_, resources_);
  finish_plan(out_, plan_);
  record_outcome(out_ / plan_.folder, plan_.key, 0, 1);
  Task changed = plan_;
  changed.key = "another";
  EXPECT_EQ(state(changed), TaskState::kPending);
  prepare(out_, changed, resources_);
  EXPECT_FALSE(fs::exists(out_ / plan_.folder / "plan"));
  EXPECT_EQ(state(changed), TaskState::kPending);
  EXPECT_EQ(state(plan_), TaskState::kPending);
}

TEST_F(TaskFiles, ADamagedRecordCountsAsNone) {
  prepare(out_, plan_, resources_);
  finish_plan(out_, plan_);
  test::write_text(out_ / plan_.folder / "task.json", "{\"key\":");
  EXPECT_EQ(state(plan_), TaskState::kPending);
}

TEST_F(TaskFiles, TheListOfTasksReadsBack) {
  write_tasks(out_, tasks_, {{"nano", 512}});
  const TaskList read = read_tasks(out_);
  ASSERT_THAT(read.tasks, SizeIs(tasks_.size()));
  EXPECT_EQ(read.boxes.at(0).bytes, 512);
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    EXPECT_EQ(read.tasks[i].kind, tasks_[i].kind);
    EXPECT_EQ(read.tasks[i].folder, tasks_[i].folder);
    EXPECT_EQ(read.tasks[i].key, tasks_[i].key);
    EXPECT_EQ(read.tasks[i].after, tasks_[i].after);
    EXPECT_EQ(read.tasks[i].models, tasks_[i].models);
    EXPECT_EQ(read.tasks[i].values, tasks_[i].values);
  }
}

// ---- Estimates ----

TEST_F(TaskFiles, TimeIsThatOfFinishedTasksOfTheSameKind) {
  std::vector<TaskStatus> statuses(tasks_.size());  // 3 captures, 3 plans
  EXPECT_FALSE(estimated_hours(tasks_, statuses, 1).has_value());
  statuses[0] = {TaskState::kFinished, 0, 36.0};
  EXPECT_FALSE(estimated_hours(tasks_, statuses, 1).has_value());
  statuses[3] = {TaskState::kFinished, 0, 360.0};
  statuses[4] = {TaskState::kFailed, 3, 1.0};
  EXPECT_NEAR(estimated_hours(tasks_, statuses, 1).value(), (2 * 36.0 + 360.0) / 3600, 1e-12);
  EXPECT_NEAR(estimated_hours(tasks_, statuses, 4).value(), (2 * 36.0 + 360.0) / 3600 / 4, 1e-12);
}

TEST(SweepTasks, PlanOnSeveralVideosTogether) {
  const SweepFolder folder;
  const auto tasks = folder.tasks(folder.read(R"("models": ["a.pt", "b.pt"],
      "video": ["v.mp4", {"name": "all", "videos": ["v.mp4", {"path": "w.mp4", "weight": 2}]}])"));
  ASSERT_THAT(tasks, SizeIs(6));  // two captures and a plan on one video, two captures and a plan on both
  const Task& plan = tasks.back();
  EXPECT_EQ(plan.video, "all");
  const auto settings = config::settings_from_json(plan.config, "config.json", "");
  ASSERT_THAT(settings.videos, SizeIs(2));
  EXPECT_EQ(settings.videos[1].path, folder / "w.mp4");
  EXPECT_EQ(settings.videos[1].weight, 2);
  // The captures take the frames of the plan: weights included.
  for (const std::size_t capture : plan.after) {
    const std::vector<std::string>& arguments = tasks[capture].arguments;
    const auto set = std::find(arguments.begin(), arguments.end(), "--set");
    ASSERT_NE(set, arguments.end());
    EXPECT_EQ(std::find(arguments.begin(), arguments.end(), "--video"), arguments.end());
    Json config;
    config::apply_override(config, *std::next(set));
    const auto captured = config::settings_from_json(config, "config.json", "");
    ASSERT_THAT(captured.videos, SizeIs(2));
    EXPECT_EQ(captured.videos[1].weight, 2);
    EXPECT_EQ(captured.videos[1].path, folder / "w.mp4");
  }
}

TEST(SweepTasks, OfSeveralVideosDependOnTheContentOfEach) {
  const SweepFolder folder;
  const std::string members = R"("models": ["a.pt", "b.pt"], "video": [{"videos": ["v.mp4", "w.mp4"]}])";
  const std::string before = folder.tasks(folder.read(members)).back().key;
  test::write_text(folder / "w.mp4", "changed");
  EXPECT_NE(folder.tasks(folder.read(members)).back().key, before);
}

}  // namespace
}  // namespace repsim::sweep
