// Settings from config files: what is read, and what every mistake is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"

namespace repsim::config {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Settings read_text(const std::string& text) { return settings_from_json(Json::parse(text), "c.json", ""); }

TEST(Config, LeavesDefaultsWhereNothingIsSaid) {
  const Settings read = read_text("{}");
  const Settings defaults;
  EXPECT_THAT(read.models, IsEmpty());
  EXPECT_THAT(read.videos, testing::IsEmpty());
  EXPECT_EQ(read.frames, defaults.frames);
  EXPECT_EQ(read.holdout, defaults.holdout);
  EXPECT_EQ(read.min_fidelity, defaults.min_fidelity);
  EXPECT_EQ(read.adapters, defaults.adapters);
  EXPECT_EQ(read.refit, defaults.refit);
  EXPECT_EQ(read.max_trials, defaults.max_trials);
  EXPECT_FALSE(read.truth.has_value());
}

TEST(Config, TakesAFidelityPerModel) {
  const Settings read = read_text(R"({"merge": {"min_fidelity": {"default": 0.8, "night": 0.95}}})");
  EXPECT_EQ(read.min_fidelity_for("day"), 0.8);
  EXPECT_EQ(read.min_fidelity_for("night"), 0.95);
}

TEST(Config, LeavesTheDefaultFidelityToOtherModelsWhereItIsNotGiven) {
  const Settings read = read_text(R"({"merge": {"min_fidelity": {"night": 0.95}}})");
  EXPECT_EQ(read.min_fidelity_for("day"), Settings{}.min_fidelity);
}

TEST(Config, TakesABudgetAsTextToo) { EXPECT_EQ(read_text(R"({"merge": {"budget": "1.5M"}})").budget, 1'500'000); }

TEST(Config, TakesABudgetAsANumber) { EXPECT_EQ(read_text(R"({"merge": {"budget": 1234}})").budget, 1234); }

TEST(Config, TakesBytesUnscaledUnlessSaidOtherwise) {
  const Settings read =
      read_text(R"({"models": [{"path": "a", "input": {"width": 1, "height": 1, "dtype": "uint8"}}]})");
  EXPECT_EQ(read.models.at(0).input->scale, 1);
}

constexpr const char* kEveryKey = R"({
    "models": [
      {"name": "x", "path": "m/one.pt",
       "input": {"width": 640, "height": 480, "resize": "letterbox", "pad": 7, "color": "rgb", "scale": 0.5,
                 "mean": [1, 2, 3], "std": [4, 5, 6.5], "kind": "list", "layout": "nhwc", "dtype": "float16"},
       "output": {"format": "tensor", "boxes": "pixels", "classes": ["p", "q"], "score_threshold": 0.6}},
      {"path": "two.pt"}],
    "video": "v.avi", "frames": {"count": 99, "holdout": 0.25},
    "merge": {"min_fidelity": 0.8, "adapters": "none", "refit": false, "share": ["x<-two"], "layers": ["b.*"],
              "exclude": ["c", "d"], "max_trials": 3, "max_minutes": 1.5, "confidence": 0.8, "objective": "flops",
              "max_shares": 2, "max_rank": 16, "max_side_inputs": 3, "donors": ["t*"], "keep": ["two"]},
    "truth": "gt.txt", "threads": 2, "device": "cuda:1", "memory_limit": "1.5G",
    "seed": 11})";

