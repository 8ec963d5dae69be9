// What `auto` takes an output for, and what it must not be taken for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "layouts.hpp"

namespace repsim::model {
namespace {

using test::class_logits;
using test::corner_boxes;
using test::error_text;
using test::Random;
using test::tuple_of;
using test::yolo_rows;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Recognised recognised(const c10::IValue& output, OutputSpec spec = {}) {
  Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), std::move(spec)};
  return recognise(loaded, output, 1);
}

OutputSpec named(std::vector<std::string> classes) {
  OutputSpec spec;
  spec.classes = std::move(classes);
  return spec;
}

OutputSpec asked(OutputFormat format) {
  OutputSpec spec;
  spec.format = format;
  return spec;
}

void expect_tensor(const c10::IValue& output, const std::string& reason, OutputSpec spec = {}) {
  const Recognised found = recognised(output, std::move(spec));
  EXPECT_EQ(found.spec.format, OutputFormat::kTensor) << found.reason;
  EXPECT_THAT(found.reason, HasSubstr(reason));
}

c10::IValue maps() {
  Random random(1);
  return c10::List<at::Tensor>(
      {random.tensor({1, 3, 6, 8, 8}), random.tensor({1, 3, 3, 4, 8}), random.tensor({1, 3, 2, 2, 8})});
}

TEST(RecogniseYolov5, RowsOfThreeAnchorsAloneOrBeforeTheirMaps) {
  Random random(2);
  const at::Tensor rows = yolo_rows(random, 1, 3, 4);
  for (const c10::IValue& output : {c10::IValue(rows), c10::IValue(c10::ivalue::Tuple::create({rows, maps()}))}) {
    const Recognised found = recognised(output);
    EXPECT_EQ(found.spec.format, OutputFormat::kYolov5);
    EXPECT_EQ(found.spec.boxes, BoxUnits::kPixels);
    EXPECT_THAT(found.reason, HasSubstr("3 x (8x6 + 4x3 + 2x2), 3 classes"));
  }
}

TEST(RecogniseYolov5, RelativeBoxes) {
  Random random(3);
  const at::Tensor rows = yolo_rows(random, 1, 3, 4);
  rows.slice(2, 0, 4).div_(at::tensor({64.0F, 48.0F, 64.0F, 48.0F}));
  const Recognised found = recognised(rows);
  EXPECT_EQ(found.spec.format, OutputFormat::kYolov5);
  EXPECT_EQ(found.spec.boxes, BoxUnits::kRelative);
}

// One anchor per cell: [B,64,7] may be 2 classes with an objectness or 3 without.
TEST(RecogniseYolov5, OneAnchorOnlyWhereTheNumberOfClassesTells) {
  Random random(4);
  const at::Tensor rows = yolo_rows(random, 1, 1, 3);
  EXPECT_EQ(recognised(rows, named({"a", "b"})).spec.format, OutputFormat::kYolov5);
  EXPECT_EQ(recognised(rows, named({"a", "b", "c"})).spec.format, OutputFormat::kYolov8);
  expect_tensor(rows, "--format yolov5");
  expect_tensor(rows, "--format m=yolov8");
}

TEST(RecogniseYolov8, ColumnsAloneOrBeforeTheirMaps) {
  Random random(5);
  const at::Tensor columns = yolo_rows(random, 1, 1, 3).transpose(1, 2).contiguous();
  for (const c10::IValue& output : {c10::IValue(columns), c10::IValue(c10::ivalue::Tuple::create({columns, maps()}))}) {
    const Recognised found = recognised(output);
    EXPECT_EQ(found.spec.format, OutputFormat::kYolov8);
    EXPECT_EQ(found.spec.boxes, BoxUnits::kPixels);
    EXPECT_THAT(found.reason, AllOf(HasSubstr("[1,7,64]"), HasSubstr("8x6 + 4x3 + 2x2, 3 classes")));
  }
}

