// What the processes of a measurement say together, and in which order they run. No process is started.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "repsim/base/error.hpp"
#include "repsim/measure.hpp"

namespace repsim::measure {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;

Sample sample(std::int64_t anonymous, std::int64_t files, std::vector<double> wall_ms) {
  Sample made;
  made.before = {files, files, 0};
  made.loaded = {anonymous / 2 + files, 0, anonymous / 2};
  made.running = {anonymous + files, anonymous + files / 2, anonymous};
  made.peak_bytes = anonymous + files + 5;
  made.activation_bytes = anonymous / 10;
  made.load_seconds = 0.5;
  made.first_seconds = 1;
  made.frame.cpu_ms = wall_ms;
  for (double& value : made.frame.cpu_ms) value /= 2;
  made.frame.wall_ms = std::move(wall_ms);
  return made;
}

std::string place(const Step& step) { return std::string(to_string(step.deployment)) + std::to_string(step.process); }

TEST(Schedule, HasEveryProcessOncePerRound) {
  for (std::size_t models = 1; models <= 4; ++models) {
    std::map<std::pair<std::size_t, std::string>, int> seen;
    const std::vector<Step> steps = schedule(models, 3);
    EXPECT_EQ(steps.size(), 3 * (models + 3));
    for (const Step& step : steps) ++seen[{step.round, place(step)}];
    EXPECT_EQ(seen.size(), steps.size()) << models;
  }
}

// A machine that slows down steadily favours none: over two rounds every process has the same mean place.
TEST(Schedule, GoesForwardsAndBackwards) {
  const std::vector<Step> steps = schedule(2, 2);
  std::map<std::string, double> places;
  for (std::size_t i = 0; i < steps.size(); ++i) places[place(steps[i])] += static_cast<double>(i);
  EXPECT_EQ(places.size(), 5);
  for (const auto& [name, sum] : places) EXPECT_EQ(sum, 9) << name;
  EXPECT_EQ(place(steps.front()), "separate-processes0");
  EXPECT_EQ(place(steps[4]), "bundle0");
  EXPECT_EQ(place(steps[5]), "bundle0");
}

TEST(Quantile, IsInterpolated) {
  EXPECT_EQ(quantile({}, 0.5), 0);
  EXPECT_EQ(quantile({3}, 0.9), 3);
  EXPECT_THAT(quantile({4, 1, 3, 2}, 0.5), DoubleEq(2.5));
  EXPECT_THAT(quantile({10, 0}, 0.9), DoubleEq(9));
}

/// Counting, in place of interpolation at a place of the sorted list.
TEST(Quantile, HasItsPartOfTheValuesBelowIt) {
  std::mt19937 random(7);
  for (int turn = 0; turn < 50; ++turn) {
    std::vector<double> values(1 + random() % 20);
    for (double& value : values) value = static_cast<double>(random() % 1000);
    const double found = quantile(values, 0.9);
    const auto below = std::count_if(values.begin(), values.end(), [&](double value) { return value < found; });
    const auto above = std::count_if(values.begin(), values.end(), [&](double value) { return value > found; });
    EXPECT_LE(static_cast<double>(above), 0.1 * static_cast<double>(values.size()) + 1);
    EXPECT_LE(static_cast<double>(below), 0.9 * static_cast<double>(values.size()) + 1);
  }
}

TEST(ResidentTogether, CountsTheOwnMemoryOfAllAndFilesOnce) {
  EXPECT_EQ(resident_together({}), 0);
  EXPECT_EQ(resident_together({{100, 60, 30}}), 100) << "one process alone has all to itself";
  EXPECT_EQ(resident_together({{100, 0, 30}, {120, 0, 40}}), 30 + 40 + 80);
}

TEST(Figures, OfSeveralProcessesAreOfAllTogether) {
  const std::vector<Round> rounds{{sample(100, 50, {1, 2, 3}), sample(200, 60, {10, 20, 30})}};
  const Figures figures = figures_of(rounds, 77);
  EXPECT_EQ(figures.file_bytes, 77);
  EXPECT_EQ(figures.before_bytes, 60);
  EXPECT_EQ(figures.loaded_bytes, 50 + 100 + 60);
  EXPECT_EQ(figures.running_bytes, 300 + 60);
  EXPECT_EQ(figures.peak_bytes, 300 + 60 + 2 * 5) << "what comes on top at the peak is each process's own";
  EXPECT_EQ(figures.proportional_bytes, 100 + 25 + 200 + 30);
  EXPECT_EQ(figures.activation_bytes, 20) << "they run one after another";
  EXPECT_EQ(figures.load_seconds, 1);
  EXPECT_EQ(figures.first_seconds, 2);
  EXPECT_EQ(figures.frame_ms, 22) << "call by call: 11, 22, 33";
  EXPECT_EQ(figures.cpu_ms, 11);
  EXPECT_THAT(figures.frame_ms_90, DoubleEq(22 + 0.8 * 11));
  EXPECT_THAT(figures.frames_per_second(), DoubleEq(1000 / 22.0));
  EXPECT_FALSE(figures.device);
}

TEST(Figures, AreMediansOverRounds) {
  const std::vector<Round> rounds{{sample(100, 50, {5})}, {sample(900, 50, {50})}, {sample(110, 50, {4})}};
  const Figures figures = figures_of(rounds, 0);
  EXPECT_EQ(figures.running_bytes, 160);
  EXPECT_EQ(figures.frame_ms, 5);
  EXPECT_EQ(figures.least_ms, 4);
  EXPECT_EQ(figures.most_ms, 50);
}

TEST(Figures, OfAGpuAddUpAndAreUnknownWhereOneProcessDoesNotKnow) {
  Sample one = sample(1, 1, {1}), two = one;
  one.device = DeviceMemory{10, 20, 300};
  two.device = DeviceMemory{1, 2, 400};
  const Figures known = figures_of({{one, two}}, 0);
  ASSERT_TRUE(known.device);
  EXPECT_EQ(known.device->allocated, 11);
  EXPECT_EQ(known.device->reserved, 22);
  EXPECT_EQ(known.device->driver, 700);
  two.device->driver.reset();
  EXPECT_FALSE(figures_of({{one, two}}, 0).device->driver);
}

// The machine is four times as slow in the second round, for all: the ratio does not see it.
TEST(Ratios, CompareWithinARound) {
  const std::vector<Round> bundle{{sample(1, 1, {10})}, {sample(1, 1, {40})}, {sample(1, 1, {11})}};
  const std::vector<Round> baseline{{sample(1, 1, {20})}, {sample(1, 1, {80})}, {sample(1, 1, {22})}};
  const Ratios ratios = ratios_of(bundle, baseline);
  EXPECT_THAT(ratios.frame_ms, DoubleEq(0.5));
  EXPECT_THAT(ratios.cpu_ms, DoubleEq(0.5));
  EXPECT_THAT(ratios.load_seconds, DoubleEq(1));
}

TEST(Alone, ComparesAModelsOwnProcessWithItsMethod) {
  Sample original = sample(1, 1, {8, 10, 12}), bundle = sample(1, 1, {100});
  bundle.alone = {Times{{7}, {7}}, Times{{15, 15}, {10, 10}}};
  const Alone alone = alone_of({original, original}, {bundle, bundle}, 1);
  EXPECT_EQ(alone.original_ms, 10);
  EXPECT_EQ(alone.original_cpu_ms, 5);
  EXPECT_EQ(alone.bundle_ms, 15);
  EXPECT_EQ(alone.ratio, 1.5);
  EXPECT_EQ(alone.cpu_ratio, 2);
}

TEST(DriverMemory, IsThatOfTheProcess) {
  const std::string text = "12, 300\n1234, 356\nno process, here\n99, [N/A]\n";
  EXPECT_EQ(driver_memory_from(text, 1234), std::int64_t{356} << 20);
  EXPECT_EQ(driver_memory_from("1234, 356", 1234), std::int64_t{356} << 20);
  EXPECT_FALSE(driver_memory_from(text, 123));
  EXPECT_FALSE(driver_memory_from(text, 99));
  EXPECT_FALSE(driver_memory_from("", 1));
}

TEST(MeasureJson, GivesJobAndSampleBack) {
  Job job;
  job.label = "the bundle";
  job.calls = {{"b.pt", "forward", {0, 1}}};
  job.alone = {{"b.pt", "run_a", {1}}, {"b.pt", "run_b", {}}};
  job.inputs = "i.pt";
  job.batch = 3;
  job.threads = 2;
  job.libraries = {"ops.so"};
  const Job read = job_from_json(to_json(job), "job.json");
  EXPECT_EQ(to_json(read), to_json(job));
  EXPECT_THAT(read.calls.front().groups, ElementsAre(0, 1));

  Sample made = sample(10, 20, {1, 2.25});
  made.alone = {Times{{1}, {2}}};
  made.device = DeviceMemory{1, 2, std::nullopt};
  EXPECT_EQ(to_json(sample_from_json(to_json(made), "s")), to_json(made));
  made.device = DeviceMemory{1, 2, 3};
  EXPECT_EQ(to_json(sample_from_json(to_json(made), "s")), to_json(made));
}

TEST(MeasureJson, NamesTheFieldThatIsWrong) {
  Job job;
  job.label = "the bundle";
  job.calls = {{"b.pt", "forward", {0}}};
  const auto where_of = [](const Json& json) -> std::string {
    try {
      static_cast<void>(job_from_json(json, "job.json"));
    } catch (const Error& error) {
      return error.where();
    }
    return "no error";
  };
  Json json = to_json(job);
  EXPECT_EQ(where_of(json), "no error");
  json["calls"][0]["method"] = 3;
  EXPECT_EQ(where_of(json), "job.json: calls[0].method");
  json = to_json(job);
  json["calls"] = Json::array();
  EXPECT_EQ(where_of(json), "job.json: calls");
  json = to_json(job);
  json["runs"] = 0;
  EXPECT_EQ(where_of(json), "job.json: runs");
  json = to_json(job);
  json.erase("alone");
  EXPECT_EQ(where_of(json), "job.json: alone");
}

}  // namespace
}  // namespace repsim::measure
