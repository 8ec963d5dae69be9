// Whole plans for models whose outputs are complex or not always finite: measured, and verified to the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

/// Every third frame is dark: on these two of the fixtures return NaN.
cv::Mat partly_dark_patches(std::int64_t index) {
  const cv::Mat frame = test::patches(index);
  return index % 3 == 0 ? cv::Mat(frame * 0.2) : frame;
}

struct RawModel {
  const char* fixture;
  bool is_lost;  ///< the merged model has NaN in other places than the original
};

class RawOutputs : public testing::TestWithParam<RawModel> {
 protected:
  /// Plans the fixture beside a detector. @param share  only this direction
  report::Plan plan_of(const config::Direction& share) {
    Settings settings = test::fixture_settings(folder_, {GetParam().fixture, "small"});
    test::write_avi(settings.videos.at(0).path, 50, partly_dark_patches);
    settings.frames = 44;  // 31 calibrate: one minibatch
    settings.threads = 2;
    settings.max_trials = 1;
    settings.min_fidelity = 0;
    settings.share = {share};
    return plan(settings, folder_ / "out", false, silent_).plan;
  }
  report::Verification verified() {
    VerifySettings settings;
    settings.plan = folder_ / "out";
    return verify(settings, silent_);
  }

  test::TempFolder folder_;
  SilentProgress silent_;
};

TEST_P(RawOutputs, OfAMergedModelAreMeasuredAndVerifiedToTheSame) {
  const report::Plan plan = plan_of({GetParam().fixture, "small"});
  ASSERT_EQ(plan.shares.size(), 1U);
  const report::Fidelity& fidelity = plan.models[0].fidelity;
  EXPECT_TRUE(fidelity.is_raw);
  EXPECT_FALSE(fidelity.bit_identical);
  EXPECT_FALSE(fidelity.kept);
  EXPECT_GT(fidelity.max_abs_difference, 0);
  ASSERT_TRUE(fidelity.value);
  if (GetParam().is_lost) {
    EXPECT_EQ(*fidelity.value, 0);
  } else {
    EXPECT_GT(*fidelity.value, 0);
    EXPECT_LT(*fidelity.value, 1);
    EXPECT_LT(fidelity.interval.low, fidelity.interval.high);
  }
  const report::Verification verification = verified();
  EXPECT_NEAR(verification.models[0].fidelity.value.value_or(-1), *fidelity.value, 1e-9);
  EXPECT_TRUE(verification.holds());
}

TEST_P(RawOutputs, OfAnUntouchedModelAreEqualBitForBit) {
  const report::Plan plan = plan_of({"small", GetParam().fixture});
  const report::Fidelity& fidelity = plan.models[0].fidelity;
  EXPECT_TRUE(fidelity.bit_identical);
  EXPECT_EQ(fidelity.value, 1);
  EXPECT_EQ(fidelity.max_abs_difference, 0);
  const report::Verification verification = verified();
  EXPECT_TRUE(verification.models[0].fidelity.bit_identical);
  EXPECT_EQ(verification.models[0].fidelity.value, 1);
  EXPECT_TRUE(verification.holds());
}

INSTANTIATE_TEST_SUITE_P(All, RawOutputs,
                         testing::Values(RawModel{"complex", false}, RawModel{"holes", false}, RawModel{"roots", true}),
                         [](const auto& info) { return std::string(info.param.fixture); });

}  // namespace
}  // namespace repsim::pipeline
