#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error_matcher.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

VideoInfo video_of(std::int64_t frames) { return {"v.avi", "", frames, 64, 48, {}}; }

std::string complaint(std::int64_t frames, std::int64_t count, double holdout) {
  return test::error_text([&] { (void)sample_frames(video_of(frames), count, holdout); });
}

TEST(Sampling, StridesUniformlyOverTheWholeVideo) {
  const Sampling sampling = sample_frames(video_of(50), 20, 0.2);
  EXPECT_THAT(sampling.calibration, ElementsAre(0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 30, 32, 35, 37));
  EXPECT_THAT(sampling.holdout, ElementsAre(40, 42, 45, 47));
}

TEST(Sampling, TakesEveryFrameWhenAllAreAskedFor) {
  const Sampling sampling = sample_frames(video_of(20), 20, 0.2);
  EXPECT_THAT(sampling.calibration, SizeIs(16));
  EXPECT_THAT(sampling.holdout, ElementsAre(16, 17, 18, 19));
}

TEST(Sampling, RoundsTheHoldoutPart) {
  EXPECT_THAT(sample_frames(video_of(795), 256, 0.3).holdout, SizeIs(77));  // 76.8
  EXPECT_THAT(sample_frames(video_of(795), 256, 0.3).calibration, SizeIs(179));
}

TEST(Sampling, KeepsOneFrameToJudgeAtLeast) {
  EXPECT_THAT(sample_frames(video_of(30), 30, 1e-9).holdout, ElementsAre(29));
}

// Every index once, in order, the two parts apart, whatever the numbers.
TEST(Sampling, IsStrictlyAscendingForAllCounts) {
  for (std::int64_t frames = 17; frames < 90; frames += 3) {
    for (std::int64_t count = 24; count <= frames; ++count) {
      const Sampling sampling = sample_frames(video_of(frames), count, 0.3);
      std::vector<std::int64_t> all = sampling.calibration;
      all.insert(all.end(), sampling.holdout.begin(), sampling.holdout.end());
      ASSERT_EQ(std::ssize(all), count);
      ASSERT_GE(all.front(), 0);
      ASSERT_LT(all.back(), frames);
      for (std::size_t i = 1; i < all.size(); ++i) ASSERT_LT(all[i - 1], all[i]) << frames << " " << count;
    }
  }
}

TEST(Sampling, SaysHowManyFramesThereAre) {
  EXPECT_EQ(complaint(100, 256, 0.3),
            "input: v.avi: the video has 100 frames, fewer than the 256 asked for; --frames 100 or fewer");
}

TEST(Sampling, SaysHowManyFramesItTakesAtLeast) {
  const std::string text = complaint(795, 20, 0.3);
  EXPECT_THAT(text, AllOf(StartsWith("input: v.avi: 20 frames leave fewer than 16"), EndsWith("--frames 23 or more")));
  EXPECT_THAT(sample_frames(video_of(795), 23, 0.3).calibration, SizeIs(16));
  EXPECT_THAT(complaint(795, 22, 0.3), EndsWith("--frames 23 or more"));
}

TEST(Sampling, DoesNotAdviseANumberThatCannotWork) {
  EXPECT_THAT(complaint(10, 256, 0.3),
              AllOf(HasSubstr("the video has 10 frames, too few"), EndsWith("take a longer video")));
  EXPECT_THAT(complaint(22, 22, 0.3), EndsWith("take a longer video"));
  EXPECT_THAT(complaint(100, 50, 0.99), EndsWith("or a smaller --holdout"));
}

TEST(Sampling, RefusesCountsAndPartsOutOfRange) {
  for (const std::int64_t count : {std::int64_t{0}, std::int64_t{-5}, std::numeric_limits<std::int64_t>::min()}) {
    EXPECT_THAT(complaint(100, count, 0.3), EndsWith("--frames 23 or more"));
  }
  for (const double holdout : {0.0, 1.0, -0.1, 2.0, std::nan("")}) {
    EXPECT_THAT(complaint(100, 50, holdout), StartsWith("input: holdout: "));
  }
}

}  // namespace
}  // namespace repsim::video
