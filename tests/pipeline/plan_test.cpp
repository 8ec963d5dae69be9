// The whole job on small fixtures: what is written, that it is the same twice, and that nothing stays behind when it
// fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

/// A folder with a video in it and settings for `models` on it.
struct Job {
  test::TempFolder folder;
  Settings settings;

  explicit Job(const std::vector<std::string>& models) {
    settings = test::fixture_settings(folder, models);
    settings.frames = 44;  // 31 calibrate: one minibatch
    settings.threads = 2;
    settings.max_trials = 6;
  }
  [[nodiscard]] fs::path out() const { return folder / "out"; }
  [[nodiscard]] std::string written(const std::string& file) const { return read_file(out() / file); }
};

Outcome run(const Job& job) {
  SilentProgress silent;
  return plan(job.settings, job.out(), false, silent);
}

/// One plan with a share, made once for all the tests that read it.
struct Shared {
  Job job{{"small", "wide"}};
  Outcome outcome;
  Shared() {
    job.settings.share = {{"small", "wide"}};
    job.settings.min_fidelity = 0;
    outcome = run(job);
  }
};

class PlanWithAShare : public testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = new Shared; }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  static Shared* shared_;
};
Shared* PlanWithAShare::shared_ = nullptr;

TEST_F(PlanWithAShare, WritesItsFilesAndNoOthers) {
  EXPECT_THAT(shared_->job.folder.entries(), UnorderedElementsAre("out", "video.avi"));
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(shared_->job.out()))
    files.push_back(entry.path().filename().string());
  EXPECT_THAT(files, UnorderedElementsAre("plan.json", "bundle.pt", "report.html", "similarity.json", "run.json"));
}

TEST_F(PlanWithAShare, ReadsBackAsItWasWritten) {
  const std::string text = shared_->job.written("plan.json");
  EXPECT_EQ(repsim::to_text(report::to_json(report::plan_from_json(parse_json(text, "plan.json"), "plan.json"))), text);
}

TEST_F(PlanWithAShare, SaysWhatTheBundleHolds) {
  const report::Plan& plan = shared_->outcome.plan;
  const std::string bytes = shared_->job.written("bundle.pt");
  EXPECT_EQ(plan.bundle_bytes, static_cast<std::int64_t>(bytes.size()));
  EXPECT_EQ(plan.bundle_sha256, sha256(bytes));
  EXPECT_EQ(plan.after.bytes, test::storage_bytes(test::load_bytes(bytes)));
  const test::Records records = test::records_of(bytes);
  EXPECT_LE(plan.bundle_bytes, plan.after.bytes + records.others + records.count * test::kZipBytesPerRecord);
}

TEST_F(PlanWithAShare, AddsUpItsBytes) {
  const report::Plan& plan = shared_->outcome.plan;
  ASSERT_EQ(plan.shares.size(), 1U);
  std::int64_t unused = 0;
  for (const std::string name : {"small", "wide"})
    unused += test::open_fixtures({name}).program(0).unused_parameter_bytes;
  EXPECT_EQ(plan.after.bytes, plan.before.bytes - unused - plan.exact.bytes_saved - plan.shares[0].bytes_removed +
                                  plan.shares[0].bytes_added);
}

// The figures that plan.json predicts stand beside what was measured, in the file that may differ between two runs.
TEST_F(PlanWithAShare, ReportsThePeakOfActivationsPredictedAndMeasured) {
  const report::Plan& plan = shared_->outcome.plan;
  const Json run = parse_json(shared_->job.written("run.json"), "run.json");
  const Json& peak = run["peak_activation_bytes"];
  EXPECT_EQ(peak["separate_models"]["predicted"], plan.before.peak_activation_bytes);
  EXPECT_EQ(peak["bundle"]["predicted"], plan.after.peak_activation_bytes);
  EXPECT_GT(peak["separate_models"]["measured"].get<std::int64_t>(), 0);
  EXPECT_GT(peak["bundle"]["measured"].get<std::int64_t>(), 0);
}

TEST_F(PlanWithAShare, StatesTheFidelityThatTheBundleHas) {
  const report::Plan& plan = shared_->outcome.plan;
  ASSERT_EQ(plan.shares.size(), 1U);
  EXPECT_EQ(plan.shares[0].measured_fidelity, plan.models[0].fidelity.value);
  EXPECT_FALSE(plan.models[0].fidelity.bit_identical);
  EXPECT_TRUE(plan.models[1].fidelity.bit_identical);
  EXPECT_EQ(plan.models[1].fidelity.value, 1);
}

