// Plans on several videos: each video is split for itself, and what is stated of one video is what that video alone
// gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/temp_folder.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/session.hpp"
#include "repsim/signature_jobs.hpp"

namespace repsim::pipeline {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::Lt;
using testing::SizeIs;

/// A plan of two fixtures on two videos of different lengths and sizes, made once.
struct Shared {
  test::TempFolder folder;
  Settings settings;
  report::Plan plan;

  /// @param raw  compares raw outputs
  explicit Shared(bool raw) {
    settings = test::fixture_settings(folder, {"small", "wide"});
    test::write_avi(folder / "north.avi", 60, test::patches);
    test::write_avi(folder / "south.avi", 30, [](std::int64_t i) { return test::noise_frame(i, 80, 40); });
    settings.videos = {{(folder / "north.avi").string(), "north"}, {(folder / "south.avi").string(), "south"}};
    settings.frames = 72;
    settings.threads = 1;
    settings.max_trials = 2;
    settings.min_fidelity = 0;
    settings.share = {{"small", "wide"}};
    if (raw) {
      for (model::ModelSpec& model : settings.models) model.output.format = model::OutputFormat::kTensor;
    }
    SilentProgress silent;
    plan = pipeline::plan(settings, folder / "out", false, silent).plan;
  }
};

class PlanOnTwoVideos : public testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    for (const bool raw : {false, true}) shared_[raw ? 1 : 0] = std::make_unique<Shared>(raw);
  }
  static void TearDownTestSuite() {
    for (auto& one : shared_) one.reset();
  }
  [[nodiscard]] const Shared& shared() const { return *shared_[GetParam() ? 1 : 0]; }

  static inline std::unique_ptr<Shared> shared_[2];
};

INSTANTIATE_TEST_SUITE_P(Outputs, PlanOnTwoVideos, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "raw" : "detections"; });

TEST_P(PlanOnTwoVideos, SplitsEachVideoInTime) {
  const report::Plan& plan = shared().plan;
  ASSERT_THAT(plan.videos, SizeIs(2));
  EXPECT_EQ(plan.video_frames, 90);
  std::int64_t all = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto fit = report::frames_in_video(plan.videos, i, plan.calibration_frames),
               choose = report::frames_in_video(plan.videos, i, plan.selection_frames),
               judge = report::frames_in_video(plan.videos, i, plan.holdout_frames);
    ASSERT_FALSE(fit.empty() || choose.empty() || judge.empty());
    EXPECT_LT(fit.back(), choose.front());
    EXPECT_LT(choose.back(), judge.front());
    EXPECT_THAT(judge, Each(Lt(plan.videos[i].frame_count)));
    all += std::ssize(fit) + std::ssize(choose) + std::ssize(judge);
  }
  EXPECT_GE(all, 72);  // more where evidence was looked for
}

TEST_P(PlanOnTwoVideos, ReadsBackAsItWasWritten) {
  const std::string text = read_file(shared().folder / "out" / "plan.json");
  EXPECT_EQ(repsim::to_text(report::to_json(report::plan_from_json(parse_json(text, "plan.json"), "plan.json"))), text);
}

TEST_P(PlanOnTwoVideos, IsTheSameTwice) {
  SilentProgress silent;
  test::TempFolder other;
  static_cast<void>(plan(shared().settings, other / "out", false, silent));
  for (const char* file : {"plan.json", "similarity.json", "bundle.pt", "report.html"})
    EXPECT_EQ(read_file(other / "out" / file), read_file(shared().folder / "out" / file)) << file;
}

/// What a bundle keeps on the plan's test frames of one video, measured on that video alone.
verify::Fidelity measured_alone(const Shared& of, std::size_t video, std::size_t model) {
  const session::Runtime runtime({1, {}, {}});
  SilentProgress silent;
  session::SessionOptions options;
  for (std::size_t i = 0; i < of.settings.models.size(); ++i) {
    model::ModelSpec spec = of.settings.models[i];
    spec.output = of.plan.models[i].output;
    options.models.push_back({spec, "flags"});
  }
  options.videos = {{of.settings.videos[video].path}};
  const session::Session session(runtime, options, silent);
  const std::vector<session::FrameSet> sets{{report::frames_in_video(of.plan.videos, video, of.plan.holdout_frames)}};
  const std::vector<capture::Stores> stores = session.decode(sets, silent);
  verify::BundleCheck check;
  check.bundle_path = (of.folder / "out" / "bundle.pt").string();
  check.models = session.checked_models();
  check.set = &session.set;
  check.frames = &stores.front();
  return verify::check_bundle(check, silent)[model].fidelity;
}