TEST(Config, ReadsEveryKeyOfAModel) {
  const Settings read = read_text(kEveryKey);
  ASSERT_EQ(read.models.size(), 2U);
  const model::ModelSpec& one = read.models[0];
  EXPECT_EQ(one.name, "x");
  EXPECT_EQ(one.path, "m/one.pt");
  model::InputSpec input;
  input.width = 640;
  input.height = 480;
  input.resize = model::Resize::kLetterbox;
  input.pad = 7;
  input.color = model::Color::kRgb;
  input.scale = 0.5;
  input.mean = {1, 2, 3};
  input.std = {4, 5, 6.5};
  input.kind = model::InputKind::kList;
  input.layout = model::Layout::kNhwc;
  input.dtype = model::InputDtype::kFloat16;
  EXPECT_EQ(one.input, input);
  EXPECT_EQ(one.output.format, model::OutputFormat::kTensor);
  EXPECT_EQ(one.output.boxes, model::BoxUnits::kPixels);
  EXPECT_THAT(one.output.classes, ElementsAre("p", "q"));
  EXPECT_EQ(one.output.score_threshold, 0.6);
  EXPECT_EQ(read.models[1].name, "two") << "the stem names a model";
  EXPECT_FALSE(read.models[1].input.has_value());
  EXPECT_THAT(read.input_sources, ElementsAre("config", ""));
}

