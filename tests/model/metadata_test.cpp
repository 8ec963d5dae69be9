// What archives say about the inputs and classes of their models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::model {
namespace {

using testing::ElementsAre;

class Metadata : public testing::Test {
 protected:
  /// The fixture saved again with these extra files, loaded without an input spec.
  Loaded load_with(const std::unordered_map<std::string, std::string>& extra, ModelSpec spec = {}) {
    torch::jit::load(test::fixture_path("tied").string()).save((folder_ / "m.pt").string(), extra);
    spec.name = "m";
    spec.path = (folder_ / "m.pt").string();
    return load(spec, spec.input ? "config" : "");
  }

  test::TempFolder folder_;
};

TEST_F(Metadata, OfUltralyticsExporter) {
  const Loaded loaded = load_with(
      {{"config.txt", R"({"author": "Ultralytics", "task": "detect", "stride": 32, "batch": 1, "imgsz": [48, 64],
                          "names": {"0": "person", "1": "bicycle"}, "args": {"nms": false}})"}});
  EXPECT_EQ(loaded.spec.input->width, 64);
  EXPECT_EQ(loaded.spec.input->height, 48);
  EXPECT_EQ(loaded.spec.input->resize, Resize::kLetterbox);
  EXPECT_EQ(loaded.spec.input->color, Color::kRgb);
  EXPECT_EQ(loaded.input_source, "archive: config.txt");
  EXPECT_THAT(loaded.spec.output.classes, ElementsAre("person", "bicycle"));
}

TEST_F(Metadata, OfYolov5Exporter) {
  const Loaded loaded =
      load_with({{"config.txt", R"({"shape": [1, 3, 48, 64], "stride": 32, "names": ["person", "bicycle"]})"}});
  EXPECT_EQ(loaded.spec.input->width, 64);
  EXPECT_EQ(loaded.spec.input->height, 48);
  EXPECT_EQ(loaded.spec.input->resize, Resize::kLetterbox);
  EXPECT_EQ(loaded.spec.input->color, Color::kRgb);
  EXPECT_THAT(loaded.spec.output.classes, ElementsAre("person", "bicycle"));
}

// JSON objects have no order that counts, and exporters drop classes.
TEST_F(Metadata, NumbersOfNamesAreLabels) {
  const Loaded loaded = load_with({{"config.txt", R"({"imgsz": 64, "names": {"10": "k", "2": "c", "0": "a"}})"}});
  EXPECT_THAT(loaded.spec.output.classes, ElementsAre("a", "", "c", "", "", "", "", "", "", "", "k"));
}

TEST_F(Metadata, OfAnyOtherFileThatIsJson) {
  const Loaded loaded = load_with({{"b.json", R"({"imgsz": 96})"},
                                   {"a.yaml", "imgsz: 32"},
                                   {"model.json", R"({"names": ["person"], "imgsz": 32})"}});
  EXPECT_EQ(loaded.spec.input->width, 96);
  EXPECT_EQ(loaded.input_source, "archive: b.json");
  EXPECT_THAT(loaded.spec.output.classes, ElementsAre("person"));
}

TEST_F(Metadata, OfConfigTxtBeforeOthers) {
  EXPECT_EQ(load_with({{"a.json", R"({"imgsz": 96})"}, {"config.txt", R"({"imgsz": 64})"}}).input_source,
            "archive: config.txt");
}

TEST_F(Metadata, IsOverruledByTheUser) {
  ModelSpec spec;
  spec.input = test::fixture_input();
  spec.output.classes = {"car"};
  const Loaded loaded = load_with({{"config.txt", R"({"imgsz": 96, "names": ["a", "b"]})"}}, spec);
  EXPECT_EQ(*loaded.spec.input, test::fixture_input());
  EXPECT_EQ(loaded.input_source, "config");
  EXPECT_THAT(loaded.spec.output.classes, ElementsAre("car"));
}

// torch.jit.trace leaves the example in the archive: its size is better than none.
TEST(TracedInputs, GiveTheSize) {
  const Loaded loaded = load({"m", test::fixture_path("small.traced").string(), std::nullopt, {}}, "");
  EXPECT_EQ(loaded.spec.input->width, 64);
  EXPECT_EQ(loaded.spec.input->height, 48);
  EXPECT_EQ(loaded.spec.input->kind, InputKind::kTensor);
  EXPECT_EQ(loaded.input_source, "archive: traced_inputs.pkl");
}

TEST(TracedInputs, ThatAreNoPictureGiveNothing) {
  const test::TempFolder folder;
  for (const c10::IValue& value : {c10::IValue(at::zeros({1, 1, 48, 64})), c10::IValue(at::zeros({7})), c10::IValue(3),
                                   c10::IValue(at::zeros({1, 3, 0, 64}))}) {
    torch::jit::Module module = torch::jit::load(test::fixture_path("tied").string());
    module.store_traced_inputs("forward", {value});
    module.save((folder / "m.pt").string());
    EXPECT_THAT(test::error_text([&] { (void)load({"m", (folder / "m.pt").string(), std::nullopt, {}}, ""); }),
                testing::HasSubstr("--input m="));
  }
}

TEST(TracedInputs, OfAListOfPicturesGiveItsKind) {
  const test::TempFolder folder;
  torch::jit::Module module = torch::jit::load(test::fixture_path("images").string());
  module.store_traced_inputs("forward", {c10::List<at::Tensor>({at::zeros({3, 48, 64})})});
  module.save((folder / "m.pt").string());
  const Loaded loaded = load({"m", (folder / "m.pt").string(), std::nullopt, {}}, "");
  EXPECT_EQ(*loaded.spec.input, test::fixture_input(/*list=*/true));
}

}  // namespace
}  // namespace repsim::model