/// What frames have of a figure, added up.
std::int64_t sum_of(const std::vector<verify::DifferingFrame>& frames, std::int64_t verify::DifferingFrame::* figure) {
  std::int64_t sum = 0;
  for (const verify::DifferingFrame& one : frames) sum += one.*figure;
  return sum;
}

TEST_F(PlanWithAShare, SaysWhatTheMergedModelMissesAndOnWhichFrames) {
  const report::Fidelity& merged = shared_->outcome.plan.models[0].fidelity;
  const report::Fidelity& untouched = shared_->outcome.plan.models[1].fidelity;
  EXPECT_EQ(untouched.kept, untouched.own_detections);
  EXPECT_EQ(untouched.false_alarms, 0);
  EXPECT_TRUE(untouched.worst_frames.empty());
  ASSERT_TRUE(merged.kept);
  const std::int64_t missed = merged.own_detections - *merged.kept;
  EXPECT_GT(missed + merged.false_alarms, 0);
  ASSERT_FALSE(merged.worst_frames.empty());
  EXPECT_LE(merged.worst_frames.size(), 8U);
  const bool all = merged.worst_frames.size() < 8;  // else these are only the worst
  const std::int64_t missed_there = sum_of(merged.worst_frames, &verify::DifferingFrame::missed),
                     false_there = sum_of(merged.worst_frames, &verify::DifferingFrame::false_alarms);
  EXPECT_LE(missed_there, missed);
  EXPECT_LE(false_there, merged.false_alarms);
  if (all) {
    EXPECT_EQ(missed_there, missed);
    EXPECT_EQ(false_there, merged.false_alarms);
  }
  const std::vector<std::int64_t>& judging = shared_->outcome.plan.holdout_frames;
  for (const verify::DifferingFrame& one : merged.worst_frames)
    EXPECT_EQ(std::count(judging.begin(), judging.end(), one.frame), 1) << one.frame;
  const std::string figures = "keeps " + std::to_string(*merged.kept) + " of";
  EXPECT_THAT(report::summary(shared_->outcome.plan), HasSubstr(figures));
  EXPECT_THAT(shared_->job.written("report.html"), HasSubstr(figures));
  const Json written = parse_json(shared_->job.written("plan.json"), "plan.json")["models"][0]["fidelity"];
  EXPECT_EQ(written["kept"], *merged.kept);
  EXPECT_EQ(written["false_alarms"], merged.false_alarms);
  EXPECT_EQ(written["worst_frames"].size(), merged.worst_frames.size());
  EXPECT_EQ(written["worst_frames"][0]["frame"], merged.worst_frames[0].frame);
}

TEST_F(PlanWithAShare, VerifiesAgainToTheSameFigures) {
  VerifySettings settings;
  settings.plan = shared_->job.out();
  SilentProgress silent;
  const report::Verification verification = verify(settings, silent);
  const report::Plan& plan = shared_->outcome.plan;
  ASSERT_EQ(verification.models.size(), 2U);
  EXPECT_NEAR(verification.models[0].fidelity.value.value_or(-1), plan.models[0].fidelity.value.value_or(-1), 1e-9);
  EXPECT_EQ(verification.models[0].fidelity.kept, plan.models[0].fidelity.kept);
  EXPECT_EQ(verification.models[0].fidelity.false_alarms, plan.models[0].fidelity.false_alarms);
  EXPECT_EQ(verification.models[0].fidelity.worst_frames.size(), plan.models[0].fidelity.worst_frames.size());
  EXPECT_TRUE(verification.models[1].fidelity.bit_identical);
  EXPECT_TRUE(verification.holds());
  EXPECT_EQ(verification.frames, plan.holdout_frames);
}

// Invariant 5 of docs/internals/contracts.md.
TEST_F(PlanWithAShare, IsTheSameInASecondRun) {
  const Job& first = shared_->job;
  Job second({"small", "wide"});
  second.settings = first.settings;  // the same video path too: it is in the plan
  (void)run(second);
  for (const std::string file : {"plan.json", "similarity.json", "bundle.pt"})
    EXPECT_EQ(first.written(file), second.written(file)) << file;
}