TEST(Config, ReadsEveryKeyBesideTheModels) {
  const Settings read = read_text(kEveryKey);
  EXPECT_EQ(read.videos.at(0).path, "v.avi");
  EXPECT_EQ(read.frames, 99);
  EXPECT_EQ(read.holdout, 0.25);
  EXPECT_EQ(read.min_fidelity, 0.8);
  EXPECT_EQ(read.adapters, Adapters::kNone);
  EXPECT_FALSE(read.refit);
  ASSERT_EQ(read.share.size(), 1U);
  EXPECT_EQ(read.share[0].receiver, "x");
  EXPECT_EQ(read.share[0].donor, "two");
  EXPECT_THAT(read.layers, ElementsAre("b.*"));
  EXPECT_THAT(read.exclude, ElementsAre("c", "d"));
  EXPECT_EQ(read.max_trials, 3);
  EXPECT_EQ(read.max_minutes, 1.5);
  EXPECT_EQ(read.confidence, 0.8);
  EXPECT_EQ(read.objective, planner::Objective::kFlops);
  EXPECT_EQ(read.max_shares, 2);
  EXPECT_EQ(read.max_rank, 16);
  EXPECT_EQ(read.max_side_inputs, 3);
  EXPECT_THAT(read.donors, ElementsAre("t*"));
  EXPECT_THAT(read.keep, ElementsAre("two"));
  EXPECT_EQ(read.truth, "gt.txt");
  EXPECT_EQ(read.threads, 2);
  EXPECT_EQ(to_string(read.device), "cuda:1");
  EXPECT_EQ(read.memory_limit, 1'500'000'000);
  EXPECT_EQ(read.seed, 11U);
}

// 1/255 has to survive the config: a scale that is cut to six digits gives other pixels.
TEST(Config, KeepsAllDigitsOfTheScale) {
  const Settings read =
      read_text(R"({"models": [{"path": "a.pt", "input": {"width": 1, "height": 1, "scale": 0.00392156862745098}}]})");
  EXPECT_EQ(read.models[0].input->scale, 1.0 / 255.0);
}

struct Mistake {
  const char* text;
  const char* where;
  const char* says;  ///< in problem or remedy
};

class ConfigMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, IsNamedWithFileAndField) {
  const Error error = error_of([] { static_cast<void>(read_text(GetParam().text)); }).value();
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_EQ(error.where(), std::string("c.json") + GetParam().where) << error.what();
  EXPECT_THAT(error.problem() + " | " + error.remedy(), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    , ConfigMistake,
    testing::Values(
        Mistake{R"([])", "", "object"}, Mistake{R"({"vidoe": "v"})", ": vidoe", "'video'"},
        Mistake{R"({"models": {}})", ": models", "list"}, Mistake{R"({"models": [3]})", ": models[0]", "object"},
        Mistake{R"({"models": [{"name": "a"}]})", ": models[0].path", "missing"},
        Mistake{R"({"models": [{"path": ""}]})", ": models[0].name", "name"},
        Mistake{R"({"models": [{"path": "", "name": "a"}]})", ": models[0].path", "empty"},
        Mistake{R"({"models": [{"path": "a", "nmae": "x"}]})", ": models[0].nmae", "'name'"},
        Mistake{R"({"models": [{"path": "a", "name": "x=y"}]})", ": models[0].name", "without"},
        Mistake{R"({"models": [{"path": "a", "name": "x,y"}]})", ": models[0].name", "without"},
        Mistake{R"({"models": [{"path": "a"}, {"path": "d/a"}]})", ": models[1].name", "two models are named 'a'"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 3}}]})", ": models[0].input.height", "missing"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 0, "height": 1}}]})", ": models[0].input.width",
                "1 to 8192"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 3.5, "height": 1}}]})", ": models[0].input.width", ""},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 1, "height": 8193}}]})", ": models[0].input.height",
                "8192"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 1, "height": 1, "pad": 256}}]})",
                ": models[0].input.pad", "255"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 1, "height": 1, "scale": 0}}]})",
                ": models[0].input.scale", "0"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 1, "height": 1, "std": [1, 0, 1]}}]})",
                ": models[0].input.std", "0"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 1, "height": 1, "mean": [1, 0]}}]})",
                ": models[0].input.mean", "not 3"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 1, "height": 1, "color": "rbg"}}]})",
                ": models[0].input.color", "'rgb'"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 1, "height": 1, "dtype": "int8"}}]})",
                ": models[0].input.dtype", "'uint8'"},
        Mistake{R"({"models": [{"path": "a", "input": {"width": 1, "height": 1, "dtype": "uint8", "scale": 0.5}}]})",
                ": models[0].input.scale", "as they are"},
        Mistake{R"({"models": [{"path": "a", "output": {"format": "tensors"}}]})", ": models[0].output.format",
                "'tensor'"},
        Mistake{R"({"models": [{"path": "a", "output": {"score_threshold": 1}}]})",
                ": models[0].output.score_threshold", "between 0 and 1"},
        Mistake{R"({"video": 3})", ": video", "string"}, Mistake{R"({"frames": 256})", ": frames", "object"},
        Mistake{R"({"frames": {"count": 0}})", ": frames.count", "1 to 1000000"},
        Mistake{R"({"frames": {"count": 1000001}})", ": frames.count", "1 to 1000000"},
        Mistake{R"({"frames": {"holdout": 1}})", ": frames.holdout", "between 0 and 1"},
        Mistake{R"({"frames": {"cuont": 3}})", ": frames.cuont", "'count'"},
        Mistake{R"({"merge": {"min_fidelity": 90}})", ": merge.min_fidelity", "0 to 1"},
        Mistake{R"({"merge": {"min_fidelity": {"night": 2}}})", ": merge.min_fidelity", "'night' is 2"},
        Mistake{R"({"merge": {"min_fidelity": {"night": "x"}}})", ": merge.min_fidelity.night", "number"},
        Mistake{R"({"merge": {"objective": "latencies"}})", ": merge.objective", "did you mean 'latency'?"},
        Mistake{R"({"merge": {"budget": "1.5T"}})", ": merge.budget", "1.5M"},
        Mistake{R"({"merge": {"budget": 0}})", ": merge.budget", "not above 0"},
        Mistake{R"({"merge": {"budget": 5, "objective": "flops"}})", ": merge.budget", "flops"},
        Mistake{R"({"merge": {"max_shares": -1}})", ": merge.max_shares", "not 0"},
        Mistake{R"({"merge": {"max_rank": 65}})", ": merge.max_rank", "not 0 or 4 to 64"},
        Mistake{R"({"merge": {"max_rank": 3}})", ": merge.max_rank", "not 0 or 4 to 64"},
        Mistake{R"({"merge": {"max_side_inputs": 17}})", ": merge.max_side_inputs", "not 0 to 16"},
        Mistake{R"({"merge": {"donors": [""]}})", ": merge.donors", "empty"},
        Mistake{R"({"merge": {"confidence": 1}})", ": merge.confidence", "below 1"},
        Mistake{R"({"merge": {"max_minutes": -1}})", ": merge.max_minutes", "0 (no limit)"},
        Mistake{R"({"merge": {"min_fidelty": 0.9}})", ": merge.min_fidelty", "'min_fidelity'"},
        Mistake{R"({"merge": {"adapters": "liner"}})", ": merge.adapters", "'linear'"},
        Mistake{R"({"merge": {"refit": "on"}})", ": merge.refit", ""},
        Mistake{R"({"merge": {"share": ["a->b"]}})", ": merge.share", "receiver<-donor"},
        Mistake{R"({"merge": {"layers": [""]}})", ": merge.layers", "empty"},
        Mistake{R"({"merge": {"max_trials": 0}})", ": merge.max_trials", "1 or more"},
        Mistake{R"({"truth": null})", ": truth", "string"}, Mistake{R"({"threads": -1})", ": threads", "1024"},
        Mistake{R"({"threads": 99999999999})", ": threads", "1024"},
        Mistake{R"({"device": "gpu"})", ": device", "cuda:1"}, Mistake{R"({"device": 1})", ": device", "string"},
        Mistake{R"({"memory_limit": "2T"})", ": memory_limit", "1.5M"},
        Mistake{R"({"memory_limit": 0})", ": memory_limit", "not above 0"},
        Mistake{R"({"seed": -1})", ": seed", "0 or more"}));

