// The frames that fit, in two parts.
#include <gtest/gtest.h>

#include "../../src/pipeline/fit_frames.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVideo = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";

/// One of the demo's detectors on frames of a real video: something is found there.
class FramesThatFit : public testing::Test {
 protected:
  void SetUp() override {
    model::InputSpec input;
    input.width = 320;
    input.height = 240;
    const std::vector<model::ModelSpec> specs{{"plain", std::string(REPSIM_SOURCE_DIR) + "/demo/plain.pt", input, {}}};
    if (!fs::exists(specs[0].path)) GTEST_SKIP() << specs[0].path << " is not there: scripts/make_demo_models.py";
    if (!fs::exists(kVideo)) GTEST_SKIP() << kVideo << " is not there: scripts/setup.sh installs opencv-doc";
    work_ = open_models(specs, {"flags"}, silent_);
    video_.path = kVideo;
    video_.frame_count = 795;
    video_.width = 768;
    video_.height = 576;
    work_.set.views = views_of(work_.set, video_);
    heads_ = heads_of(work_, video_);
  }

  capture::Stores every_second(std::int64_t count) {
    std::vector<std::int64_t> frames;
    for (std::int64_t i = 0; i < count; ++i) frames.push_back(2 * i);
    return video::decode(video_, group_requests(work_.set, frames), silent_);
  }

  SilentProgress silent_;
  Workspace work_;
  video::VideoInfo video_;
  std::vector<verify::Head> heads_;
};

TEST_F(FramesThatFit, AreOnePartWhereTheyAreFew) {
  const capture::Stores stores = every_second(96);
  FitFrames frames(work_, stores, heads_, silent_);
  EXPECT_TRUE(frames.all_tried());
  EXPECT_EQ(frames.parts(0, nullptr).size(), 1U);
  EXPECT_EQ(&frames.tried(), &stores);
  EXPECT_EQ(frames.weights_all(0).boxes.size(), 96U);
}

TEST_F(FramesThatFit, AreEachInOneOfTwoPartsWithTheirOwnWeights) {
  const capture::Stores stores = every_second(110);
  FitFrames frames(work_, stores, heads_, silent_);
  const std::vector<fit::Part> parts = frames.parts(0, nullptr);
  ASSERT_EQ(parts.size(), 2U);
  ASSERT_EQ(parts[0].frames.front().size(), 96);
  ASSERT_EQ(parts[1].frames.front().size(), 14);
  const fit::SampleWeights& all = frames.weights_all(0);
  ASSERT_EQ(all.boxes.size(), 110U);
  std::vector<int> times(110, 0);
  std::size_t found = 0;
  for (const fit::Part& part : parts) {
    ASSERT_EQ(static_cast<std::int64_t>(part.weights.boxes.size()), part.frames.front().size());
    for (std::size_t i = 0; i < part.weights.boxes.size(); ++i) {
      const auto position = static_cast<std::size_t>(part.frames.front().frames()[i] / 2);
      ++times[position];
      const model::Detections &one = part.weights.boxes[i], &same = all.boxes[position];
      found += one.size();
      ASSERT_EQ(one.size(), same.size()) << position;
      for (std::size_t k = 0; k < one.size(); ++k) {
        EXPECT_EQ(one[k].x1, same[k].x1);
        EXPECT_EQ(one[k].score, same[k].score);
      }
    }
  }
  EXPECT_EQ(times, std::vector<int>(110, 1));
  EXPECT_GT(found, 110U);
  // Where they lie does not depend on the part, up to rounding.
  const video::FrameStore& store = stores.front();
  const std::vector<std::int64_t> last{109};
  const auto forward = verify::prepared_forward(work_.loaded[0], work_.prepared[0], work_.set, stores, 0);
  const auto boxes = model::decode(forward(last), heads_[0].output, heads_[0].input, 1).front();
  ASSERT_EQ(store.size(), 110);
  ASSERT_EQ(boxes.size(), all.boxes[109].size());
  for (std::size_t k = 0; k < boxes.size(); ++k) EXPECT_NEAR(boxes[k].score, all.boxes[109][k].score, 1e-3);
}

}  // namespace
}  // namespace repsim::pipeline
