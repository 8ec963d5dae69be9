#include "repsim/frame_runs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>

namespace repsim::capture {
namespace {

using graph::ModelFailure;
using testing::HasSubstr;
using Scope = ModelFailure::Scope;
using Positions = std::span<const std::int64_t>;

/// The failure of a run over four frames, numbers 10 to 40 of the video.
std::optional<ModelFailure> failure_of(const std::function<int(Positions)>& run) {
  const std::string name = "m";
  const std::vector<std::int64_t> frames{10, 20, 30, 40}, positions{0, 1, 2, 3};
  try {
    (void)on_frames({name, frames}, positions, run);
  } catch (const ModelFailure& failure) {
    return failure;
  }
  return std::nullopt;
}

TEST(OnFrames, ReturnsWhatTheRunReturns) {
  const std::string name = "m";
  const std::vector<std::int64_t> frames{10}, positions{0};
  EXPECT_EQ(on_frames({name, frames}, positions, [](Positions) { return 7; }), 7);
}

TEST(OnFrames, NamesTheFrameOnWhichAModelFails) {
  const auto failure = failure_of([](Positions positions) {
    for (const std::int64_t position : positions) {
      if (position == 2) throw std::runtime_error("RuntimeError: no object found");
    }
    return 0;
  });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->scope(), Scope::kFrame);
  EXPECT_EQ(failure->kind(), ErrorKind::kInput);
  EXPECT_EQ(failure->where(), "m");
  EXPECT_THAT(failure->problem(), HasSubstr("frame 30 of the video: RuntimeError: no object found"));
}

TEST(OnFrames, TellsAFailureThatOnlySeveralFramesCause) {
  const auto failure = failure_of([](Positions positions) -> int {
    if (positions.size() > 1) throw std::runtime_error("stack expects each tensor to be equal size");
    return 0;
  });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->scope(), Scope::kBatch);
  EXPECT_EQ(failure->model(), "m");
  EXPECT_THAT(failure->problem(), HasSubstr("several frames at once: stack expects"));
}

TEST(OnFrames, KeepsTheRemedyOfAnOutputThatCannotBeRead) {
  const auto failure = failure_of(
      [](Positions) -> int { throw input_error("another structure", "output format ssd", "use --format tensor"); });
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->problem(), HasSubstr("frame 10 of the video: another structure"));
  EXPECT_EQ(failure->remedy(), "use --format tensor");
}

TEST(OnFrames, LetsOtherErrorsPass) {
  for (const ErrorKind kind : {ErrorKind::kInterrupted, ErrorKind::kInternal}) {
    try {
      (void)failure_of([&](Positions) -> int { throw Error(kind, "stop"); });
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
    }
  }
  // A failure that names its frame is not explained again.
  const auto failure = failure_of([](Positions) -> int { throw graph::failure_on_frame("inner", 5, "words"); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->model(), "inner");
}

}  // namespace
}  // namespace repsim::capture