class ConfigFile : public testing::Test {
 protected:
  ConfigFile() {
    fs::create_directories(folder_ / "configs");
    fs::create_directories(folder_ / "demo");
    test::write_text(folder_ / "demo/a.pt", "x");
  }

  fs::path write(const std::string& text) const {
    test::write_text(folder_ / "configs/c.json", text);
    return folder_ / "configs/c.json";
  }

  test::TempFolder folder_;
};

TEST_F(ConfigFile, AnchorsRelativePathsAtItsFolder) {
  const fs::path path =
      write(R"({"models": [{"path": "../demo/a.pt"}, {"path": "/abs/b.pt"}], "video": "v.avi", "truth": "t"})");
  const Settings read = read_config(path);
  EXPECT_EQ(read.models[0].path, (folder_ / "demo" / "a.pt").string());
  EXPECT_EQ(read.models[1].path, "/abs/b.pt");
  EXPECT_EQ(read.videos.at(0).path, (folder_ / "configs" / "v.avi").string());
  EXPECT_EQ(read.truth, (folder_ / "configs" / "t").string());
}

TEST_F(ConfigFile, AnchorsOperatorLibrariesToo) {
  const Settings read = read_config(write(R"({"libraries": ["libx.so", "/abs/liby.so"]})"));
  EXPECT_THAT(read.libraries, ElementsAre((folder_ / "configs" / "libx.so").string(), "/abs/liby.so"));
}

// "link/../demo" is not "demo" when link points elsewhere: shortening such a path would name another file.
TEST_F(ConfigFile, DoesNotShortenPathsAcrossLinkedFolders) {
  fs::create_directories(folder_ / "far" / "inner");
  fs::create_directories(folder_ / "far" / "demo");
  test::write_text(folder_ / "far" / "demo" / "a.pt", "the other one");
  fs::create_directory_symlink(folder_ / "far" / "inner", folder_ / "link");
  test::write_text(folder_ / "link" / "c.json", R"({"models": [{"path": "../demo/a.pt"}]})");
  const Settings read = read_config(folder_ / "link" / "c.json");
  EXPECT_TRUE(fs::equivalent(read.models[0].path, folder_ / "far" / "demo" / "a.pt")) << read.models[0].path;
}

TEST_F(ConfigFile, NamesAFileThatIsMissingOrNoJson) {
  EXPECT_EQ(error_of([&] { static_cast<void>(read_config(folder_ / "none.json")); }).value().kind(), ErrorKind::kInput);
  const fs::path broken = write("{\"video\": \n oops}");
  const Error error = error_of([&] { static_cast<void>(read_config(broken)); }).value();
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.where(), HasSubstr("c.json"));
}

