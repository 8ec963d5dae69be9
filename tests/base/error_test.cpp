#include "repsim/base/error.hpp"

#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "repsim/base/progress.hpp"

namespace repsim {
namespace {

TEST(Error, SaysWhereThenWhatThenRemedyOnOneLine) {
  const Error error(ErrorKind::kInput, "the key is missing", "c.json: models[0].path", "add \"path\"");
  EXPECT_STREQ(error.what(), "c.json: models[0].path: the key is missing; add \"path\"");
}

TEST(Error, LeavesOutWhatIsUnknown) {
  EXPECT_STREQ(Error(ErrorKind::kInterrupted, "interrupted").what(), "interrupted");
  EXPECT_STREQ(Error(ErrorKind::kUsage, "no video", "", "--video FILE").what(), "no video; --video FILE");
}

TEST(Error, ShorthandIsAnInputError) {
  const Error error = input_error("is empty", "a.pt");
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_EQ(error.where(), "a.pt");
  EXPECT_EQ(error.problem(), "is empty");
  EXPECT_EQ(error.remedy(), "");
}

class Stopping : public SilentProgress {
 public:
  void advance(std::int64_t steps) override { done += steps; }
  [[nodiscard]] bool stop_requested() const override { return done >= 3; }
  std::int64_t done = 0;
};

TEST(Progress, StepCountsFirstAndThenThrowsWhenTheUserWantsToStop) {
  Stopping progress;
  progress.step(2);
  EXPECT_EQ(progress.done, 2);
  EXPECT_EQ(test::error_text([&] { progress.step(); }), "interrupted: interrupted");
  EXPECT_EQ(progress.done, 3);
}

}  // namespace
}  // namespace repsim