TEST(RecogniseYolov8, LeavesOutMaskCoefficientsWhereTheClassesAreNamed) {
  Random random(6);
  const at::Tensor columns = at::cat({yolo_rows(random, 1, 1, 2).transpose(1, 2), random.tensor({1, 8, 64})}, 1);
  const Recognised found = recognised(tuple_of({columns, random.tensor({1, 8, 12, 16})}), named({"a", "b"}));
  EXPECT_EQ(found.spec.format, OutputFormat::kYolov8);
  EXPECT_THAT(found.reason, HasSubstr("2 classes and 8 further values"));
  expect_tensor(columns, "output.classes");
}

// The angle may lie in 0..1 by chance, and then looks like one more class.
TEST(RecogniseYolov8, DoesNotTakeTheAngleOfARotatedBoxForAClass) {
  Random random(7);
  const at::Tensor columns = at::cat({yolo_rows(random, 1, 1, 2).transpose(1, 2), at::full({1, 1, 64}, 0.78)}, 1);
  expect_tensor(columns, "angle", named({"a", "b"}));
  OutputSpec spec = named({"a", "b"});
  spec.format = OutputFormat::kYolov8;
  EXPECT_THAT(error_text([&] { (void)recognised(columns, spec); }), HasSubstr("angle"));
}

// A user who names only the first class still has all of them compared.
TEST(RecogniseYolov8, FewerNamesThanScoresDropNoClass) {
  Random random(8);
  const at::Tensor columns = yolo_rows(random, 1, 1, 3).transpose(1, 2);
  EXPECT_THAT(recognised(columns, named({"person"})).spec.classes, ElementsAre("person", "", ""));
}

TEST(RecogniseYolov8, TheFixtureWithItsMetadata) {
  const auto spec = test::open_fixtures({"yolov8"}).outputs[0].spec;
  EXPECT_EQ(spec.format, OutputFormat::kYolov8);
  EXPECT_EQ(spec.boxes, BoxUnits::kPixels);
  EXPECT_THAT(spec.classes, ElementsAre("person", "dog"));
}

// Rows as end-to-end exports return them: x1 y1 x2 y2 score label, best first.
at::Tensor suppressed_rows(std::int64_t count) {
  Random random(9);
  at::Tensor rows = at::zeros({1, count, 6});
  rows.slice(2, 0, 4).copy_(corner_boxes(random, 1, count));
  for (std::int64_t n = 0; n < count; ++n) {
    rows[0][n][4] = 0.9 / static_cast<double>(n + 1);
    rows[0][n][5] = static_cast<double>(random.below(80));
  }
  return rows;
}

TEST(RecogniseRows, BestFirst) {
  const at::Tensor rows = suppressed_rows(10);
  for (const at::Tensor& output : {rows, rows[0], rows.slice(2, 0, 5)}) {
    EXPECT_EQ(recognised(output).spec.format, OutputFormat::kBoxesScoresLabels);
  }
}

TEST(RecogniseRows, NotWhenScoresRiseOrLabelsAreFractionsOrRowsAreFew) {
  const at::Tensor rows = suppressed_rows(10);
  expect_tensor(rows.flip(1), "");
  at::Tensor fractions = rows.clone();
  fractions.select(2, 5).add_(0.5);
  expect_tensor(fractions, "");
  expect_tensor(rows.slice(1, 0, 3), "");
}

TEST(RecogniseBoxes, OtherFormsOfTheThreeTensors) {
  Random random(10);
  const at::Tensor boxes = corner_boxes(random, 1, 5), scores = at::rand({1, 5}), labels = at::ones({1, 5}, at::kInt);
  EXPECT_EQ(recognised(tuple_of({boxes, scores, labels})).spec.format, OutputFormat::kBoxesScoresLabels);
  EXPECT_EQ(recognised(tuple_of({boxes, scores.unsqueeze(2), labels})).spec.format, OutputFormat::kBoxesScoresLabels);
  EXPECT_EQ(recognised(tuple_of({at::cat({boxes, scores.unsqueeze(2)}, 2), labels})).spec.format,
            OutputFormat::kBoxesScoresLabels);
  EXPECT_EQ(recognised(tuple_of({boxes[0], scores[0], labels[0]})).spec.format, OutputFormat::kBoxesScoresLabels);
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("masks", at::rand({1, 5, 48, 64}));
  dict.insert("boxes", boxes);
  dict.insert("labels", labels);
  dict.insert("scores", scores);
  EXPECT_EQ(recognised(dict).spec.format, OutputFormat::kBoxesScoresLabels);
}