/// The shipped schema is what editors check a config against: it has to know what the reader knows.
class Schema : public testing::Test {
 protected:
  Json schema_ = read_json(fs::path(REPSIM_SOURCE_DIR) / "configs" / "repsim.schema.json");

  const Json& resolve(const Json& node) const {
    if (!node.contains("$ref")) return node;
    return schema_["definitions"][node["$ref"].get<std::string>().substr(std::string("#/definitions/").size())];
  }

  /// A value for every property: its default, else its example, else made from its type.
  Json sample(const Json& reference) const {
    const Json& node = resolve(reference);
    if (node.contains("default")) return node["default"];
    if (node.contains("examples")) return node["examples"][0];
    if (node.contains("anyOf")) return sample(node["anyOf"][0]);
    const std::string type = node["type"];
    if (type == "array") return Json::array({sample(node["items"])});
    if (type == "string") return "text";
    Json object = Json::object();
    for (const auto& [key, property] : node["properties"].items()) object[key] = sample(property);
    return object;
  }
};

TEST_F(Schema, NamesOnlyKeysThatTheReaderKnows) {
  // A config has one of these two, and so has a model.
  for (const char* left_out : {"video", "videos"}) {
    Json config = sample(schema_);
    ASSERT_EQ(config.erase(left_out) + config["models"][0].erase(left_out), 2U);
    EXPECT_NO_THROW(static_cast<void>(settings_from_json(config, "schema sample", ""))) << left_out;
  }
}

// Told an unknown key that resembles none, the reader lists all that it knows.
TEST_F(Schema, NamesEveryKeyOfTheReader) {
  const std::string size = R"("width": 1, "height": 1)";
  const std::vector<std::pair<const Json*, std::string>> objects{
      {&schema_, R"({"xxxxxxxxxxxx": 0})"},
      {&schema_["properties"]["frames"], R"({"frames": {"xxxxxxxxxxxx": 0}})"},
      {&schema_["properties"]["merge"], R"({"merge": {"xxxxxxxxxxxx": 0}})"},
      {&schema_["definitions"]["model"], R"({"models": [{"path": "a", "xxxxxxxxxxxx": 0}]})"},
      {&schema_["definitions"]["input"], R"({"models": [{"path": "a", "input": {"xxxxxxxxxxxx": 0, )" + size + "}}]}"},
      {&schema_["definitions"]["output"], R"({"models": [{"path": "a", "output": {"xxxxxxxxxxxx": 0}}]})"},
      {&schema_["definitions"]["output"]["properties"]["priors"],
       R"({"models": [{"path": "a", "output": {"priors":
           {"xxxxxxxxxxxx": 0, "min_sizes": [[8]], "strides": [8]}}}]})"}};
  for (const auto& [object, text] : objects) {
    std::string expected = "known: ";
    std::set<std::string> keys;
    for (const auto& [key, property] : (*object)["properties"].items()) keys.insert(key);
    for (const auto& key : keys) expected += (key == *keys.begin() ? "" : ", ") + key;
    EXPECT_EQ(error_of([&text = text] { static_cast<void>(read_text(text)); }).value().remedy(), expected) << text;
  }
}

