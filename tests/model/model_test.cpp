// Loading archives, metadata, recognising and decoding outputs.
#include "repsim/model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <caffe2/serialize/inline_container.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::model {
namespace {

using test::error_text;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string load_error(const std::filesystem::path& path) {
  return error_text([&] { (void)load({"m", path.string(), test::fixture_input(), {}}, "flags"); });
}

/// A zip archive of torch's layout with these records.
void write_archive(const std::filesystem::path& path, const std::vector<std::pair<std::string, std::string>>& records) {
  caffe2::serialize::PyTorchStreamWriter writer(path.string());
  for (const auto& [name, content] : records) writer.writeRecord(name, content.data(), content.size());
  writer.writeEndOfFile();
}

/// The fixture `tied`, saved with this config.txt.
std::filesystem::path with_config(const test::TempFolder& folder, const std::string& config) {
  const torch::jit::Module module = torch::jit::load(test::fixture_path("tied").string());
  module.save((folder / "m.pt").string(), {{"config.txt", config}});
  return folder / "m.pt";
}

Loaded load_without_input(const std::filesystem::path& path) {
  return load({"m", path.string(), std::nullopt, {}}, "");
}

TEST(Load, NamesAMissingFile) {
  EXPECT_THAT(load_error("/nowhere/m.pt"), AllOf(StartsWith("input: /nowhere/m.pt: no such file"), HasSubstr("'m'")));
}

TEST(Load, RefusesAFolder) {
  const test::TempFolder folder;
  EXPECT_THAT(load_error(folder.path()), HasSubstr("this is no file"));
}

TEST(Load, RefusesAnEmptyFile) {
  const test::TempFolder folder;
  test::write_text(folder / "m.pt", "");
  EXPECT_THAT(load_error(folder / "m.pt"), AllOf(StartsWith("input: "), HasSubstr("is empty")));
}

TEST(Load, RefusesText) {
  const test::TempFolder folder;
  test::write_text(folder / "m.pt", "not a model, but long enough to be looked at\n");
  EXPECT_THAT(load_error(folder / "m.pt"),
              AllOf(StartsWith("input: "), HasSubstr("no TorchScript"), HasSubstr("torch.jit.script")));
}

TEST(Load, TellsAStateDictFromAModel) {
  const test::TempFolder folder;
  write_archive(folder / "m.pt", {{"data.pkl", "\x80\x02}q\x01."}, {"byteorder", "little"}});
  EXPECT_THAT(load_error(folder / "m.pt"),
              AllOf(StartsWith("input: "), HasSubstr("weights"), HasSubstr("torch.jit.script")));
}

TEST(Load, TellsAnExportedProgramFromAModel) {
  const test::TempFolder folder;
  write_archive(folder / "m.pt", {{"models/model.json", "{}"}, {"archive_format", "pt2"}});
  EXPECT_THAT(load_error(folder / "m.pt"), AllOf(StartsWith("input: "), HasSubstr("ExportedProgram")));
}

TEST(Load, TakesSizeAndClassesFromTheArchive) {
  const Loaded loaded = load_without_input(test::fixture_path("config"));
  EXPECT_EQ(loaded.spec.input->width, 64);
  EXPECT_EQ(loaded.spec.input->height, 48);
  EXPECT_EQ(loaded.input_source, "archive: config.txt");
  EXPECT_THAT(loaded.spec.output.classes, ElementsAre("person", "dog"));
}

TEST(Load, PrefersWhatTheUserSays) {
  InputSpec input = test::fixture_input();
  input.width = 96;
  const Loaded loaded = load({"m", test::fixture_path("config").string(), input, {}}, "flags");
  EXPECT_EQ(loaded.spec.input->width, 96);
  EXPECT_EQ(loaded.input_source, "flags");
}

TEST(Load, FeedsUltralyticsExportsLetterboxedRgb) {
  const test::TempFolder folder;
  const Loaded loaded = load_without_input(with_config(folder, R"({"author": "Ultralytics", "imgsz": 64})"));
  EXPECT_EQ(loaded.spec.input->resize, Resize::kLetterbox);
  EXPECT_EQ(loaded.spec.input->color, Color::kRgb);
  EXPECT_EQ(loaded.spec.input->height, 64);
}

TEST(Load, AsksForTheSizeThatNobodySays) {
  EXPECT_THAT(error_text([] { (void)load_without_input(test::fixture_path("tied")); }),
              AllOf(StartsWith("input: "), HasSubstr("--input m=")));
}

// Other tools write what they like into config.txt: no crash, no foreign exception.
TEST(Load, SurvivesStrangeMetadata) {
  for (const std::string config :
       {"imgsz: 64", "[]", "{\"imgsz\": \"big\"}", "{\"imgsz\": [64]}", "{\"imgsz\": [0, -5]}",
        "{\"imgsz\": 99999999999999999999}", "{\"imgsz\": null, \"names\": 3}", "{\"names\": {\"0\": 1}}"}) {
    const test::TempFolder folder;
    EXPECT_THAT(error_text([&] { (void)load_without_input(with_config(folder, config)); }), StartsWith("input: "))
        << config;
  }
}

Loaded defined_as(const std::string& code) {
  Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), {}};
  loaded.module = torch::jit::Module("__torch__.M");
  loaded.module.define(code);
  return loaded;
}

