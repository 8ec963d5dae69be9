// Models that fail on some frame of a video, through the whole pipeline.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <opencv2/imgproc.hpp>

#include "base/error_matcher.hpp"
#include "pipeline/jobs.hpp"

namespace repsim::pipeline {
namespace {

/// A bright rectangle that moves, on a dark ground: of two values, until the frame is recompressed.
cv::Mat two_valued(std::int64_t index) {
  cv::Mat frame(test::kVideoHeight, test::kVideoWidth, CV_8UC3, cv::Scalar::all(20));
  frame(cv::Rect(3 + static_cast<int>(index) % 37, 5 + static_cast<int>(index) % 11, 13, 9))
      .setTo(cv::Scalar::all(230));
  return frame;
}

/// A model that takes noise, and pictures of the two values, but none that has a few values between them.
const char* const kTakesTwoValues = R"(
def forward(self, x):
  between = torch.logical_and(x > 24.0 / 255.0, x < 226.0 / 255.0)
  part = float(between.float().mean())
  assert not (part > 0.0 and part < 0.6), "a spoiled picture"
  return torch.conv2d(x, self.weight, None, [4, 4])
)";

const std::string kConvolve = "  y = torch.conv2d(x, self.weight, None, [4, 4])\n";

Settings settings_with(const test::TempFolder& folder, const std::string& forward) {
  torch::jit::Module module("__torch__.M");
  module.register_parameter("weight", test::Random(1).tensor({4, 3, 4, 4}, 0.2), false);
  module.define(forward);
  module.save((folder / "m.pt").string());
  Settings settings;
  settings.models = {{"m", (folder / "m.pt").string(), test::fixture_input(), {}}, test::fixture_spec("small")};
  settings.input_sources = {"flags", "flags"};
  settings.keep = {"m", "small"};
  settings.videos = {{(folder / "video.png").string()}};
  settings.frames = 30;
  std::vector<cv::Mat> frames;
  for (std::int64_t i = 0; i < 40; ++i) frames.push_back(two_valued(i));
  test::write_lossless(folder / "video.png", frames);
  return settings;
}

TEST(FailingModel, LeavesABaselineUndefinedAndThePlanAlive) {
  const test::TempFolder folder;
  const Settings settings = settings_with(folder, kTakesTwoValues);
  SilentProgress silent;
  const Outcome outcome = plan(settings, folder / "plan", false, silent);
  const verify::Fidelity& fidelity = outcome.plan.models.at(0).fidelity;
  EXPECT_TRUE(fidelity.bit_identical);
  EXPECT_FALSE(fidelity.jpeg80.has_value());
  EXPECT_TRUE(fidelity.shift_one_pixel.has_value());
  EXPECT_TRUE(std::filesystem::exists(folder / "plan" / "plan.json"));
}

TEST(FailingModel, IsNamedWithItsFrame) {
  const test::TempFolder folder;
  // frame 36 of the video: of the hold-out, the rectangle at 3 + 36
  const Settings settings = settings_with(folder, R"(
def forward(self, x):
  assert not (bool(x[0, 0, 10, 39] > 0.5) and bool(x[0, 0, 10, 38] < 0.5) and float(x.mean()) < 0.3), "no such place"
  return torch.conv2d(x, self.weight, None, [4, 4])
)");
  SilentProgress silent;
  EXPECT_THAT(test::error_text([&] { (void)plan(settings, folder / "plan", false, silent); }),
              testing::AllOf(testing::StartsWith("input: m: the model fails on frame 36 of the video: "),
                             testing::HasSubstr("no such place")));
  EXPECT_FALSE(std::filesystem::exists(folder / "plan"));
}

// No layer needs the check, nor what is computed of the last layer: capture has to run them all the same.
TEST(FailingModel, IsNamedWithItsCalibrationFrameWhateverTheLayersNeed) {
  const std::string place = "bool(x[0, 0, 12, 4] > 0.5) and bool(x[0, 0, 12, 3] < 0.5) and float(x.mean()) < 0.3";
  const std::map<std::string, std::pair<std::string, std::string>> forwards{
      {"before all layers", {"  assert not (" + place + "), \"no such place\"\n" + kConvolve, "no such place"}},
      {"of the result", {kConvolve + "  if " + place + ":\n    y = y.view(7, -1)\n", "invalid for input of size"}}};
  for (const auto& [kind, forward] : forwards) {
    const test::TempFolder folder;
    // frame 1 of the video: the rectangle at 3 + 1
    const Settings settings = settings_with(folder, "\ndef forward(self, x):\n" + forward.first + "  return y\n");
    SilentProgress silent;
    EXPECT_THAT(test::error_text([&] { (void)plan(settings, folder / "plan", false, silent); }),
                testing::AllOf(testing::StartsWith("input: m: the model fails on frame 1 of the video: "),
                               testing::HasSubstr(forward.second)))
        << kind;
    EXPECT_FALSE(std::filesystem::exists(folder / "plan"));
  }
}

}  // namespace
}  // namespace repsim::pipeline