TEST_F(Schema, StatesTheDefaultsAndWordsOfModels) {
  const model::InputSpec input;
  const model::OutputSpec output;
  const Json& in = schema_["definitions"]["input"]["properties"];
  EXPECT_EQ(in["resize"]["enum"], Json(model::resize_names()));
  EXPECT_EQ(in["resize"]["default"], to_string(input.resize));
  EXPECT_EQ(in["color"]["enum"], Json(model::color_names()));
  EXPECT_EQ(in["color"]["default"], to_string(input.color));
  EXPECT_EQ(in["kind"]["enum"], Json(model::input_kind_names()));
  EXPECT_EQ(in["kind"]["default"], to_string(input.kind));
  EXPECT_EQ(in["layout"]["enum"], Json(model::layout_names()));
  EXPECT_EQ(in["layout"]["default"], to_string(input.layout));
  EXPECT_EQ(in["dtype"]["enum"], Json(model::input_dtype_names()));
  EXPECT_EQ(in["dtype"]["default"], to_string(input.dtype));
  EXPECT_EQ(in["pad"]["default"], input.pad);
  EXPECT_EQ(in["scale"]["default"].get<double>(), input.scale);
  const Json& out = schema_["definitions"]["output"]["properties"];
  EXPECT_EQ(out["format"]["enum"], Json(model::output_format_names())) << "scripts/update_schemas.py writes it";
  EXPECT_EQ(out["format"]["default"], to_string(output.format));
  EXPECT_EQ(out["boxes"]["enum"], Json(model::box_units_names()));
  EXPECT_EQ(out["scores"]["enum"], Json(model::score_kind_names()));
  EXPECT_EQ(out["scores"]["default"], to_string(output.ssd.scores));
  EXPECT_EQ(out["background"]["enum"], Json(model::background_names()));
  EXPECT_EQ(out["background"]["default"], to_string(output.ssd.background));
  EXPECT_EQ(out["variances"]["default"], Json(output.ssd.variances));
  EXPECT_EQ(out["score_threshold"]["default"], output.score_threshold);
}

std::string output_config(const std::string& output) {
  return R"({"models": [{"path": "a", "output": )" + output + "}]}";
}

TEST(OutputOptions, AreReadFromTheConfig) {
  const auto spec = read_text(output_config(R"({"format": "landmark-ssd", "scores": "logits", "background": "last",
      "priors": {"min_sizes": [[10, 16, 24.5], [32]], "strides": [8, 16], "clip": true}, "variances": [0.2, 0.3]})"))
                        .models[0]
                        .output;
  EXPECT_EQ(spec.format, model::OutputFormat::kLandmarkSsd);
  const model::SsdOptions expected{model::ScoreKind::kLogits,
                                   model::Background::kLast,
                                   model::Priors{{{10, 16, 24.5}, {32}}, {8, 16}, true},
                                   {0.2, 0.3}};
  EXPECT_EQ(spec.ssd, expected);
}

TEST(OutputOptions, ThatMakeNoSenseAreRefusedByTheirField) {
  const std::vector<std::pair<std::string, std::string>> mistakes{
      {R"({"scores": "softmax"})", "output.scores"},
      {R"({"background": 0})", "output.background"},
      {R"({"variances": [0.1]})", "output.variances"},
      {R"({"variances": [0.1, 0]})", "output.variances"},
      {R"({"priors": 3})", "output.priors"},
      {R"({"priors": {"min_sizes": [8], "strides": [8]}})", "output.priors.min_sizes"},
      {R"({"priors": {"min_sizes": [["8"]], "strides": [8]}})", "output.priors.min_sizes"},
      {R"({"priors": {"min_sizes": [[8]], "strides": [8, 16]}})", "output.priors"},
      {R"({"priors": {"min_sizes": [[]], "strides": [8]}})", "output.priors.min_sizes"},
      {R"({"priors": {"min_sizes": [[-8]], "strides": [8]}})", "output.priors.min_sizes"},
      {R"({"priors": {"min_sizes": [[8]], "strides": [0]}})", "output.priors.strides"},
      {R"({"priors": {"min_sizes": [[8]]}})", "output.priors.strides"}};
  for (const auto& [output, field] : mistakes) {
    const Error error = error_of([&, &text = output] { static_cast<void>(read_text(output_config(text))); }).value();
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << output;
    EXPECT_THAT(error.where(), HasSubstr("models[0]." + field)) << output;
  }
}

TEST(DemoConfig, PassesAllChecks) {
  const Settings settings = read_config(fs::path(REPSIM_SOURCE_DIR) / "configs" / "demo.json");
  EXPECT_NO_THROW(check(settings));
  ASSERT_EQ(settings.models.size(), 3U);
  for (const auto& spec : settings.models) EXPECT_TRUE(fs::exists(spec.path)) << spec.path;
}

}  // namespace
}  // namespace repsim::config
