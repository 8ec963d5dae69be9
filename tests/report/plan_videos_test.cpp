// Plans on several videos: plan.json, the summary and what diff compares.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error_matcher.hpp"
#include "report/json_schema.hpp"
#include "report/sample_plan.hpp"
#include "repsim/plan_diff.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Plan plan_of_two_videos() {
  Plan plan = sample_plan();
  plan.video_path = "north.mp4, south.mp4";
  plan.videos = {{"north", "north.mp4", std::string(62, 'e') + "05", 1, 500},
                 {"south", "south.mp4", std::string(62, 'f') + "06", 2.5, 295}};
  plan.calibration_frames = {0, 100, 500, 510};
  plan.selection_frames = {300, 600};
  plan.holdout_frames = {400, 700, 710};
  plan.models[0].fidelity.videos = {{"north", 0.91, {0.85, 0.95}, 1, 40, 37, 2},
                                    {"south", std::nullopt, {}, 2, 0, 0, 0}};
  plan.models[0].fidelity.worst_frames = {{710, 2, 1, "south", 210}};
  return plan;
}

TEST(PlanOnSeveralVideosJson, ConformsToItsSchemaAndReadsBack) {
  const test::JsonSchema schema(read_json(std::string(REPSIM_SOURCE_DIR) + "/configs/plan.schema.json"));
  const Json json = to_json(plan_of_two_videos());
  EXPECT_THAT(schema.complaints(json), IsEmpty());
  EXPECT_EQ(to_json(plan_from_json(json, "plan.json")), json);
}

TEST(PlanOnSeveralVideosJson, StatesEachVideosOwnFrames) {
  const Json json = to_json(plan_of_two_videos());
  EXPECT_EQ(json["videos"][0]["first_frame"], 0);
  EXPECT_EQ(json["videos"][1]["first_frame"], 500);
  EXPECT_EQ(json["videos"][0]["frames"],
            Json::parse(R"({"calibration": [0, 100], "selection": [300], "holdout": [400]})"));
  EXPECT_EQ(json["videos"][1]["frames"],
            Json::parse(R"({"calibration": [0, 10], "selection": [100], "holdout": [200, 210]})"));
  EXPECT_EQ(json["models"][0]["fidelity"]["videos"][1]["value"], Json());
  EXPECT_EQ(json["models"][0]["fidelity"]["worst_frames"][0]["video"], "south");
  EXPECT_EQ(json["models"][0]["fidelity"]["worst_frames"][0]["video_frame"], 210);
}

TEST(PlanOnSeveralVideosJson, OfOneVideoSaysNothingOfThem) {
  const Json json = to_json(sample_plan());
  EXPECT_FALSE(json.contains("videos"));
  EXPECT_FALSE(json["models"][0]["fidelity"].contains("videos"));
}

TEST(PlanOnSeveralVideosJson, IsRefusedWhereItsFiguresDisagree) {
  const auto complaint = [](const std::function<void(Json&)>& spoil) {
    Json json = to_json(plan_of_two_videos());
    spoil(json);
    return test::error_text([&] { (void)plan_from_json(json, "plan.json"); });
  };
  EXPECT_THAT(complaint([](Json& json) { json["videos"][1]["first_frame"] = 499; }),
              HasSubstr("videos[1].first_frame"));
  EXPECT_THAT(complaint([](Json& json) { json["videos"][1]["frame_count"] = 290; }), HasSubstr("video.frame_count"));
  EXPECT_THAT(complaint([](Json& json) { json["frames"]["holdout"] = {400, 700}; }), HasSubstr("videos[1].frames"));
  EXPECT_THAT(complaint([](Json& json) { json["videos"].erase(1); }), HasSubstr("two videos or more"));
  EXPECT_THAT(complaint([](Json& json) { json["videos"][0]["extra"] = 1; }), HasSubstr("videos[0].extra"));
}

TEST(PlanOnSeveralVideosSummary, SaysWhatEachVideoGives) {
  const std::string text = summary(plan_of_two_videos());
  EXPECT_THAT(text,
              AllOf(HasSubstr(" on 2 videos\n"),
                    HasSubstr("9 frames of 795, of each video one part after the other: 4 fit, 2 choose, 3 judge\n"),
                    HasSubstr("  north: of 500 frames 2 fit, 1 choose, 1 judge (north.mp4)\n"),
                    HasSubstr("  south: of 295 frames 2 fit, 1 choose, 2 judge (south.mp4)\n")));
  EXPECT_THAT(
      text,
      AllOf(HasSubstr("    north: 0.910 (0.850 to 0.950), keeps 37 of 40 detections, 200.0 false alarms per 100"),
            HasSubstr("    south: finds nothing there, on 2 frames\n"), HasSubstr("210 of south (2 missed, 1 false)")));
}

TEST(PlanOnSeveralVideosDiff, NamesTheVideoThatChanged) {
  const Plan before = plan_of_two_videos();
  Plan after = before;
  after.videos[1].sha256[0] = 'a';
  const PlanDiff diff = compare(before, after, {});
  EXPECT_TRUE(diff.has_drift());
  const auto changed = [](const PlanChange& change) { return change.status == PlanChange::Status::kDrift; };
  EXPECT_EQ(std::count_if(diff.changes.begin(), diff.changes.end(), changed), 1);
  EXPECT_THAT(to_text(diff, {}), AllOf(HasSubstr("south"), Not(HasSubstr("north"))));
  EXPECT_FALSE(compare(before, before, {}).has_drift());
}

TEST(PlanOnSeveralVideosDiff, ComparesWeights) {
  const Plan before = plan_of_two_videos();
  Plan after = before;
  after.videos[0].weight = 2;
  EXPECT_TRUE(compare(before, after, {}).has_drift());
}

}  // namespace
}  // namespace repsim::report