std::filesystem::path saved(const test::TempFolder& folder, const std::string& code) {
  defined_as(code).module.save((folder / "m.pt").string());
  return folder / "m.pt";
}

TEST(Load, NamesAFurtherArgumentOfForward) {
  const test::TempFolder folder;
  EXPECT_THAT(load_error(saved(folder, "def forward(self, x, scale: float):\n  return x * scale\n")),
              HasSubstr("'scale'"));
}

TEST(Load, RefusesAForwardWithoutImage) {
  const test::TempFolder folder;
  EXPECT_THAT(load_error(saved(folder, "def forward(self):\n  return torch.zeros([1])\n")),
              HasSubstr("takes no image"));
}

TEST(Load, RefusesAModuleWithoutForward) {
  const test::TempFolder folder;
  EXPECT_THAT(load_error(saved(folder, "def other(self, x):\n  return x\n")), HasSubstr("no forward"));
}

c10::IValue tuple(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& labels) {
  return c10::ivalue::Tuple::create({boxes, scores, labels});
}

const at::Tensor kBoxes = at::tensor({0.1, 0.2, 0.5, 0.6, 0.0, 0.5, 1.0, 1.0}, at::kFloat).view({1, 2, 4});
const at::Tensor kScores = at::tensor({0.9, 0.25}, at::kFloat).view({1, 2});
const at::Tensor kLabels = at::tensor({3, 0}, at::kLong).view({1, 2});

Recognised recognised(const c10::IValue& output, OutputSpec spec = {}) {
  Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), std::move(spec)};
  return recognise(loaded, output, 1);
}

TEST(Recognise, BoxesScoresLabelsInATuple) {
  const Recognised found = recognised(tuple(kBoxes, kScores, kLabels));
  EXPECT_EQ(found.spec.format, OutputFormat::kBoxesScoresLabels);
  EXPECT_EQ(found.spec.boxes, BoxUnits::kRelative);
}

TEST(Recognise, TakesLargeCoordinatesForPixels) {
  EXPECT_EQ(recognised(tuple(kBoxes * 60, kScores, kLabels)).spec.boxes, BoxUnits::kPixels);
}

TEST(Recognise, EveryFixturesFormat) {
  for (const std::string name : {"small", "wide", "dict", "images", "bytes", "small.traced", "one_frame"}) {
    EXPECT_EQ(test::open_fixtures({name}).outputs[0].spec.format, OutputFormat::kBoxesScoresLabels) << name;
  }
  for (const std::string name : {"list", "control", "inplace", "shuffle", "tied"}) {
    EXPECT_EQ(test::open_fixtures({name}).outputs[0].spec.format, OutputFormat::kTensor) << name;
  }
}

TEST(Recognise, RefusesAnOutputWithoutTensors) {
  EXPECT_THAT(error_text([] { (void)test::open_fixtures({"no_tensor"}); }),
              AllOf(StartsWith("input: "), HasSubstr("no tensor")));
}

TEST(Recognise, RefusesNaN) {
  EXPECT_THAT(error_text([] { (void)test::open_fixtures({"nan"}); }), AllOf(StartsWith("input: "), HasSubstr("NaN")));
}