// Three floating tensors may be anything; with the format asked for, whole numbers are labels.
TEST(RecogniseBoxes, FloatingLabelsOnlyWhenAskedFor) {
  Random random(11);
  const c10::IValue output = tuple_of({corner_boxes(random, 1, 5), at::rand({1, 5}), at::ones({1, 5})});
  expect_tensor(output, "its labels are floating-point numbers");
  expect_tensor(output, "--format m=boxes-scores-labels");
  EXPECT_EQ(recognised(output, asked(OutputFormat::kBoxesScoresLabels)).spec.format, OutputFormat::kBoxesScoresLabels);
}

// A relative box has at most side 1: without any box nothing tells, and models that return few or no boxes use pixels.
TEST(RecogniseBoxes, WithoutAnyBoxSaysThatItTakesThemForPixels) {
  const Recognised found =
      recognised(tuple_of({at::zeros({1, 0, 4}), at::zeros({1, 0}), at::zeros({1, 0}, at::kLong)}));
  EXPECT_EQ(found.spec.boxes, BoxUnits::kPixels);
  EXPECT_THAT(found.reason, HasSubstr("output.boxes"));
}

/// x1 y1 x2 y2 -> cx cy w h
at::Tensor centred(const at::Tensor& boxes) {
  const at::Tensor first = boxes.slice(-1, 0, 2), second = boxes.slice(-1, 2, 4);
  return at::cat({(first + second) / 2, second - first}, -1);
}

TEST(RecogniseBoxes, NotCentreAndSizeInAnyForm) {
  Random random(24);
  const at::Tensor boxes = centred(corner_boxes(random, 1, 20)), labels = at::ones({1, 20}, at::kLong);
  const at::Tensor scores = at::linspace(0.9, 0.1, 20).unsqueeze(0);
  const at::Tensor scored = at::cat({boxes, scores.unsqueeze(2)}, 2);
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("boxes", boxes[0]);
  dict.insert("scores", scores[0]);
  dict.insert("labels", labels[0]);
  c10::List<c10::Dict<std::string, at::Tensor>> list;
  list.push_back(dict);
  for (const c10::IValue& output :
       {tuple_of({boxes, scores, labels}), tuple_of({boxes * 60, scores, labels}), tuple_of({scored, labels}),
        c10::IValue(scored), c10::IValue(at::cat({scored, labels.unsqueeze(2)}, 2)), c10::IValue(list)}) {
    expect_tensor(output, "boxes look like centre and size");
    EXPECT_EQ(recognised(output, asked(OutputFormat::kBoxesScoresLabels)).spec.format,
              OutputFormat::kBoxesScoresLabels);
  }
  expect_tensor(tuple_of({boxes, scores, labels}), "--format m=boxes-scores-labels");
}

TEST(RecogniseBoxes, CornersWithAFewDegenerateOnes) {
  Random random(25);
  at::Tensor boxes = corner_boxes(random, 1, 40);
  boxes[0][0].zero_();
  boxes[0].slice(0, 1, 9).select(1, 2).copy_(boxes[0].slice(0, 1, 9).select(1, 0));  // clipped to an edge: no width
  const at::Tensor scores = at::linspace(0.9, 0.1, 40).unsqueeze(0), labels = at::ones({1, 40}, at::kLong);
  const c10::IValue output = tuple_of({boxes, scores, labels});
  EXPECT_EQ(recognised(output).spec.format, OutputFormat::kBoxesScoresLabels);
  // Of the 31 boxes with area, one in reverse is not more than 5 %, two are.
  boxes[0][20].copy_(at::tensor({0.5F, 0.5F, 0.4F, 0.6F}));
  EXPECT_EQ(recognised(output).spec.format, OutputFormat::kBoxesScoresLabels);
  boxes[0][30].copy_(at::tensor({0.5F, 0.5F, 0.6F, 0.4F}));
  expect_tensor(output, "2 of 31");
}