TEST_P(PlanOnTwoVideos, StatesOfEachVideoWhatItAloneGives) {
  const Shared& of = shared();
  ASSERT_THAT(of.plan.shares, SizeIs(1));
  for (std::size_t model = 0; model < 2; ++model) {
    const verify::Fidelity& stated = of.plan.models[model].fidelity;
    ASSERT_THAT(stated.videos, SizeIs(2));
    std::int64_t frames = 0, own = 0, false_alarms = 0;
    for (std::size_t video = 0; video < 2; ++video) {
      const verify::VideoFidelity& one = stated.videos[video];
      const verify::Fidelity alone = measured_alone(of, video, model);
      EXPECT_EQ(one.video, of.plan.videos[video].name);
      ASSERT_EQ(one.value.has_value(), alone.value.has_value());
      if (one.value) {
        EXPECT_NEAR(*one.value, *alone.value, 1e-5);  // batches are others, so values round otherwise
        EXPECT_NEAR(one.interval.low, alone.interval.low, 1e-4);
        EXPECT_NEAR(one.interval.high, alone.interval.high, 1e-4);
      }
      EXPECT_EQ(one.frames, alone.frames);
      EXPECT_EQ(one.own_detections, alone.own_detections);
      EXPECT_EQ(one.false_alarms, alone.false_alarms);
      EXPECT_EQ(one.kept, alone.kept);
      frames += one.frames;
      own += one.own_detections;
      false_alarms += one.false_alarms;
    }
    EXPECT_EQ(frames, stated.frames);
    EXPECT_EQ(own, stated.own_detections);
    EXPECT_EQ(false_alarms, stated.false_alarms);
  }
  EXPECT_FALSE(of.plan.models[0].fidelity.bit_identical);
}

TEST_P(PlanOnTwoVideos, SaysInWordsWhatEachVideoGives) {
  const Shared& of = shared();
  const std::string summary = report::summary(of.plan), page = read_file(of.folder / "out" / "report.html");
  for (const char* name : {"north", "south"}) {
    EXPECT_THAT(summary, HasSubstr("\n    " + std::string(name) + ": "));
    EXPECT_THAT(page, HasSubstr("<div class=\"note\">" + std::string(name) + ": "));
    EXPECT_THAT(page, HasSubstr("video " + std::string(name)));
  }
}

TEST_P(PlanOnTwoVideos, VerifiesAgainToTheSameFigures) {
  const Shared& of = shared();
  VerifySettings settings;
  settings.plan = of.folder / "out";
  settings.threads = 1;
  SilentProgress silent;
  const report::Verification verification = verify(settings, silent);
  EXPECT_EQ(verification.frames, of.plan.holdout_frames);
  for (std::size_t model = 0; model < 2; ++model) {
    ASSERT_THAT(verification.models[model].fidelity.videos, SizeIs(2));
    for (std::size_t video = 0; video < 2; ++video) {
      EXPECT_EQ(verification.models[model].fidelity.videos[video].value,
                of.plan.models[model].fidelity.videos[video].value);
    }
  }
}

// On the plan's own videos, more frames come from behind where each video's test frames begin.
TEST_P(PlanOnTwoVideos, VerifiesOnFramesThatNoFitHasSeen) {
  const Shared& of = shared();
  VerifySettings settings;
  settings.plan = of.folder / "out";
  settings.threads = 1;
  settings.frames = 14;  // all that there are
  SilentProgress silent;
  const report::Verification verification = verify(settings, silent);
  ASSERT_THAT(verification.frames, SizeIs(14));
  for (std::size_t i = 0; i < 2; ++i) {
    const auto judged = report::frames_in_video(of.plan.videos, i, verification.frames);
    const auto first = report::frames_in_video(of.plan.videos, i, of.plan.holdout_frames).front();
    EXPECT_FALSE(judged.empty());
    EXPECT_THAT(judged, Each(Ge(first)));
  }
}

TEST(SeveralVideosSignatures, ComeFromTheCacheForTheSameVideosInTheSameOrderOnly) {
  test::TempFolder folder;
  Settings settings = test::fixture_settings(folder, {"small"});
  test::write_avi(folder / "north.avi", 30, test::patches);
  test::write_avi(folder / "south.avi", 30, [](std::int64_t i) { return test::noise_frame(i); });
  settings.videos = {{(folder / "north.avi").string(), "north"}, {(folder / "south.avi").string(), "south"}};
  settings.frames = 48;
  settings.threads = 1;
  settings.cache = (folder / "cache").string();
  SilentProgress silent;
  const auto origin = [&] { return capture(settings, silent).at(0).origin; };
  EXPECT_EQ(origin(), "captured");
  EXPECT_EQ(origin(), "cache");
  settings.videos[0].name = "another name";
  EXPECT_EQ(origin(), "cache");
  settings.videos[0].weight = 2;  // other frames
  EXPECT_EQ(origin(), "captured");
  settings.videos[0].weight = 1;
  std::swap(settings.videos[0], settings.videos[1]);
  EXPECT_EQ(origin(), "captured");
  settings.videos.pop_back();
  settings.frames = 24;
  EXPECT_EQ(origin(), "captured");
}

}  // namespace
}  // namespace repsim::pipeline
