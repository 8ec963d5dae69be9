#include "repsim/run_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/bundle_manifest.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

FrameDetections sample() {
  FrameDetections found;
  found.frame = 12;
  found.model = "fr\"ont";
  found.method = "forward";
  found.boxes = {{0.1, 0.25, 0.5, 1.5, 0.87654321, 1}, {0, 0, 1, 1, 0.5, 7}};
  found.milliseconds = 3.14159;
  return found;
}

TEST(RunReport, WritesALineInPixelsOfTheFrame) {
  EXPECT_EQ(to_json_line(sample(), {200, 100}, {"person", "car"}),
            "{\"frame\":12,\"model\":\"fr\\\"ont\",\"source\":\"bundle\",\"method\":\"forward\",\"ms\":3.142,"
            "\"boxes\":[[20.0,25.0,100.0,150.0],[0.0,0.0,200.0,100.0]],\"scores\":[0.876543,0.5],\"labels\":[1,7],"
            "\"classes\":[\"car\",null]}\n");
}

TEST(RunReport, HasNoBoxesForRawOutputs) {
  FrameDetections raw = sample();
  raw.is_raw = raw.is_original = true;
  const Json line = Json::parse(to_json_line(raw, {200, 100}, {}));
  EXPECT_EQ(line["source"], "original");
  for (const char* key : {"boxes", "scores", "labels", "classes"}) EXPECT_TRUE(line[key].is_null()) << key;
}

TEST(RunReport, IsATable) {
  RunSummary run;
  run.video_path = "street.mp4";
  run.frames = 50;
  run.seconds = 4;
  run.is_one_call = true;
  run.models = {{"front", false, 125, 7.5, RunComparison{130, 120, 5, 9.5}}, {"heat", true, 0, 7.5, {}}};
  run.written = {"seen.mp4"};
  EXPECT_EQ(to_text(run),
            "50 frames of street.mp4 in 4.0 s: 12.5 frames per second\n"
            "\n"
            "Model  Detections  Per frame  ms per frame\n"
            "front         125       2.50           7.5\n"
            "    keeps 120 of 130 detections of its original, and has 5 others; the original alone takes 9.5 ms\n"
            "heat            -          -           7.5\n"
            "    its outputs are compared as raw tensors (format tensor): they are no detections\n"
            "\n"
            "ms per frame: one call computes all models.\n"
            "\n"
            "wrote seen.mp4\n");
  run.frames = 0;
  run.seconds = 0;
  EXPECT_THAT(to_text(run), AllOf(HasSubstr("0.0 frames per second"), Not(HasSubstr("nan"))));
}

Json manifest() {
  model::InputSpec input;
  input.width = 320;
  input.height = 240;
  model::OutputSpec output;
  output.format = model::OutputFormat::kYolov8;
  output.boxes = model::BoxUnits::kPixels;
  output.classes = {"person"};
  Json json;
  json["schema_version"] = 1;
  json["tool"] = {{"name", "repsim"}, {"version", "9"}};
  json["inputs"] = Json::array();
  json["inputs"].push_back(to_json(input));
  json["models"] = Json::array();
  json["models"].push_back({{"name", "night-cam"},
                            {"attribute", "night_cam"},
                            {"run_method", "run_night_cam"},
                            {"input_group", 0},
                            {"sha256", "00"},
                            {"output", to_json(output)}});
  json["shares"] = Json::array();
  return json;
}

TEST(BundleManifest, TellsHowModelsAreFedAndRead) {
  const BundleManifest read = read_manifest(repsim::to_text(manifest()), "b.pt");
  ASSERT_EQ(read.inputs.size(), 1U);
  EXPECT_EQ(read.inputs[0].width, 320);
  ASSERT_EQ(read.models.size(), 1U);
  EXPECT_EQ(read.models[0].run_method, "run_night_cam");
  EXPECT_EQ(read.models[0].output.format, model::OutputFormat::kYolov8);
  EXPECT_EQ(read.models[0].output.classes, std::vector<std::string>{"person"});
}

TEST(BundleManifest, NamesTheFieldThatIsWrong) {
  const auto problem = [](const auto& change) {
    Json json = manifest();
    change(json);
    return test::error_text([&] { (void)read_manifest(json.dump(), "b.pt"); });
  };
  EXPECT_THAT(problem([](Json& json) { json["schema_version"] = 2; }), HasSubstr("b.pt: repsim.json: schema_version"));
  EXPECT_THAT(problem([](Json& json) { json["models"][0]["input_group"] = 1; }), HasSubstr("models[0].input_group"));
  EXPECT_THAT(problem([](Json& json) { json["models"][0].erase("sha256"); }), HasSubstr("models[0].sha256"));
  EXPECT_THAT(problem([](Json& json) { json["models"] = Json::array(); }), HasSubstr("models"));
  EXPECT_THAT(problem([](Json& json) { json["models"][0]["output"]["format"] = "yolo"; }),
              HasSubstr("models[0].output.format"));
  EXPECT_THAT(problem([](Json& json) { json["inputs"][0]["width"] = "x"; }), HasSubstr("inputs[0].width"));
}

}  // namespace
}  // namespace repsim::report
