// Whole plans for every layout of detections that trained detectors of this size return: recognised by itself, read,
// shared, measured, verified again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/patches.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

using testing::HasSubstr;

// What default_boxes() of tests/fixtures/make.py makes.
const model::Priors kPriors{{{8, 16}, {24, 32}}, {8, 16}};

struct Layout {
  const char* fixture;
  model::OutputFormat format;
  const char* reason;  ///< part of what auto says
  bool needs_priors = false;
  bool input_from_archive = false;
};

constexpr const char* kBackground = "probabilities of 3 classes, background first; boxes are x1 y1 x2 y2";

const Layout kLayouts[] = {
    {"yolov5", model::OutputFormat::kYolov5, "one per cell of 3 x (8x6 + 4x3), 2 classes"},
    {"yolov5.traced", model::OutputFormat::kYolov5, "one per cell of 3 x (8x6 + 4x3), 2 classes", false, true},
    {"ssd", model::OutputFormat::kSsd, kBackground},
    {"ssd.traced", model::OutputFormat::kSsd, kBackground},
    {"ssd_regressions", model::OutputFormat::kSsd,
     "logits of 3 classes, background first; boxes are regressions from 120 priors", true},
    {"landmark_ssd", model::OutputFormat::kLandmarkSsd,
     "probabilities of 2 classes, background first; boxes are regressions from 120 priors", true},
};

model::ModelSpec spec_of(const Layout& layout) {
  model::ModelSpec spec = test::fixture_spec(layout.fixture);
  if (layout.needs_priors) spec.output.ssd.priors = kPriors;
  if (layout.input_from_archive) spec.input.reset();
  return spec;
}

class Formats : public testing::TestWithParam<Layout> {};

TEST_P(Formats, ArePlannedMeasuredAndVerified) {
  const Layout& layout = GetParam();
  test::TempFolder folder;
  test::write_avi(folder / "video.avi", 50, test::patches);
  Settings settings;
  settings.models = {spec_of(layout), test::fixture_spec("wide")};
  settings.models[0].name = "detector";
  settings.input_sources = {layout.input_from_archive ? "" : "flags", "flags"};
  settings.videos = {{(folder / "video.avi").string()}};
  settings.frames = 44;  // 31 calibrate: one minibatch
  settings.threads = 2;
  settings.max_trials = 1;
  settings.min_fidelity = 0;
  settings.share = {{"detector", "wide"}};
  SilentProgress silent;
  const report::Plan plan = pipeline::plan(settings, folder / "out", false, silent).plan;

  const report::ModelEntry& detector = plan.models[0];
  EXPECT_TRUE(detector.rewritable) << detector.opaque_reason;
  EXPECT_EQ(detector.output.format, layout.format) << detector.format_reason;
  EXPECT_THAT(detector.format_reason, HasSubstr(layout.reason));
  if (layout.input_from_archive) {
    EXPECT_EQ(detector.input_source, "archive: config.txt");
    EXPECT_THAT(detector.output.classes, testing::ElementsAre("face", "plate"));
  }
  ASSERT_EQ(plan.shares.size(), 1U);
  EXPECT_GT(plan.shares[0].bytes_removed, plan.shares[0].bytes_added);
  EXPECT_GT(detector.fidelity.own_detections, 0);
  EXPECT_FALSE(detector.fidelity.bit_identical);
  EXPECT_GT(detector.fidelity.value, 0);
  EXPECT_LT(detector.fidelity.value, 1);
  EXPECT_GT(detector.fidelity.jpeg80, 0);
  EXPECT_TRUE(plan.models[1].fidelity.bit_identical);
  EXPECT_EQ(plan.models[1].fidelity.value, 1);

  // Format and priors are read from what was written.
  VerifySettings again;
  again.plan = folder / "out";
  const report::Verification verification = verify(again, silent);
  ASSERT_EQ(verification.models.size(), 2U);
  EXPECT_NEAR(verification.models[0].fidelity.value.value_or(-1), detector.fidelity.value.value_or(-1), 1e-9);
  EXPECT_EQ(verification.models[0].fidelity.own_detections, detector.fidelity.own_detections);
}

INSTANTIATE_TEST_SUITE_P(All, Formats, testing::ValuesIn(kLayouts), [](const auto& info) {
  std::string name = info.param.fixture;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

// Regressions without their priors are raw tensors, and what would make detections of them is said.
TEST(FormatsWithoutPriors, AreRawTensorsAndSayWhatIsMissing) {
  for (const char* name : {"ssd_regressions", "landmark_ssd"}) {
    const report::Inspection inspection = inspect(test::fixture_spec(name));
    EXPECT_EQ(inspection.output.format, model::OutputFormat::kTensor) << name;
    EXPECT_THAT(inspection.format_reason, HasSubstr("output.priors has to say")) << name;
  }
}

}  // namespace
}  // namespace repsim::pipeline
