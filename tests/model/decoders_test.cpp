// Reading detections: every layout against a naive reader in float64.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "layouts.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::model {
namespace {

using test::class_logits;
using test::corner_boxes;
using test::Random;
using test::tuple_of;
using test::yolo_rows;

OutputSpec spec_of(OutputFormat format, BoxUnits units) {
  OutputSpec spec;
  spec.format = format;
  spec.boxes = units;
  return spec;
}

Detections strong(const Detections& all) {
  Detections kept;
  for (const Detection& one : all) {
    if (static_cast<float>(one.score) >= 0.01F) kept.push_back(one);
  }
  return kept;
}

/// Boxes are computed in float32: 1e-5 of the picture is more than its rounding.
void expect_same(const Detections& found, const Detections& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_NEAR(found[i].x1, expected[i].x1, 1e-5);
    EXPECT_NEAR(found[i].y1, expected[i].y1, 1e-5);
    EXPECT_NEAR(found[i].x2, expected[i].x2, 1e-5);
    EXPECT_NEAR(found[i].y2, expected[i].y2, 1e-5);
    EXPECT_NEAR(found[i].score, expected[i].score, 1e-6);
    EXPECT_EQ(found[i].label, expected[i].label);
  }
}

TEST(DecodeYolov5, EveryClassOfEveryRow) {
  Random random(1);
  const at::Tensor rows = yolo_rows(random, 2, 3, 4);
  const auto found = decode(rows, spec_of(OutputFormat::kYolov5, BoxUnits::kPixels), test::fixture_input(), 2);
  ASSERT_EQ(found.size(), 2U);
  for (std::int64_t b = 0; b < 2; ++b) {
    const Detections expected = strong(test::read_yolov5(rows, b));
    EXPECT_GT(expected.size(), 50U);
    expect_same(found[static_cast<std::size_t>(b)], expected);
  }
}

// Fidelity drops scores below 0.01 before anything else (docs/plan.md): dropping them while decoding changes nothing.
TEST(DecodeYolov5, DropsOnlyWhatSuppressionDropsAnyway) {
  Random random(2);
  const at::Tensor rows = yolo_rows(random, 1, 3, 2);
  const auto found = decode(rows, spec_of(OutputFormat::kYolov5, BoxUnits::kPixels), test::fixture_input(), 1);
  expect_same(verify::suppress(found[0]), verify::suppress(test::read_yolov5(rows, 0)));
}

TEST(DecodeYolov8, EveryClassOfEveryColumnWhicheverWayRound) {
  Random random(3);
  const at::Tensor rows = yolo_rows(random, 2, 1, 3), columns = rows.transpose(1, 2).contiguous();
  OutputSpec spec = spec_of(OutputFormat::kYolov8, BoxUnits::kPixels);
  for (const at::Tensor& output : {rows, columns}) {
    const auto found = decode(output, spec, test::fixture_input(), 2);
    ASSERT_EQ(found.size(), 2U);
    for (std::int64_t b = 0; b < 2; ++b) {
      expect_same(found[static_cast<std::size_t>(b)], strong(test::read_yolov8(columns, b, 3)));
    }
  }
  spec.classes = {"a", "b"};  // the third column is then something else
  expect_same(decode(columns, spec, test::fixture_input(), 2)[0], strong(test::read_yolov8(columns, 0, 2)));
}

TEST(DecodeRows, BoxesScoresLabelsInOneTensor) {
  Random random(4);
  at::Tensor rows = at::zeros({2, 7, 6});
  rows.slice(2, 0, 4).copy_(corner_boxes(random, 2, 7));
  rows.select(2, 4).copy_(at::linspace(0.9, 0.0, 7).expand({2, 7}));
  rows.select(2, 5).copy_(at::arange(7).expand({2, 7}));
  const auto found =
      decode(rows, spec_of(OutputFormat::kBoxesScoresLabels, BoxUnits::kRelative), test::fixture_input(), 2);
  Detections expected;
  const auto v = rows.accessor<float, 3>();
  for (int n = 0; n < 6; ++n) expected.push_back({v[1][n][0], v[1][n][1], v[1][n][2], v[1][n][3], v[1][n][4], n});
  expect_same(found[1], expected);
  const at::Tensor one = rows[1];
  const c10::IValue unbatched = tuple_of({one.slice(1, 0, 4), one.select(1, 4), one.select(1, 5).to(at::kInt)});
  expect_same(
      decode(unbatched, spec_of(OutputFormat::kBoxesScoresLabels, BoxUnits::kRelative), test::fixture_input(), 1)[0],
      expected);
}

/// Softmax in float64.
std::vector<double> naive_softmax(const at::TensorAccessor<float, 1>& logits, std::int64_t count) {
  std::vector<double> values;
  double sum = 0;
  for (std::int64_t c = 0; c < count; ++c) sum += values.emplace_back(std::exp(static_cast<double>(logits[c])));
  for (double& value : values) value /= sum;
  return values;
}

