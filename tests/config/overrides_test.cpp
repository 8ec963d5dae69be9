// --set, --input, --share, and the checks of complete settings: what is understood, and what every mistake is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/error_matcher.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"

namespace repsim::config {
namespace {

using test::error_of;
using testing::HasSubstr;

/// Settings that check() lets pass.
Settings good() {
  Settings settings;
  for (const char* name : {"a", "b"}) {
    model::ModelSpec spec;
    spec.name = name;
    spec.path = std::string(name) + ".pt";
    settings.models.push_back(spec);
    settings.input_sources.emplace_back();
  }
  settings.videos = {{"v.avi"}};
  return settings;
}

TEST(Override, SetsMembersAndElements) {
  Json config = Json::parse(R"({"models": [{"path": "a"}, {"path": "b"}], "seed": 1})");
  apply_override(config, "merge.min_fidelity=0.5");
  apply_override(config, "models.1.output.score_threshold=0.25");
  apply_override(config, "seed=2");
  apply_override(config, "video=clips/a=b.avi");
  apply_override(config, "merge.share=[\"a<-b\"]");
  apply_override(config, "truth=");
  EXPECT_EQ(config.dump(), R"({"models":[{"path":"a"},{"path":"b","output":{"score_threshold":0.25}}],"seed":2,)"
                           R"("merge":{"min_fidelity":0.5,"share":["a<-b"]},"video":"clips/a=b.avi","truth":""})");
}

TEST(Override, TellsWhatIsNoAssignment) {
  Json config = Json::parse(R"({"models": [{"path": "a"}], "seed": 1})");
  for (const char* text :
       {"merge", "=1", "", "a..b=1", ".a=1", "models.1.path=x", "models.-1.path=x", "models.x.path=1", "seed.x=1"}) {
    const Error error = error_of([&] { apply_override(config, text); }).value();
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << text;
    EXPECT_THAT(error.where(), HasSubstr("--set")) << text;
  }
}

TEST(InputFlag, ReadsSizeNameAndParts) {
  const auto [plain_name, plain] = parse_input_flag("352x288");
  model::InputSpec expected;
  expected.width = 352;
  expected.height = 288;
  EXPECT_EQ(plain_name, "");
  EXPECT_EQ(plain, expected);

  const auto [name, spec] =
      parse_input_flag("cam 1=640x480,rgb,letterbox,pad=0,scale=1/128,mean=0.5:1:2,std=1/2:1:4,list");
  expected.width = 640;
  expected.height = 480;
  expected.color = model::Color::kRgb;
  expected.resize = model::Resize::kLetterbox;
  expected.pad = 0;
  expected.scale = 1.0 / 128.0;
  expected.mean = {0.5, 1, 2};
  expected.std = {0.5, 1, 4};
  expected.kind = model::InputKind::kList;
  EXPECT_EQ(name, "cam 1");
  EXPECT_EQ(spec, expected);
}

TEST(InputFlag, ReadsLayoutAndDtype) {
  const model::InputSpec bytes = parse_input_flag("320x240,nhwc,uint8").second;
  EXPECT_EQ(bytes.layout, model::Layout::kNhwc);
  EXPECT_EQ(bytes.dtype, model::InputDtype::kUint8);
  EXPECT_EQ(bytes.scale, 1) << "bytes are fed as they are";
  const model::InputSpec half = parse_input_flag("320x240,float16").second;
  EXPECT_EQ(half.dtype, model::InputDtype::kFloat16);
  EXPECT_EQ(half.scale, model::InputSpec{}.scale);
  EXPECT_EQ(parse_input_flag("320x240,scale=1,uint8").second, parse_input_flag("320x240,uint8").second);
}

// Remedies print specs as flags: what they print has to mean the spec.
TEST(InputFlag, ReadsBackWhatInputFlagWrites) {
  for (const std::string text : {"352x288", "640x480,letterbox,pad=0,rgb,scale=0.0078125,mean=0.5:1:2,std=0.5:1:4,list",
                                 "320x240,nhwc,uint8", "8x9,crop,float16", "8x9,scale=0.00392156862745098"}) {
    const model::InputSpec spec = parse_input_flag(text).second;
    EXPECT_EQ(parse_input_flag(model::input_flag(spec)).second, spec) << text;
  }
  EXPECT_EQ(model::input_flag(parse_input_flag("320x240,uint8,nhwc,stretch,bgr").second), "320x240,nhwc,uint8");
}

TEST(InputFlag, ReadsAFractionAsTheQuotient) {
  EXPECT_EQ(parse_input_flag("1x1,scale=1/255").second.scale, model::InputSpec{}.scale);
}

TEST(InputFlag, TellsWhatItDoesNotUnderstand) {
  for (const char* text : {"",
                           "352",
                           "x",
                           "352x",
                           "axb",
                           "0x10",
                           "10x9000",
                           "-1x2",
                           "352x352x3",
                           "=3x3",
                           "3x3,",
                           "3x3,rbg",
                           "3x3,pad=x",
                           "3x3,pad=300",
                           "3x3,scale=",
                           "3x3,scale=1/0",
                           "3x3,scale=0",
                           "3x3,scale=nan",
                           "3x3,mean=1",
                           "3x3,mean=1:2:x",
                           "3x3,std=0:1:1",
                           "3x3,bgr,rgb",
                           "3x3,pad=1,pad=2",
                           "3x3,size=4",
                           "3x3,int8",
                           "3x3,nchw,nhwc",
                           "3x3,uint8,float32",
                           "3x3,uint8,scale=1/255",
                           "3x3,uint8,mean=1:0:0",
                           "3x3,uint8,std=1:1:2",
                           "rgb,3x3"}) {
    const Error error = error_of([&] { static_cast<void>(parse_input_flag(text)); }).value();
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << text;
    EXPECT_EQ(error.where(), std::string("--input ") + text);
  }
  EXPECT_THAT(error_of([] { static_cast<void>(parse_input_flag("3x3,leterbox")); }).value().remedy(),
              HasSubstr("'letterbox'"));
}

TEST(DirectionText, HasReceiverAndDonor) {
  const auto direction = parse_direction("small one<-big");
  ASSERT_TRUE(direction.has_value());
  EXPECT_EQ(direction->receiver, "small one");
  EXPECT_EQ(direction->donor, "big");
  for (const char* text : {"", "a", "a->b", "<-b", "a<-", "a<-b<-c"}) EXPECT_FALSE(parse_direction(text)) << text;
}

TEST(Bytes, KnowPowersOfAThousand) {
  EXPECT_EQ(parse_bytes("1500000"), 1'500'000);
  EXPECT_EQ(parse_bytes("1.5M"), 1'500'000);
  EXPECT_EQ(parse_bytes("250k"), 250'000);
  EXPECT_EQ(parse_bytes("2G"), 2'000'000'000);
  for (const char* text : {"", "K", "0", "-1", "1T", "1.5 M", "1MB", "nan", "inf", "1e99"})
    EXPECT_FALSE(parse_bytes(text).has_value()) << text;
}

TEST(MinFidelity, IsTakenForAllOrForOneModel) {
  Settings settings = good();
  apply_flag(setting("merge.min_fidelity"), {"0.8", "b:0.95", "a=0.5", "a=0.6", "d:x=0.7"}, settings);
  EXPECT_EQ(settings.min_fidelity, 0.8);
  EXPECT_EQ(settings.min_fidelity_for("a"), 0.6);
  EXPECT_EQ(settings.min_fidelity_for("b"), 0.95);
  EXPECT_EQ(settings.min_fidelity_for("d:x"), 0.7);
  EXPECT_EQ(settings.min_fidelity_for("c"), 0.8);
}

TEST(MinFidelity, NamesWhatIsNoFidelity) {
  for (const char* text : {"x", "a=", "=0.5", "a=0.5x", "", "nan", "a:", ":0.5", "a:b=", "a:x"}) {
    Settings settings = good();
    const Error error = error_of([&] { apply_flag(setting("merge.min_fidelity"), {text}, settings); }).value();
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << text;
    EXPECT_EQ(error.where(), "--min-fidelity");
  }
}

TEST(Check, LetsGoodSettingsPass) { EXPECT_NO_THROW(check(good())); }

/// One change that makes good settings bad.
struct Spoiled {
  const char* where;
  std::function<void(Settings&)> spoil;
};

class CheckMistake : public testing::TestWithParam<Spoiled> {};

TEST_P(CheckMistake, IsUsageAndNamesTheFlag) {
  Settings settings = good();
  GetParam().spoil(settings);
  const Error error = error_of([&] { check(settings); }).value();
  EXPECT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
  EXPECT_EQ(error.where(), GetParam().where);
}

INSTANTIATE_TEST_SUITE_P(, CheckMistake,
                         testing::Values(Spoiled{"", [](Settings& s) { s.models.pop_back(); }},
                                         Spoiled{"", [](Settings& s) { s.models.clear(); }},
                                         Spoiled{"", [](Settings& s) { s.videos.clear(); }},
                                         Spoiled{"models[1].name", [](Settings& s) { s.models[1].name = "a"; }},
                                         Spoiled{"--frames", [](Settings& s) { s.frames = 0; }},
                                         Spoiled{"--holdout", [](Settings& s) { s.holdout = 1; }},
                                         Spoiled{"--holdout", [](Settings& s) { s.holdout = std::nan(""); }},
                                         Spoiled{"--min-fidelity", [](Settings& s) { s.min_fidelity = 1.01; }},
                                         Spoiled{"--min-fidelity", [](Settings& s) { s.min_fidelity = std::nan(""); }},
                                         Spoiled{"--layers", [](Settings& s) { s.layers = {""}; }},
                                         Spoiled{"--exclude", [](Settings& s) { s.exclude = {"a", ""}; }},
                                         Spoiled{"--min-fidelity c=0.5",
                                                 [](Settings& s) { s.min_fidelity_of["c"] = 0.5; }},
                                         Spoiled{"--min-fidelity", [](Settings& s) { s.min_fidelity_of["a"] = -1; }},
                                         Spoiled{"--budget", [](Settings& s) { s.budget = 0; }},
                                         Spoiled{"--budget",
                                                 [](Settings& s) {
                                                   s.budget = 1;
                                                   s.objective = planner::Objective::kFlops;
                                                 }},
                                         Spoiled{"--memory-limit", [](Settings& s) { s.memory_limit = 0; }},
                                         Spoiled{"--max-shares", [](Settings& s) { s.max_shares = -1; }},
                                         Spoiled{"--max-rank", [](Settings& s) { s.max_rank = -1; }},
                                         Spoiled{"--max-side-inputs", [](Settings& s) { s.max_side_inputs = 99; }},
                                         Spoiled{"--donors c*", [](Settings& s) { s.donors = {"c*"}; }},
                                         Spoiled{"--keep c", [](Settings& s) { s.keep = {"c"}; }},
                                         Spoiled{"--keep a",
                                                 [](Settings& s) {
                                                   s.keep = {"a"};
                                                   s.share = {{"a", "b"}};
                                                 }},
                                         Spoiled{"--max-minutes", [](Settings& s) { s.max_minutes = std::nan(""); }},
                                         Spoiled{"--max-trials", [](Settings& s) { s.max_trials = 0; }},
                                         Spoiled{"--share a<-c", [](Settings& s) { s.share = {{"a", "c"}}; }},
                                         Spoiled{"--share b<-b", [](Settings& s) { s.share = {{"b", "b"}}; }},
                                         Spoiled{"models[0].input.std", [](Settings& s) {
                                                   s.models[0].input.emplace();
                                                   s.models[0].input->width = s.models[0].input->height = 1;
                                                   s.models[0].input->std[2] = 0;
                                                 }}));

// One minibatch of 16 calibration frames is the least that gives a similarity; told before any frame is read.
TEST(Check, WantsSixteenCalibrationFrames) {
  Settings settings = good();
  settings.holdout = 0.5;
  settings.frames = 32;
  EXPECT_NO_THROW(check(settings));
  settings.frames = 30;
  const Error error = error_of([&] { check(settings); }).value();
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.remedy(), HasSubstr("--frames"));
}

}  // namespace
}  // namespace repsim::config