// From the first hold-out frame on, evenly: frames that no fit has seen, though the plan judged on others.
TEST_F(PlanWithAShare, VerifiesOnAsManyFramesOfTheHoldOutPartAsAskedFor) {
  const std::int64_t first = shared_->outcome.plan.holdout_frames.front();
  VerifySettings settings;
  settings.plan = shared_->job.out();
  settings.frames = 3;
  SilentProgress silent;
  const std::int64_t part = 50 - first;
  EXPECT_THAT(verify(settings, silent).frames, testing::ElementsAre(first, first + part / 3, first + 2 * part / 3));
  settings.frames = part + 1;
  EXPECT_THAT(test::error_text([&] { (void)verify(settings, silent); }),
              testing::AllOf(StartsWith("input: " + shared_->job.settings.videos.at(0).path),
                             HasSubstr("from the plan's hold-out on"), HasSubstr("--frames " + std::to_string(part))));
}

TEST_F(PlanWithAShare, VerifyRefusesAnotherBundle) {
  test::TempFolder folder;
  fs::copy(shared_->job.out(), folder / "copy");
  const std::string bytes = read_file(folder / "copy/bundle.pt");
  test::write_text(folder / "copy/bundle.pt", bytes + " ");
  VerifySettings settings;
  settings.plan = folder / "copy";
  SilentProgress silent;
  EXPECT_THAT(test::error_text([&] { (void)verify(settings, silent); }),
              testing::AllOf(StartsWith("input: "), HasSubstr("bundle.pt")));
}

TEST_F(PlanWithAShare, VerifyRefusesAPlanWithoutHoldOutFrames) {
  test::TempFolder folder;
  fs::copy(shared_->job.out(), folder / "copy");
  Json json = parse_json(shared_->job.written("plan.json"), "plan.json");
  json["frames"]["holdout"] = Json::array();
  test::write_text(folder / "copy/plan.json", repsim::to_text(json));
  VerifySettings settings;
  settings.plan = folder / "copy";
  settings.frames = 3;
  SilentProgress silent;
  EXPECT_THAT(test::error_text([&] { (void)verify(settings, silent); }),
              testing::AllOf(StartsWith("input: "), HasSubstr("plan.json: frames.holdout")));
}

TEST(Plan, WithNothingToShareIsWrittenAllTheSame) {
  Job job({"list", "counter"});  // one rewritable model alone
  const Outcome outcome = run(job);
  EXPECT_TRUE(outcome.plan.shares.empty());
  for (const report::ModelEntry& model : outcome.plan.models) {
    if (!model.rewritable) continue;
    EXPECT_TRUE(model.fidelity.bit_identical) << model.name;
  }
  EXPECT_TRUE(fs::exists(job.out() / "bundle.pt"));
}