TEST(Recognise, RefusesAFormatThatDoesNotFit) {
  OutputSpec spec;
  spec.format = OutputFormat::kBoxesScoresLabels;
  EXPECT_THAT(error_text([&] { (void)recognised(at::ones({1, 7}), spec); }),
              AllOf(StartsWith("input: "), HasSubstr("--format m=")));
}

OutputSpec decoded_as(BoxUnits units) {
  OutputSpec spec;
  spec.format = OutputFormat::kBoxesScoresLabels;
  spec.boxes = units;
  return spec;
}

void expect_second_box(const std::vector<Detections>& frames) {
  ASSERT_EQ(frames.size(), 1U);
  ASSERT_EQ(frames[0].size(), 2U);
  const Detection& first = frames[0][0];
  EXPECT_NEAR(first.x1, 0.1, 1e-6);
  EXPECT_NEAR(first.y1, 0.2, 1e-6);
  EXPECT_NEAR(first.x2, 0.5, 1e-6);
  EXPECT_NEAR(first.y2, 0.6, 1e-6);
  EXPECT_NEAR(first.score, 0.9, 1e-6);
  EXPECT_EQ(first.label, 3);
  EXPECT_EQ(frames[0][1].score, 0.25);
}

TEST(Decode, ReadsRelativeBoxes) {
  expect_second_box(decode(tuple(kBoxes, kScores, kLabels), decoded_as(BoxUnits::kRelative), test::fixture_input(), 1));
}

TEST(Decode, DividesPixelsByTheInputSize) {
  const at::Tensor pixels = kBoxes * at::tensor({64.0, 48.0, 64.0, 48.0}, at::kFloat);
  expect_second_box(decode(tuple(pixels, kScores, kLabels), decoded_as(BoxUnits::kPixels), test::fixture_input(), 1));
}

TEST(Decode, ReadsDictionariesInAnyOrder) {
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("labels", kLabels);
  dict.insert("boxes", kBoxes);
  dict.insert("scores", kScores);
  expect_second_box(decode(dict, decoded_as(BoxUnits::kRelative), test::fixture_input(), 1));
}

TEST(Decode, ReadsAListWithOneEntryPerFrame) {
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("boxes", kBoxes[0]);
  dict.insert("scores", kScores[0]);
  dict.insert("labels", kLabels[0]);
  c10::List<c10::Dict<std::string, at::Tensor>> list;
  list.push_back(dict);
  expect_second_box(decode(list, decoded_as(BoxUnits::kRelative), test::fixture_input(), 1));
}

TEST(Decode, RefusesAStructureThatChanged) {
  EXPECT_THAT(
      error_text([] { (void)decode(at::ones({1, 3}), decoded_as(BoxUnits::kRelative), test::fixture_input(), 1); }),
      StartsWith("input: "));
}

TEST(TensorsOf, WalksNestedValuesDepthFirst) {
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("z", at::full({1}, 2.0));
  dict.insert("a", at::full({1}, 3.0));
  const c10::IValue nested =
      c10::ivalue::Tuple::create({at::full({1}, 1.0), dict, c10::IValue(), std::int64_t{7},
                                  c10::List<at::Tensor>({at::full({1}, 4.0), at::full({1}, 5.0)})});
  std::vector<double> values;
  for (const at::Tensor& tensor : tensors_of(nested)) values.push_back(tensor.item<double>());
  EXPECT_THAT(values, ElementsAre(1, 2, 3, 4, 5));
}

TEST(ExampleFrames, AreOrdinaryPicturesThatDiffer) {
  const at::Tensor frames = example_frames(test::fixture_input(), 2);
  EXPECT_THAT(frames.sizes().vec(), ElementsAre(2, 3, 48, 64));
  EXPECT_GE(frames.min().item<float>(), 0);
  EXPECT_LE(frames.max().item<float>(), 1);
  EXPECT_GT((frames[0] - frames[1]).abs().mean().item<float>(), 0.01);
  EXPECT_TRUE(at::equal(frames[0], example_frames(test::fixture_input(), 1)[0]));
}

}  // namespace
}  // namespace repsim::model
