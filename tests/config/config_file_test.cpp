// Configs that repsim writes, and comments in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"

namespace repsim::config {
namespace {

using test::error_of;
using testing::HasSubstr;

Settings read(const Json& json) { return settings_from_json(json, "c.json", {}); }

Settings every_setting_changed() {
  Json config = Json::parse(R"({
    "models": [
      {"name": "a", "path": "x/a.pt", "input": {"width": 32, "height": 48, "resize": "letterbox", "pad": 7,
       "color": "rgb", "scale": 0.25, "mean": [1, 2, 3], "std": [4, 5, 6], "kind": "list", "layout": "nhwc",
       "dtype": "float16"}, "output": {"format": "yolov8", "boxes": "pixels", "classes": ["p", "q"],
       "score_threshold": 0.5}},
      {"name": "b", "path": "b.pt", "output": {"format": "ssd", "scores": "logits", "background": "last",
       "priors": {"min_sizes": [[16, 32], [64]], "strides": [8, 16], "clip": true}, "variances": [0.3, 0.4]}},
      {"name": "c", "path": "c.pt", "output": {"format": "ssd"}}],
    "libraries": ["l.so"], "video": "v.avi", "frames": {"count": 99, "holdout": 0.25, "scan": 7},
    "merge": {"min_fidelity": {"default": 0.8, "a": 0.95}, "budget": "1.5M", "max_shares": 2, "donors": ["a"],
      "keep": ["b"], "sharing": "weights", "adapters": "none", "refit": false, "max_rank": 16, "max_side_inputs": 3, "share": ["a<-b"],
      "layers": ["l.*"], "exclude": ["m"], "max_trials": 3, "confidence": 0.9, "min_evidence": 5,
      "accept_unmeasured": ["a"], "max_judgements": 2, "max_minutes": 1.5},
    "truth": "gt.txt", "report_frames": 2, "threads": 2, "device": "cuda:1", "memory_limit": "2G", "seed": 11})");
  return read(config);
}

void expect_equal(const Settings& a, const Settings& b) {
  for (const Setting& row : kSettings) EXPECT_EQ(json_of(row, a), json_of(row, b)) << row.key;
  EXPECT_EQ(config_file(a)["models"], config_file(b)["models"]);
}

TEST(WrittenConfig, ReadsBackAsTheSameSettings) {
  const Settings settings = every_setting_changed();
  const Settings again = read(config_file(settings));
  expect_equal(settings, again);
  ASSERT_EQ(again.models.size(), 3U);
  EXPECT_EQ(again.models[0].input, settings.models[0].input);
  EXPECT_EQ(again.models[1].output.ssd, settings.models[1].output.ssd);
  EXPECT_FALSE(again.models[2].input.has_value());
}

TEST(WrittenConfig, OfDefaultsReadsBackAsDefaults) { expect_equal(Settings{}, read(config_file(Settings{}))); }

TEST(WrittenConfig, HasEveryRowThatHasAValue) {
  const Json file = config_file(every_setting_changed());
  for (const Setting& row : kSettings) {
    const std::size_t dot = row.key.find('.');
    const std::string group(row.key.substr(0, dot));
    if (group == "videos") continue;  // a list in place of `video`
    ASSERT_TRUE(file.contains(group)) << row.key;
    if (dot != std::string_view::npos) {
      EXPECT_TRUE(file[group].contains(std::string(row.key.substr(dot + 1)))) << row.key;
    }
  }
}

TEST(ConfigComments, MayStandInEveryObject) {
  const Json config = Json::parse(R"({"//": "why", "frames": {"//": ["one", "two"], "count": 99},
    "merge": {"//": "m"}, "models": [{"//": [], "path": "a.pt", "input": {"//": "i", "width": 8, "height": 8},
    "output": {"//": "o"}}]})");
  const Settings settings = read(config);
  EXPECT_EQ(settings.frames, 99);
  EXPECT_EQ(settings.models.size(), 1U);
}

TEST(ConfigComments, AreTexts) {
  for (const char* comment : {"1", "{}", "null", "[1]", "[[\"x\"]]"}) {
    const Json config = {{"frames", {{"//", Json::parse(comment)}}}};
    const auto error = error_of([&] { static_cast<void>(read(config)); });
    ASSERT_TRUE(error) << comment;
    EXPECT_THAT(error->where(), HasSubstr("c.json: frames.//")) << comment;
  }
}

TEST(ConfigComments, HideNoUnknownKey) {
  const Json config = {{"//", "x"}, {"/", "y"}};
  const auto error = error_of([&] { static_cast<void>(read(config)); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->problem(), "unknown key");
}

}  // namespace
}  // namespace repsim::config