// The frames of the models that gave signatures, wherever the one stands that gave none.
TEST(Plan, SaysOnHowManyFramesSWasTakenAlsoWhenTheFirstModelIsCarriedWhole) {
  Job job({"counter", "small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.max_trials = 1;
  const Outcome outcome = run(job);
  ASSERT_FALSE(outcome.plan.models[0].rewritable);
  const Json similarity = parse_json(job.written("similarity.json"), "similarity.json");
  EXPECT_EQ(similarity["frames"], 16);  // of the 31 that calibrate, one whole minibatch
  EXPECT_EQ(similarity["matrices"].size(), 1U);
}

TEST(Plan, SharesAFrozenBackboneExactly) {
  Job job({"frozen_a", "frozen_b"});
  job.settings.min_fidelity = 1;
  job.settings.max_trials = 1;
  const Outcome outcome = run(job);
  EXPECT_GT(outcome.plan.exact.bytes_saved, 0);
  EXPECT_EQ(outcome.plan.exact.ops_computed_once, 8);  // four convolutions and their normalisations
  for (const report::ModelEntry& model : outcome.plan.models) EXPECT_EQ(model.fidelity.value, 1) << model.name;
}

std::string failure_of(const Job& job) {
  return test::error_text([&] { (void)run(job); });
}

void expect_nothing_left(const Job& job) { EXPECT_THAT(job.folder.entries(), UnorderedElementsAre("video.avi")); }

TEST(FailedPlan, ForADamagedModelLeavesNothing) {
  Job job({"small", "wide"});
  const std::string bytes = read_file(test::fixture_path("wide"));
  test::TempFolder elsewhere;
  test::write_text(elsewhere / "wide.pt", bytes.substr(0, bytes.size() / 3));
  job.settings.models[1].path = (elsewhere / "wide.pt").string();
  EXPECT_THAT(failure_of(job), testing::AllOf(StartsWith("input: "), HasSubstr("wide.pt")));
  expect_nothing_left(job);
}

TEST(FailedPlan, ForAModelThatRaisesLeavesNothing) {
  Job job({"small", "raises"});
  EXPECT_THAT(failure_of(job), testing::AllOf(StartsWith("input: "), HasSubstr("a width of 31")));
  expect_nothing_left(job);
}

TEST(FailedPlan, ForTooFewFramesLeavesNothing) {
  Job job({"small", "wide"});
  job.settings.frames = 60;
  EXPECT_THAT(failure_of(job), testing::AllOf(StartsWith("input: "), HasSubstr("--frames")));
  expect_nothing_left(job);
}

TEST(FailedPlan, ForAnExistingFolderLeavesItAsItWas) {
  Job job({"small", "wide"});
  fs::create_directory(job.out());
  test::write_text(job.out() / "mine.txt", "mine");
  EXPECT_THAT(failure_of(job), testing::AllOf(StartsWith("input: "), HasSubstr("--force")));
  EXPECT_EQ(job.written("mine.txt"), "mine");
}

/// Asks to stop one step into the first stage that is not among `passed`. A stage is the first word of its tasks.
class Stop : public SilentProgress {
 public:
  explicit Stop(const std::set<std::string>& passed) : passed_(passed) {}
  void begin(std::string_view task, std::int64_t) override {
    if (!stopped_) stage_ = task.substr(0, task.find(' '));
  }
  void advance(std::int64_t steps) override { stopped_ = stopped_ || (steps > 0 && !passed_.contains(stage_)); }
  [[nodiscard]] bool stop_requested() const override { return stopped_; }
  [[nodiscard]] const std::string& stage() const { return stage_; }

 private:
  std::set<std::string> passed_;
  std::string stage_;
  bool stopped_ = false;
};

TEST(InterruptedPlan, EndsInEveryStageAndLeavesNothing) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.min_fidelity = 0;
  job.settings.max_trials = 1;
  // One stage further each time, until the plan is through.
  std::set<std::string> stages;
  for (bool through = false; !through;) {
    Stop stop(stages);
    try {
      (void)plan(job.settings, job.out(), false, stop);
      through = true;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kInterrupted) << error.what();
      ASSERT_TRUE(stages.insert(stop.stage()).second) << stop.stage() << " again";
      expect_nothing_left(job);
    }
  }
  EXPECT_THAT(stages, testing::IsSupersetOf({"load", "count", "decode", "capture", "screen", "fit", "measure"}));
}

TEST(TraceRun, TouchesNothing) {
  Job job({"small", "wide"});
  SilentProgress silent;
  const std::string text = report::to_text(dry_run(job.settings, job.out(), false, silent));
  EXPECT_THAT(text, testing::AllOf(HasSubstr("small"), HasSubstr("would consider small<-wide")));
  expect_nothing_left(job);
}

TEST(Inspect, ListsLayersAsTextAndJson) {
  const report::Inspection inspection = inspect(test::fixture_spec("small"));
  EXPECT_THAT(report::to_text(inspection), HasSubstr("backbone.stage3.2"));
  const Json json = report::to_json(inspection);
  EXPECT_EQ(json["layers"].size(), test::open_fixtures({"small"}).program(0).layers.size());
  EXPECT_EQ(json["transparent"], true);
}

TEST(Inspect, SaysWhyAModelIsCarriedWhole) { EXPECT_NE(inspect(test::fixture_spec("counter")).opaque_reason, ""); }

// The bundle cannot be loaded without the library: whoever gets the file has to learn that from it.
TEST(PlanWithOperators, ListsThemInTheBundleAndReadsOtherFormatsBesides) {
  Job job({"custom_op", "yolov8"});
  job.settings.libraries = {REPSIM_TEST_OPERATORS};
  job.settings.share = {{"custom_op", "yolov8"}};
  job.settings.min_fidelity = 0;
  job.settings.max_trials = 1;
  const Outcome outcome = run(job);
  std::unordered_map<std::string, std::string> extra{{"repsim.json", ""}};
  std::ignore = torch::jit::load((job.out() / "bundle.pt").string(), at::kCPU, extra);
  const Json manifest = parse_json(extra["repsim.json"], "repsim.json");
  const Json expected = Json::array({{{"library", fs::path(REPSIM_TEST_OPERATORS).filename().string()},
                                      {"operators", Json::array({"repsim_test::halve"})}}});
  EXPECT_EQ(manifest["operator_libraries"], expected);
  const report::ModelEntry& donor = outcome.plan.models[1];
  EXPECT_EQ(donor.output.format, model::OutputFormat::kYolov8);
  EXPECT_GT(donor.fidelity.own_detections, 0);
  EXPECT_EQ(donor.fidelity.value, 1.0);
}

}  // namespace
}  // namespace repsim::pipeline
