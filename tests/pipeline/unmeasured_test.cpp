// Whole plans for a model that finds nothing on the video: nothing is promised of it, unless the user accepts that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_folder.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// No score of the fixture is as high as the threshold of the first model.
class Unmeasured : public testing::Test {
 protected:
  Unmeasured() {
    settings_.models[0].output.score_threshold = 0.999999;
    settings_.frames = 44;  // 31 calibrate: one minibatch
    settings_.threads = 2;
    settings_.max_trials = 1;
    settings_.min_fidelity = 0;
    settings_.share = {{"small", "wide"}};
  }
  report::Plan run() { return plan(settings_, folder_ / "out", false, silent_).plan; }
  report::Verification verified() {
    VerifySettings settings;
    settings.plan = folder_ / "out";
    return verify(settings, silent_);
  }

  test::TempFolder folder_;
  SilentProgress silent_;
  Settings settings_ = test::fixture_settings(folder_, {"small", "wide"});
};

TEST_F(Unmeasured, TakesNothingAndTheReasonSaysWhatWouldHelp) {
  settings_.accept_unmeasured.clear();
  const report::Plan plan = run();
  EXPECT_THAT(plan.shares, IsEmpty());
  EXPECT_EQ(plan.judgements, 0);
  ASSERT_FALSE(plan.candidates.empty());
  for (const report::Candidate& one : plan.candidates) {
    EXPECT_THAT(one.reason, HasSubstr("small finds nothing"));
    EXPECT_THAT(one.reason, HasSubstr("--accept-unmeasured small"));
    EXPECT_FALSE(one.measured_fidelity);
  }
  const report::ModelEntry& small = plan.models[0];
  EXPECT_FALSE(small.fidelity.value);
  EXPECT_TRUE(small.fidelity.bit_identical);
  ASSERT_TRUE(small.evidence);
  EXPECT_EQ(small.evidence->test.detections, 0);
  EXPECT_GT(small.evidence->test.scanned, 0);
  EXPECT_THAT(report::summary(plan), HasSubstr("finds nothing in the"));
  const Json written = parse_json(read_file(folder_ / "out" / "plan.json"), "plan.json");
  EXPECT_TRUE(written["models"][0]["fidelity"]["value"].is_null());
  EXPECT_EQ(written["models"][0]["evidence"]["accepted"], false);
  EXPECT_TRUE(verified().holds());  // its outputs are those of the original
}

TEST_F(Unmeasured, TakesLayersWhereTheUserAcceptsIt) {
  settings_.accept_unmeasured = {"small"};
  const report::Plan plan = run();
  ASSERT_EQ(plan.shares.size(), 1U);
  EXPECT_FALSE(plan.shares[0].measured_fidelity);
  EXPECT_FALSE(plan.models[0].fidelity.value);
  EXPECT_FALSE(plan.models[0].fidelity.bit_identical);
  EXPECT_TRUE(plan.models[0].evidence->accepted);
  EXPECT_THAT(report::summary(plan), HasSubstr("--accept-unmeasured"));
  EXPECT_THAT(read_file(folder_ / "out" / "report.html"), HasSubstr("--accept-unmeasured"));
  const report::Verification verification = verified();
  EXPECT_FALSE(verification.models[0].fidelity.value);
  EXPECT_TRUE(verification.holds());  // it is not known to miss its target
  EXPECT_TRUE(report::to_json(verification)["models"][0]["holds"].is_null());
}

}  // namespace
}  // namespace repsim::pipeline
