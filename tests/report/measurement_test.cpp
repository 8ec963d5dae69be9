// The forms of a measurement.
#include "repsim/measurement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "json_schema.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/base/text.hpp"

namespace repsim::report {
namespace {

using measure::Deployment;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Measurement sample() {
  Measurement made;
  made.tool_version = "1.2.3";
  made.torch_version = "2.13.0";
  made.plan = "plan/plan.json";
  made.models = {"front", "<back>"};
  made.cpu = "A B 3000";
  made.cores = 4;
  made.device = "cpu";
  made.repeats = 5;
  made.frames = 24;
  for (std::size_t i = 0; i < measure::kDeployments; ++i) {
    MeasuredDeployment& one = made.deployments.emplace_back();
    one.deployment = static_cast<Deployment>(i);
    one.processes = i == 0 ? 2 : 1;
    one.figures.file_bytes = 2'000'000;
    one.figures.before_bytes = 180'000'000;
    one.figures.running_bytes = 240'000'000;
    one.figures.activation_bytes = 2'200'000;
    one.figures.frame_ms = 20;
    one.figures.cpu_ms = 18;
  }
  MeasuredDeployment& bundle = made.deployments[3];
  bundle.figures.file_bytes = 500'000;
  bundle.figures.running_bytes = 210'000'000;
  bundle.figures.frame_ms = 10;
  made.deployments[1].bundle = {0.5, 0.45, 1.1};
  made.alone = {{"front", 5, true, 8, 16, 2, 7.5, 2.1}, {"<back>", 5, false, 12, 12.1, 1.01, 11, 1}};
  made.predicted = {2'000'000, 2'000'000, 10, 6};
  return made;
}

std::string line_of(const std::string& text, const std::string& begin) {
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(begin)) return line;
  }
  return "no line begins with " + begin;
}

TEST(Measurement, ScalesTheEstimateToThisMachine) {
  Measurement made = sample();
  EXPECT_EQ(made.machine_factor(), 2);
  EXPECT_EQ(made.expected_ms(), 12);
  made.predicted.bundle_ms.reset();
  EXPECT_FALSE(made.expected_ms());
  made.predicted.separate_ms.reset();
  EXPECT_FALSE(made.machine_factor());
}

TEST(Measurement, ShowsSavingsAndErrorsOfPredictions) {
  const std::string text = to_text(sample());
  EXPECT_THAT(text, HasSubstr("(b) is the honest baseline"));
  const std::size_t against = text.find("the bundle against");
  ASSERT_NE(against, std::string::npos);
  EXPECT_THAT(line_of(text.substr(against), "(b)"),
              AllOf(HasSubstr("-75.0 %"), HasSubstr("-12.5 %"), HasSubstr("-50.0 %"), HasSubstr("+10.0 %"),
                    HasSubstr("-55.0 %")));
  EXPECT_THAT(line_of(text, "peak of activations, bundle"), HasSubstr("-9.1 %"));
  EXPECT_THAT(line_of(text, "latency of the bundle"), HasSubstr("+20.0 %"));
  EXPECT_THAT(line_of(text, "latency of front alone"),
              AllOf(HasSubstr("10.00"), HasSubstr("8.00"), HasSubstr("+25.0 %")));
  for (std::istringstream stream(text); stream;) {
    std::string line;
    std::getline(stream, line);
    EXPECT_LE(display_width(line), 100) << line;
  }
}

TEST(Measurement, OfAnOldPlanSaysNothingOfItsLatencyEstimate) {
  Measurement made = sample();
  made.predicted.separate_ms.reset();
  EXPECT_THAT(to_text(made), Not(HasSubstr("latency of the bundle")));
  EXPECT_TRUE(to_json(made)["predicted"]["machine_factor"].is_null());
}

