// Plans on several streams: plan.json, the summary, report.html and what diff compares.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error_matcher.hpp"
#include "report/json_schema.hpp"
#include "report/sample_plan.hpp"
#include "repsim/plan_diff.hpp"
#include "repsim/report.hpp"
#include "repsim/report_page.hpp"

namespace repsim::report {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// The sample plan with its first model on a stream of its own, the others on another one.
Plan plan_of_two_streams() {
  Plan plan = sample_plan();
  PlanStream first, second;
  static_cast<PlanVideos&>(first) = static_cast<const PlanVideos&>(plan);
  static_cast<PlanVideos&>(second) = static_cast<const PlanVideos&>(plan);
  static_cast<PlanVideos&>(plan) = {};
  first.name = "door";
  first.run_method = "forward_door";
  first.video_path = "door.mp4";
  first.before = {1000, 200, 3'000'000};
  first.after = {900, 200, 2'500'000};
  second.name = "yard";
  second.run_method = "forward_yard";
  second.before = second.after = {5000, 700, 9'000'000};
  for (ModelEntry& model : plan.models) {
    PlanStream& stream = &model == &plan.models.front() ? first : second;
    model.stream = stream.name;
    stream.models.push_back(model.name);
  }
  plan.streams = {first, second};
  for (Share& share : plan.shares) {
    if (share.receiver == first.models.front()) share.guests = {share.donor};
  }
  return plan;
}

TEST(PlanOnSeveralStreamsJson, ConformsToItsSchemaAndReadsBack) {
  const test::JsonSchema schema(read_json(std::string(REPSIM_SOURCE_DIR) + "/configs/plan.schema.json"));
  const Json json = to_json(plan_of_two_streams());
  EXPECT_THAT(schema.complaints(json), IsEmpty());
  EXPECT_EQ(to_json(plan_from_json(json, "plan.json")), json);
  EXPECT_FALSE(json.contains("video"));
  EXPECT_EQ(json["streams"][0]["frame_cost"]["after"]["latency_estimate_ms"], 2.5);
  for (const char* key : {"name", "run_method", "models", "video", "frames", "frame_cost"}) {
    Json damaged = json;
    damaged["streams"][1].erase(key);
    EXPECT_THAT(schema.complaints(damaged), Not(IsEmpty())) << key;
    EXPECT_THAT(test::error_text([&] { (void)plan_from_json(damaged, "plan.json"); }),
                HasSubstr("plan.json: streams[1]." + std::string(key)));
  }
}

TEST(PlanOnSeveralStreamsJson, OfOneStreamSaysNothingOfThem) {
  const Json json = to_json(sample_plan());
  EXPECT_FALSE(json.contains("streams"));
  EXPECT_FALSE(json["models"][0].contains("stream"));
  EXPECT_FALSE(json["shares"][0].contains("guests"));
}

TEST(PlanOnSeveralStreamsJson, RefusesModelsThatAreOnNoStreamOrOnTwo) {
  const auto error_of = [](auto&& change) {
    Json json = to_json(plan_of_two_streams());
    change(json);
    return test::error_text([&] { (void)plan_from_json(json, "plan.json"); });
  };
  EXPECT_THAT(error_of([](Json& json) { json["models"][0].erase("stream"); }), HasSubstr("plan.json: streams"));
  EXPECT_THAT(error_of([](Json& json) { json["models"][0]["stream"] = "yard"; }), HasSubstr("another stream"));
  EXPECT_THAT(error_of([](Json& json) { json["streams"][1]["models"].push_back(json["models"][0]["name"]); }),
              HasSubstr("two streams"));
  EXPECT_THAT(error_of([](Json& json) { json["streams"][0]["models"].push_back("nobody"); }), HasSubstr("nobody"));
  EXPECT_THAT(error_of([](Json& json) { json["streams"].erase(1); }), HasSubstr("plan.json: streams"));
}

TEST(PlanOnSeveralStreams, SaysWhichModelsRunOnOneFrame) {
  const Plan plan = plan_of_two_streams();
  const std::string text = summary(plan);
  EXPECT_THAT(text, AllOf(HasSubstr("on 2 streams"), HasSubstr("door: " + plan.models[0].name + " runs alone"),
                          HasSubstr("yard: " + plan.models[1].name + " runs alone (forward_yard)")));
  const std::string page = html(plan, {}, {});
  EXPECT_THAT(page, AllOf(HasSubstr("door.mp4"), HasSubstr("forward_yard")));
  const bool has_guest =
      std::any_of(plan.shares.begin(), plan.shares.end(), [](const Share& share) { return !share.guests.empty(); });
  ASSERT_TRUE(has_guest);
  EXPECT_THAT(text, HasSubstr("only weights are shared with"));
  EXPECT_THAT(page, HasSubstr("only weights are shared with"));
}

TEST(PlanOnSeveralStreams, DriftsWithTheVideosAndModelsOfAStream) {
  const Plan before = plan_of_two_streams();
  EXPECT_FALSE(compare(before, before, {}).has_drift());
  const auto drifts = [&](auto&& change) {
    Plan after = before;
    change(after);
    return compare(before, after, {}).has_drift();
  };
  EXPECT_TRUE(drifts([](Plan& plan) { plan.streams[1].video_sha256 = std::string(64, '0'); }));
  EXPECT_TRUE(drifts([](Plan& plan) { plan.streams[0].holdout_frames.pop_back(); }));
  EXPECT_TRUE(drifts([](Plan& plan) { std::swap(plan.streams[0].models, plan.streams[1].models); }));
  EXPECT_FALSE(drifts([](Plan& plan) { plan.streams[0].video_path = "elsewhere/door.mp4"; }));
  EXPECT_TRUE(compare(before, sample_plan(), {}).has_drift());
}

}  // namespace
}  // namespace repsim::report
