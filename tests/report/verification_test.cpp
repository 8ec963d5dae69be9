#include "repsim/verification.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "repsim/dry_run.hpp"

namespace repsim::report {
namespace {

verify::Fidelity fidelity(double value, double low, double high) {
  verify::Fidelity result;
  result.value = value;
  result.interval = {low, high};
  return result;
}

Verification sample() {
  Verification verification;
  verification.video_path = "street.mp4";
  verification.frames = {6, 8};
  verification.min_fidelity = 0.9;
  verification.models.resize(3);
  verification.models[0] = {"front", fidelity(0.95, 0.9, 1), verify::Accuracy{}, 0.9};
  verification.models[0].accuracy->own = 0.5;
  verification.models[0].accuracy->merged = 0.25;
  verification.models[0].accuracy->truth_boxes = 7;
  verification.models[1] = {"backwards", fidelity(0.7, 0.6, 0.8), std::nullopt, 0.8};
  verification.models[2] = {"side", fidelity(1, 1, 1), std::nullopt, 0.9};
  verification.models[2].fidelity.bit_identical = true;
  return verification;
}

TEST(Verification, IsATextThatNamesWhatFellShort) {
  EXPECT_EQ(to_text(sample()),
            "2 frames of street.mp4\n"
            "  front      agrees with its original: fidelity 0.950 [0.900, 1.000]; AP50 0.500 -> 0.250 (7 boxes)\n"
            "  backwards  agrees with its original: fidelity 0.700 [0.600, 0.800], BELOW the plan's minimum\n"
            "  side       bit-identical to its original\n"
            "does not hold: the plan asks for a fidelity of 0.900, of backwards 0.800\n");
}

TEST(Verification, SaysSoWhereTheGroundTruthHasNoBox) {
  Verification verification = sample();
  verification.models[0].accuracy = verify::Accuracy{};
  EXPECT_THAT(to_text(verification), testing::HasSubstr("; AP50 undefined: no ground-truth boxes on these frames\n"));
  const Json accuracy = to_json(verification)["models"][0]["accuracy"];
  for (const char* key : {"own", "merged", "own_interval", "merged_interval"})
    EXPECT_TRUE(accuracy[key].is_null()) << key;
}

TEST(Verification, HoldsWhereEveryModelKeepsItsOwnMinimum) {
  Verification verification = sample();
  EXPECT_FALSE(verification.holds());
  EXPECT_EQ(to_json(verification)["holds"], false);
  verification.models[1].min_fidelity = 0.7;
  EXPECT_TRUE(verification.holds());
  EXPECT_EQ(to_json(verification)["holds"], true);
}

TEST(Verification, KeepsAllDigitsInJson) {
  Verification verification = sample();
  verification.models[0].fidelity.value = 0.1234567891;
  const Json json = to_json(verification);
  EXPECT_EQ(json["models"][0]["fidelity"]["value"], 0.1234567891);
  EXPECT_EQ(json["models"][0]["accuracy"]["truth_boxes"], 7);
  EXPECT_TRUE(json["models"][1]["accuracy"].is_null());
}

TEST(DryRun, SaysWhatAPlanWouldDo) {
  DryRun would;
  would.models = {{"small", 12, 3456, 0, model::OutputFormat::kYolov8, ""},
                  {"counter", 0, 100, 1, model::OutputFormat::kTensor, "counts its calls"}};
  would.directions = {{"small", {"wide"}}, {"small", {"wide", "tiny"}}};
  would.frames = 256;
  would.video_frames = 795;
  would.video_path = "street.mp4";
  would.out = "plan";
  EXPECT_EQ(to_text(would),
            "small: 12 layers, 3.5 kB, input group 0, format yolov8\n"
            "counter: 0 layers, 100 B, input group 1, format tensor (opaque: it counts its calls)\n"
            "would consider small<-wide\n"
            "would consider small<-wide+tiny mixed\n"
            "would sample 256 of the 795 frames of street.mp4 and write to plan\n");
}

TEST(Verification, SaysWhatAModelKeepsAndWhereItDiffersMost) {
  Verification verification = sample();
  verify::Fidelity& fidelity = verification.models[0].fidelity;
  EXPECT_TRUE(to_json(verification)["models"][0]["fidelity"]["kept"].is_null());
  fidelity.frames = 50;
  fidelity.own_detections = 40;
  fidelity.kept = 38;
  fidelity.false_alarms = 3;
  fidelity.worst_frames = {{6, 2, 0}, {8, 0, 3}};
  EXPECT_THAT(to_text(verification),
              testing::HasSubstr("fidelity 0.950 [0.900, 1.000], keeps 38 of 40 detections, 6.0 false alarms per 100 "
                                 "frames; differs most on frames 6 (2 missed), 8 (3 false); AP50"));
  const Json json = to_json(verification)["models"][0]["fidelity"];
  EXPECT_EQ(json["kept"], 38);
  EXPECT_EQ(json["false_alarms"], 3);
  EXPECT_EQ(json["worst_frames"][1], Json::parse(R"({"frame": 8, "missed": 0, "false_alarms": 3})"));
}

TEST(Verification, SaysWhatTheEngineLosesAndWhatMergingDoes) {
  Verification verification = sample();
  EXPECT_FALSE(to_json(verification)["models"][0].contains("engine")) << "without an engine nothing changes";
  EXPECT_EQ(engine_in_words(verification.models[0]), "");
  Verification::Model& model = verification.models[0];
  model.fidelity.value = 0.95;
  model.min_fidelity = 0.9;
  model.original_on_engine = model.fidelity;
  model.original_on_engine->value = 0.998;
  model.bundle_on_engine = model.fidelity;
  model.bundle_on_engine->value = 0.941;
  EXPECT_EQ(engine_in_words(model),
            "on the engine: bundle 0.941, original 0.998; merging loses 0.050, the engine 0.002, both 0.059");
  EXPECT_THAT(to_text(verification),
              testing::HasSubstr("]; AP50 0.500 -> 0.250 (7 boxes)\n             on the engine: bundle 0.941"));
  EXPECT_EQ(to_json(verification)["models"][0]["engine"]["bundle"]["value"], 0.941);
  EXPECT_FALSE(model.is_broken());
  model.bundle_on_engine->value = 0.89;
  EXPECT_TRUE(model.is_broken()) << "what the box runs keeps less than the plan asks for";
  EXPECT_THAT(engine_in_words(model), testing::HasSubstr("BELOW"));
  EXPECT_THAT(verdict_in_words(model), testing::Not(testing::HasSubstr("BELOW"))) << "in Torch it keeps it";
  model.bundle_on_engine.reset();
  EXPECT_EQ(engine_in_words(model), "on the engine: original 0.998; merging loses 0.050, the engine 0.002");
}

}  // namespace
}  // namespace repsim::report