TEST(Measurement, ShowsTheMemoryOfAGpuWhereThereIsOne) {
  Measurement made = sample();
  EXPECT_THAT(to_text(made), Not(HasSubstr("memory of the GPU")));
  for (MeasuredDeployment& one : made.deployments) {
    one.figures.device = measure::DeviceMemory{30'000'000, 60'000'000, std::nullopt};
    one.figures.activation_bytes = 0;
  }
  made.deployments[3].figures.device->driver = 400'000'000;
  const std::string text = to_text(made);
  const std::string rows = text.substr(text.find("memory of the GPU"));
  EXPECT_THAT(line_of(rows, "(b)"), AllOf(HasSubstr("30.0 MB"), HasSubstr("60.0 MB"), testing::EndsWith("-")));
  EXPECT_THAT(line_of(rows, "(d)"), HasSubstr("400.0 MB"));
  EXPECT_THAT(text, Not(HasSubstr("peak of activations"))) << "it is not measured there";
}

TEST(Measurement, JsonAgreesWithItsSchema) {
  const test::JsonSchema schema(read_json(std::string(REPSIM_SOURCE_DIR) + "/configs/measure.schema.json"));
  Measurement made = sample();
  EXPECT_THAT(schema.complaints(to_json(made)), testing::IsEmpty());
  made.cpu.clear();
  made.predicted.separate_ms.reset();
  made.predicted.bundle_ms.reset();
  made.deployments[0].figures.device = measure::DeviceMemory{30'000'000, 60'000'000, std::nullopt};
  made.deployments[3].figures.device = measure::DeviceMemory{30'000'000, 60'000'000, 400'000'000};
  const Json json = to_json(made);
  EXPECT_THAT(schema.complaints(json), testing::IsEmpty()) << "what may be null is null";
  const auto refused = [&](auto change) {
    Json changed = json;
    change(changed);
    return !schema.complaints(changed).empty();
  };
  EXPECT_TRUE(refused([](Json& changed) { changed.erase("predicted"); }));
  EXPECT_TRUE(refused([](Json& changed) { changed["schema_version"] = 2; }));
  EXPECT_TRUE(refused([](Json& changed) { changed["deployments"].erase(3); }));
  EXPECT_TRUE(refused([](Json& changed) { changed["deployments"][0]["deployment"] = "one process"; }));
  EXPECT_TRUE(refused([](Json& changed) { changed["deployments"][0]["resident_bytes"]["peak"] = 1.5; }));
  EXPECT_TRUE(refused([](Json& changed) { changed["deployments"][0]["device"].erase("driver_bytes"); }));
}

TEST(Measurement, IsOneJsonDocument) {
  const Json json = to_json(sample());
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["deployments"][0]["deployment"], "separate-processes");
  EXPECT_EQ(json["deployments"][0]["processes"], 2);
  EXPECT_EQ(json["deployments"][3]["deployment"], "bundle");
  EXPECT_EQ(json["deployments"][1]["bundle_ratio"]["ms_per_frame"], 0.5);
  EXPECT_EQ(json["models_alone"][1]["takes_layers"], false);
  EXPECT_EQ(json["predicted"]["expected_bundle_ms"], 12);
  EXPECT_TRUE(json["deployments"][3]["device"].is_null());
}

TEST(Measurement, IsAPageThatTakesNamesAsText) {
  const std::string page = html(sample());
  EXPECT_THAT(page,
              AllOf(HasSubstr("&lt;back&gt;"), Not(HasSubstr("<back>")), HasSubstr("The bundle against its originals"),
                    HasSubstr("<td class=\"num\">-12.5 %</td>"), Not(HasSubstr("Memory of the GPU"))));
}

TEST(ChangeText, HasASignAndNoNegativeZero) {
  EXPECT_EQ(change_text(1), "0.0 %");
  EXPECT_EQ(change_text(0.9999), "0.0 %");
  EXPECT_EQ(change_text(1.234), "+23.4 %");
  EXPECT_EQ(change_text(0.5), "-50.0 %");
}

}  // namespace
}  // namespace repsim::report
