#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "repsim/report.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Rebuilt sample() {
  Rebuilt rebuilt;
  rebuilt.path = "out/bundle.pt";
  rebuilt.bytes = 790000;
  rebuilt.parameter_bytes = 713600;
  rebuilt.parameter_bytes_before = 1427200;
  rebuilt.sha256 = rebuilt.planned_sha256 = std::string(64, 'a');
  rebuilt.shares = {{"plain", "mobile", 3, 0.12}};
  Fidelity fidelity;
  fidelity.value = 0.8999;
  fidelity.interval = {0.88, 0.92};
  fidelity.frames = 77;
  Fidelity same;
  same.value = 1;
  same.interval = {1, 1};
  same.bit_identical = true;
  rebuilt.models = {{"plain", fidelity, 0.93, 0.85}, {"mobile", same, 1, 0.9}};
  return rebuilt;
}

TEST(Rebuilt, SaysWhetherTheBytesAreThePlans) {
  EXPECT_THAT(summary(sample()), HasSubstr("The bytes are those of the plan's bundle"));
  EXPECT_EQ(to_json(sample())["bundle"]["as_planned"], true);
  Rebuilt other = sample();
  other.sha256 = std::string(64, 'b');
  EXPECT_THAT(summary(other), HasSubstr("The bytes are not those of the plan's bundle"));
  EXPECT_EQ(to_json(other)["bundle"]["as_planned"], false);
}

TEST(Rebuilt, SaysWhatTheBundleSaves) {
  EXPECT_THAT(summary(sample()), HasSubstr("713.6 kB of parameters; the models by themselves have 1.4 MB (-50.0 %)"));
  EXPECT_EQ(to_json(sample())["bundle"]["parameter_bytes_before"], 1427200);
}

// 0.8999 must not look like 0.9 beside a target of 0.9.
TEST(Rebuilt, SaysWhichFidelityEachModelHasAndWhetherItHolds) {
  Rebuilt rebuilt = sample();
  EXPECT_TRUE(rebuilt.holds());
  EXPECT_THAT(summary(rebuilt), Not(HasSubstr("NO")));
  rebuilt.models[0].min_fidelity = 0.9;
  EXPECT_FALSE(rebuilt.holds());
  EXPECT_THAT(summary(rebuilt), testing::ContainsRegex("plain +0.899 +0.880 to 0.920 +0.930 +0.9 +NO"));
  EXPECT_EQ(to_json(rebuilt)["holds"], false);
  EXPECT_EQ(to_json(rebuilt)["models"][0]["holds"], false);
  EXPECT_EQ(to_json(rebuilt)["models"][1]["holds"], true);
  EXPECT_EQ(to_json(rebuilt)["shares"][0]["replaced"], 3);
}

TEST(Rebuilt, HasALineForEachVideo) {
  Rebuilt rebuilt = sample();
  EXPECT_FALSE(to_json(rebuilt)["models"][0]["fidelity"].contains("videos")) << "of one video there is nothing to add";
  verify::VideoFidelity north, south;
  north.video = "north";
  north.value = 0.95;
  north.interval = {0.91, 0.98};
  north.frames = 40;
  north.own_detections = 60;
  north.kept = 58;
  south.video = "south";
  south.frames = 37;
  rebuilt.models[0].fidelity.videos = {north, south};
  const Json videos = to_json(rebuilt)["models"][0]["fidelity"]["videos"];
  ASSERT_EQ(videos.size(), 2U);
  EXPECT_EQ(videos[0]["video"], "north");
  EXPECT_EQ(videos[0]["value"], 0.95);
  EXPECT_EQ(videos[0]["interval"], Json::array({0.91, 0.98}));
  EXPECT_EQ(videos[0]["kept"], 58);
  EXPECT_TRUE(videos[1]["value"].is_null()) << "the model finds nothing there";
  EXPECT_TRUE(videos[1]["interval"].is_null());
}

TEST(Rebuilt, SaysWhatAModelKeepsAndWhereItDiffersMost) {
  Rebuilt rebuilt = sample();
  EXPECT_TRUE(to_json(rebuilt)["models"][0]["fidelity"]["kept"].is_null());  // raw outputs
  EXPECT_THAT(summary(rebuilt), Not(HasSubstr("keeps")));
  Fidelity& fidelity = rebuilt.models[0].fidelity;
  fidelity.own_detections = 431;
  fidelity.kept = 420;
  fidelity.false_alarms = 5;
  fidelity.boxes_without_area = 2;
  fidelity.worst_frames = {{640, 2, 1}, {700, 1, 0}};
  EXPECT_THAT(summary(rebuilt), testing::ContainsRegex("keeps 420 of 431 detections, 6.5 false alarms per 100 frames"));
  const Json json = to_json(rebuilt)["models"][0]["fidelity"];
  EXPECT_EQ(json["kept"], 420);
  EXPECT_EQ(json["false_alarms"], 5);
  EXPECT_EQ(json["boxes_without_area"], 2);
  EXPECT_EQ(json["worst_frames"], Json::parse(R"([{"frame": 640, "missed": 2, "false_alarms": 1},
                                                   {"frame": 700, "missed": 1, "false_alarms": 0}])"));
}

}  // namespace
}  // namespace repsim::report