TEST(RecogniseBoxes, JudgesTheBoxesThatDecodingKeepsElseAll) {
  Random random(26);
  const at::Tensor boxes = corner_boxes(random, 1, 40), labels = at::ones({1, 40}, at::kLong);
  boxes.slice(1, 10).copy_(centred(boxes.slice(1, 10)) - 1);  // whatever padding holds
  at::Tensor scores = at::full({1, 40}, 0.5);
  scores.slice(1, 10).fill_(0.009);
  EXPECT_EQ(recognised(tuple_of({boxes, scores, labels})).spec.format, OutputFormat::kBoxesScoresLabels);
  expect_tensor(tuple_of({boxes, at::zeros({1, 40}), labels}), "boxes are not x1 y1 x2 y2");
  expect_tensor(tuple_of({boxes, scores * 100, labels}), "boxes are not x1 y1 x2 y2");
}

TEST(RecogniseSsd, ProbabilitiesAndBoxesInEitherOrder) {
  Random random(12);
  const at::Tensor scores = class_logits(random, 1, 100, 2, 0).softmax(-1), boxes = corner_boxes(random, 1, 100);
  for (const c10::IValue& output : {tuple_of({scores, boxes}), tuple_of({boxes, scores})}) {
    const OutputSpec spec = recognised(output).spec;
    EXPECT_EQ(spec.format, OutputFormat::kSsd);
    EXPECT_EQ(spec.boxes, BoxUnits::kRelative);
    EXPECT_EQ(spec.ssd.scores, ScoreKind::kProbabilities);
    EXPECT_EQ(spec.ssd.background, Background::kFirst);
  }
}

TEST(RecogniseSsd, LogitsAndABackgroundThatIsLast) {
  Random random(13);
  const OutputSpec spec = recognised(tuple_of({class_logits(random, 1, 100, 5, 4), corner_boxes(random, 1, 100)})).spec;
  EXPECT_EQ(spec.format, OutputFormat::kSsd);
  EXPECT_EQ(spec.ssd.scores, ScoreKind::kLogits);
  EXPECT_EQ(spec.ssd.background, Background::kLast);
}

TEST(RecogniseSsd, IndependentScoresHaveNoBackground) {
  Random random(14);
  const OutputSpec spec = recognised(tuple_of({corner_boxes(random, 1, 100) * 60, at::rand({1, 100, 80})})).spec;
  EXPECT_EQ(spec.format, OutputFormat::kSsd);
  EXPECT_EQ(spec.ssd.background, Background::kNone);
  EXPECT_EQ(spec.boxes, BoxUnits::kPixels);
}

TEST(RecogniseSsd, FourClassesAreNoBoxes) {
  Random random(15);
  const at::Tensor scores = class_logits(random, 1, 100, 4, 0).softmax(-1), boxes = corner_boxes(random, 1, 100);
  EXPECT_EQ(recognised(tuple_of({scores, boxes})).spec.format, OutputFormat::kSsd);
  expect_tensor(tuple_of({boxes, boxes}), "");
}

TEST(RecogniseSsd, RegressionsAskForPriors) {
  Random random(16);
  const at::Tensor scores = class_logits(random, 1, 100, 2, 0).softmax(-1), boxes = random.tensor({1, 100, 4});
  expect_tensor(tuple_of({boxes, scores}), "output.priors");
  expect_tensor(tuple_of({boxes, scores, random.tensor({1, 100, 10})}), "--format m=landmark-ssd");
}

OutputSpec with_priors(std::int64_t extra_levels = 0) {
  OutputSpec spec;
  spec.ssd.priors = Priors{{{8}, {16, 24}}, {8, 16}, false};
  for (std::int64_t i = 0; i < extra_levels; ++i) {
    spec.ssd.priors->min_sizes.push_back({32});
    spec.ssd.priors->strides.push_back(32);
  }
  return spec;
}

constexpr std::int64_t kPriors = 8 * 6 + 2 * 4 * 3;

TEST(RecogniseSsd, RegressionsFromAsManyPriors) {
  Random random(17);
  const c10::IValue output = tuple_of(
      {random.tensor({1, kPriors, 4}), class_logits(random, 1, kPriors, 2, 0), random.tensor({1, kPriors, 10})});
  const Recognised found = recognised(output, with_priors());
  EXPECT_EQ(found.spec.format, OutputFormat::kLandmarkSsd);
  EXPECT_EQ(found.spec.boxes, BoxUnits::kRelative);
  EXPECT_THAT(found.reason, HasSubstr("72 priors"));
  EXPECT_THAT(error_text([&] { (void)recognised(output, with_priors(1)); }),
              AllOf(HasSubstr("72 boxes"), HasSubstr("76")));
}