TEST(DecodeSsd, LogitsWithABackground) {
  Random random(5);
  const at::Tensor logits = class_logits(random, 1, 60, 4, 0), boxes = corner_boxes(random, 1, 60);
  OutputSpec spec = spec_of(OutputFormat::kSsd, BoxUnits::kRelative);
  spec.ssd.scores = ScoreKind::kLogits;
  for (const bool first : {true, false}) {
    spec.ssd.background = first ? Background::kFirst : Background::kLast;
    Detections all;
    const at::Tensor five = at::cat({logits, random.tensor({1, 60, 1})}, 2);  // five classes: no doubt which are boxes
    const auto box = boxes.accessor<float, 3>();
    for (int n = 0; n < 60; ++n) {
      const auto p = naive_softmax(five.accessor<float, 3>()[0][n], 5);
      for (int c = 0; c < 4; ++c) {
        all.push_back({box[0][n][0], box[0][n][1], box[0][n][2], box[0][n][3],
                       p[static_cast<std::size_t>(c) + static_cast<std::size_t>(first)], c});
      }
    }
    expect_same(decode(tuple_of({five, boxes}), spec, test::fixture_input(), 1)[0], strong(all));
  }
}

TEST(DecodeSsd, LogitsWithoutABackgroundAreSigmoids) {
  Random random(6);
  const at::Tensor logits = random.tensor({1, 30, 3}, 6), boxes = corner_boxes(random, 1, 30);
  OutputSpec spec = spec_of(OutputFormat::kSsd, BoxUnits::kRelative);
  spec.ssd.scores = ScoreKind::kLogits;
  spec.ssd.background = Background::kNone;
  Detections all;
  const auto box = boxes.accessor<float, 3>(), logit = logits.accessor<float, 3>();
  for (int n = 0; n < 30; ++n) {
    for (int c = 0; c < 3; ++c) {
      all.push_back({box[0][n][0], box[0][n][1], box[0][n][2], box[0][n][3],
                     1 / (1 + std::exp(-static_cast<double>(logit[0][n][c]))), c});
    }
  }
  expect_same(decode(tuple_of({logits, boxes}), spec, test::fixture_input(), 1)[0], strong(all));
}

// RetinaFace's arithmetic: centre = prior + offset * 0.1 * side, side = prior * exp(offset * 0.2).
TEST(DecodeLandmarkSsd, RegressionsFromPriors) {
  Random random(7);
  const std::vector<std::vector<double>> sizes{{8, 12}, {16, 24}, {40}};
  const auto priors = test::naive_priors(sizes, {8, 16, 32}, 64, 48);
  const auto count = static_cast<std::int64_t>(priors.size());
  const at::Tensor offsets = random.tensor({2, count, 4}, 2);
  const at::Tensor scores = class_logits(random, 2, count, 2, 0).softmax(-1);
  OutputSpec spec = spec_of(OutputFormat::kLandmarkSsd, BoxUnits::kRelative);
  spec.ssd = {ScoreKind::kProbabilities, Background::kFirst, Priors{sizes, {8, 16, 32}, false}, {0.1, 0.2}};
  const auto found = decode(tuple_of({offsets, scores, random.tensor({2, count, 10})}), spec, test::fixture_input(), 2);
  const auto o = offsets.accessor<float, 3>(), s = scores.accessor<float, 3>();
  for (std::int64_t b = 0; b < 2; ++b) {
    Detections all;
    for (std::int64_t n = 0; n < count; ++n) {
      const auto& p = priors[static_cast<std::size_t>(n)];
      const double cx = p[0] + o[b][n][0] * 0.1 * p[2], cy = p[1] + o[b][n][1] * 0.1 * p[3];
      const double w = p[2] * std::exp(o[b][n][2] * 0.2), h = p[3] * std::exp(o[b][n][3] * 0.2);
      all.push_back({cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, s[b][n][1], 0});
    }
    expect_same(found[static_cast<std::size_t>(b)], strong(all));
    EXPECT_GT(found[static_cast<std::size_t>(b)].size(), 5U);
  }
}

TEST(DecodeLandmarkSsd, ClipCutsThePriorsToThePicture) {
  OutputSpec spec = spec_of(OutputFormat::kLandmarkSsd, BoxUnits::kRelative);
  spec.ssd = {ScoreKind::kProbabilities, Background::kFirst, Priors{{{128}}, {64}, true}, {0.1, 0.2}};
  const auto found =
      decode(tuple_of({at::zeros({1, 1, 4}), at::tensor({0.2F, 0.8F}).view({1, 1, 2}), at::zeros({1, 1, 10})}), spec,
             test::fixture_input(), 1);
  // One cell of 64 pixels: its centre is at half the width and two thirds of the height, the side is cut to 1.
  ASSERT_EQ(found[0].size(), 1U);
  EXPECT_NEAR(found[0][0].x1, 0.0, 1e-6);
  EXPECT_NEAR(found[0][0].y1, 32.0 / 48 - 0.5, 1e-6);
  EXPECT_NEAR(found[0][0].y2, 32.0 / 48 + 0.5, 1e-6);
}

TEST(DecodeAny, RefusesAStructureThatChanged) {
  const at::Tensor other = at::ones({1, 3});
  for (const std::string& word : output_format_names()) {
    const OutputFormat format = parse_output_format(word).value();
    if (format == OutputFormat::kAuto || format == OutputFormat::kTensor) continue;
    EXPECT_THAT(
        test::error_text([&] { (void)decode(other, spec_of(format, BoxUnits::kRelative), test::fixture_input(), 1); }),
        testing::HasSubstr("another structure"))
        << word;
  }
}

}  // namespace
}  // namespace repsim::model
