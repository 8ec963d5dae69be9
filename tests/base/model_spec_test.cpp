#include "repsim/model_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "repsim/base/atomic_file.hpp"

namespace repsim::model {
namespace {

using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

// These words are in people's configs and scripts: changing one breaks them.
TEST(ModelSpecWords, AreThoseOfTheConfig) {
  EXPECT_THAT(resize_names(), ElementsAre("stretch", "letterbox", "crop"));
  EXPECT_THAT(color_names(), ElementsAre("bgr", "rgb"));
  EXPECT_THAT(input_kind_names(), ElementsAre("tensor", "list"));
  EXPECT_THAT(output_format_names(),
              IsSupersetOf({"auto", "boxes-scores-labels", "yolov5", "yolov8", "ssd", "landmark-ssd", "tensor"}));
  EXPECT_THAT(score_kind_names(), ElementsAre("auto", "probabilities", "logits"));
  EXPECT_THAT(background_names(), ElementsAre("auto", "first", "last", "none"));
  EXPECT_THAT(layout_names(), ElementsAre("nchw", "nhwc"));
  EXPECT_THAT(input_dtype_names(), ElementsAre("float32", "uint8", "float16"));
  EXPECT_THAT(box_units_names(), ElementsAre("auto", "relative", "pixels"));
}

TEST(ModelSpecWords, NameTheirValues) {
  EXPECT_STREQ(to_string(Resize::kLetterbox), "letterbox");
  EXPECT_STREQ(to_string(Color::kRgb), "rgb");
  EXPECT_STREQ(to_string(InputKind::kList), "list");
  EXPECT_STREQ(to_string(Layout::kNhwc), "nhwc");
  EXPECT_STREQ(to_string(InputDtype::kUint8), "uint8");
  EXPECT_STREQ(to_string(OutputFormat::kBoxesScoresLabels), "boxes-scores-labels");
  EXPECT_STREQ(to_string(BoxUnits::kPixels), "pixels");
}

template <typename Parse>
void expect_round_trip(const std::vector<std::string>& names, Parse parse) {
  for (const std::string& name : names) {
    const auto value = parse(name);
    ASSERT_TRUE(value.has_value()) << name;
    EXPECT_EQ(to_string(*value), name);
  }
}

TEST(ModelSpecWords, ComeBackFromParsing) {
  expect_round_trip(resize_names(), parse_resize);
  expect_round_trip(color_names(), parse_color);
  expect_round_trip(input_kind_names(), parse_input_kind);
  expect_round_trip(layout_names(), parse_layout);
  expect_round_trip(input_dtype_names(), parse_input_dtype);
  expect_round_trip(output_format_names(), parse_output_format);
  expect_round_trip(box_units_names(), parse_box_units);
  expect_round_trip(score_kind_names(), parse_score_kind);
  expect_round_trip(background_names(), parse_background);
}

TEST(OutputFormats, EachHasItsSectionInTheDocumentation) {
  const std::string docs = read_file(std::filesystem::path(REPSIM_SOURCE_DIR) / "docs" / "outputs.md");
  for (const std::string& name : output_format_names()) {
    if (name == "auto") continue;
    EXPECT_THAT(docs, ::testing::HasSubstr("\n## `" + name + "`")) << name;
  }
}

TEST(ModelSpecWords, OnlyExactWordsAreKnown) {
  EXPECT_EQ(parse_resize("Stretch"), std::nullopt);
  EXPECT_EQ(parse_resize(""), std::nullopt);
  EXPECT_EQ(parse_color("bgr "), std::nullopt);
  EXPECT_EQ(parse_output_format("boxes"), std::nullopt);
}

}  // namespace
}  // namespace repsim::model