TEST(RecogniseSsd, WithoutAClassThatWinsAsksForTheBackground) {
  Random random(18);
  const c10::IValue output = tuple_of({random.tensor({1, 100, 3}).softmax(-1), corner_boxes(random, 1, 100)});
  expect_tensor(output, "output.background");
  OutputSpec spec = asked(OutputFormat::kSsd);
  EXPECT_THAT(error_text([&] { (void)recognised(output, spec); }), HasSubstr("output.background"));
  spec.ssd.background = Background::kFirst;
  EXPECT_EQ(recognised(output, spec).spec.ssd.background, Background::kFirst);
}

// DETR: boxes are cx cy w h, the background is the last of 92 classes.
TEST(RecogniseNothing, InATransformersQueries) {
  Random random(19);
  const c10::IValue output = tuple_of({class_logits(random, 1, 100, 92, 91), at::rand({1, 100, 4})});
  expect_tensor(output, "--format m=ssd");
  expect_tensor(output, "look like centre and size");
}

TEST(RecogniseNothing, InADictionaryOfOtherNamesAndSaysThem) {
  Random random(25);
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("pred_logits", class_logits(random, 1, 100, 92, 91));
  dict.insert("pred_boxes", at::rand({1, 100, 4}));
  expect_tensor(dict, "a dictionary of pred_logits, pred_boxes");
  expect_tensor(dict, "docs/outputs.md");
}

TEST(RecogniseNothing, InMapsLogitsAndFeatures) {
  Random random(20);
  expect_tensor(maps(), "no known detection layout");
  expect_tensor(c10::List<at::Tensor>({random.tensor({1, 21, 6, 8}), random.tensor({1, 21, 3, 4})}), "no known");
  expect_tensor(random.tensor({1, 21, 48, 64}), "no known");
  expect_tensor(random.tensor({1, 1000}), "no known");
  expect_tensor(random.tensor({1, 1000}).softmax(1), "no known");
  expect_tensor(random.tensor({1, 64, 32}), "");  // tokens: as many as there are cells
  expect_tensor(tuple_of({random.tensor({1, 64, 4}), random.tensor({1, 64, 2})}), "output.priors");
}

// The right sizes alone are not enough: heads that were flattened before anything was decoded.
TEST(RecogniseNothing, InFlattenedRawHeads) {
  Random random(21);
  const std::int64_t rows = 3 * 64;
  expect_tensor(random.tensor({1, rows, 7}, 3), "--format m=yolov5");
  expect_tensor(random.tensor({1, rows, 7}, 0.5).sigmoid(), "do not cover the picture");
  expect_tensor(random.tensor({1, 7, 64}, 0.5).sigmoid(), "do not cover the picture");
}

TEST(RecogniseOptions, ThatTheFormatDoesNotReadAreAnError) {
  Random random(22);
  EXPECT_THAT(error_text([&] { (void)recognised(random.tensor({1, 10}), with_priors()); }), HasSubstr("priors"));
}

// A plan states the resolved spec, and verify reads it: that must come to the same.
TEST(RecogniseAgain, WithTheResolvedSpecChangesNothing) {
  Random random(23);
  const at::Tensor logits = class_logits(random, 1, kPriors, 2, 0);
  for (const c10::IValue& output :
       {c10::IValue(yolo_rows(random, 1, 3, 4)), c10::IValue(yolo_rows(random, 1, 1, 3).transpose(1, 2)),
        c10::IValue(suppressed_rows(10)), tuple_of({logits, corner_boxes(random, 1, kPriors)})}) {
    const OutputSpec once = recognised(output).spec, twice = recognised(output, once).spec;
    EXPECT_EQ(once.format, twice.format);
    EXPECT_EQ(once.boxes, twice.boxes);
    EXPECT_EQ(once.classes, twice.classes);
    EXPECT_EQ(once.ssd, twice.ssd);
  }
}

}  // namespace
}  // namespace repsim::model
