// The calibration frames, of which trials see a part.
#include <gtest/gtest.h>

#include "fixtures/fixtures.hpp"
#include "repsim/trial.hpp"

namespace repsim::trial {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVideo = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";

/// One of the demo's detectors on frames of a real video: something is found there.
class CalibrationFramesOfADetector : public testing::Test {
 protected:
  void SetUp() override {
    model::InputSpec input;
    input.width = 320;
    input.height = 240;
    session::SessionOptions options;
    options.models = {{{"plain", std::string(REPSIM_SOURCE_DIR) + "/demo/plain.pt", input, {}}, "flags"}};
    options.videos = {{kVideo}};
    const std::string& path = options.models[0].spec.path;
    if (!fs::exists(path)) GTEST_SKIP() << path << " is not there: scripts/make_demo_models.py";
    if (!fs::exists(kVideo)) GTEST_SKIP() << kVideo << " is not there: scripts/setup.sh installs opencv-doc";
    session_.emplace(runtime_, options, silent_);
  }

  capture::Stores every_second(std::int64_t count) {
    std::vector<std::int64_t> frames;
    for (std::int64_t i = 0; i < count; ++i) frames.push_back(2 * i);
    const std::vector<session::FrameSet> sets{{frames}};
    return std::move(session_->decode(sets, silent_).front());
  }

  SilentProgress silent_;
  const session::Runtime runtime_{{}};
  std::optional<session::Session> session_;
};

TEST_F(CalibrationFramesOfADetector, AreOnePartWhereTheyAreFew) {
  const capture::Stores stores = every_second(96);
  CalibrationFrames frames(*session_, stores, silent_);
  EXPECT_TRUE(frames.is_undivided());
  EXPECT_EQ(frames.for_complete_fit(0, nullptr).size(), 1U);
  EXPECT_EQ(&frames.trial_frames(), &stores);
  EXPECT_EQ(frames.all_weights(0).at(0).boxes.size(), 96U);
}

TEST_F(CalibrationFramesOfADetector, AreEachInOneOfTwoPartsWithTheirOwnWeights) {
  const capture::Stores stores = every_second(110);
  CalibrationFrames frames(*session_, stores, silent_);
  const std::vector<fit::FrameSubset> parts = frames.for_complete_fit(0, nullptr);
  ASSERT_EQ(parts.size(), 2U);
  ASSERT_EQ(parts[0].stores->front().size(), 96);
  ASSERT_EQ(parts[1].stores->front().size(), 14);
  const fit::SampleWeights& all = frames.all_weights(0).at(0);
  ASSERT_EQ(all.boxes.size(), 110U);
  std::vector<int> times(110, 0);
  std::size_t found = 0;
  for (const fit::FrameSubset& part : parts) {
    const std::vector<model::Detections>& of_part = part.weights->at(0).boxes;
    ASSERT_EQ(static_cast<std::int64_t>(of_part.size()), part.stores->front().size());
    for (std::size_t i = 0; i < of_part.size(); ++i) {
      const auto position = static_cast<std::size_t>(part.stores->front().frames()[i] / 2);
      ++times[position];
      const model::Detections &one = of_part[i], &same = all.boxes[position];
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
  const session::Model& model = session_->models[0];
  const auto forward = verify::prepared_forward(model.loaded, model.prepared, session_->set, stores, 0);
  const auto boxes = model::decode(forward(last), model.head.output, model.head.input, 1).front();
  ASSERT_EQ(store.size(), 110);
  ASSERT_EQ(boxes.size(), all.boxes[109].size());
  for (std::size_t k = 0; k < boxes.size(); ++k) EXPECT_NEAR(boxes[k].score, all.boxes[109][k].score, 1e-3);
}

}  // namespace
}  // namespace repsim::trial
