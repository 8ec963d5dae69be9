// Signatures across runs: what a cache saves, that it changes nothing else, and the jobs that end at similarities.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <opencv2/imgcodecs.hpp>
#include <thread>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/patches.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/signature_jobs.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Notes which models are captured; asks to stop when the task `stop_at` begins.
class Watch : public SilentProgress {
 public:
  explicit Watch(std::string stop_at = {}) : stop_at_(std::move(stop_at)) {}
  void begin(std::string_view task, std::int64_t) override {
    if (task.starts_with("capture ")) captured.emplace_back(task.substr(8));
    stop_ = stop_ || task == stop_at_;
  }
  [[nodiscard]] bool stop_requested() const override { return stop_; }
  std::vector<std::string> captured;

 private:
  std::string stop_at_;
  bool stop_ = false;
};

struct Job {
  test::TempFolder folder;
  Settings settings;

  explicit Job(const std::vector<std::string>& models) {
    test::write_avi(folder / "video.avi", 50, test::patches);
    for (const std::string& name : models) add(name);
    settings.videos = {{(folder / "video.avi").string()}};
    settings.frames = 44;  // 31 calibrate: one minibatch
    settings.threads = 1;
    settings.max_trials = 1;
    settings.cache = (folder / "cache").string();
  }
  void add(const std::string& name) {
    settings.models.push_back(test::fixture_spec(name));
    settings.input_sources.push_back("flags");
  }
  /// The models that a plan captured.
  std::vector<std::string> plan(const std::string& out) const {
    Watch watch;
    (void)pipeline::plan(settings, folder / out, false, watch);
    return watch.captured;
  }
  [[nodiscard]] std::string written(const std::string& out, const std::string& file) const {
    return read_file(folder / out / file);
  }
  [[nodiscard]] Json origins(const std::string& out) const {
    return parse_json(written(out, "run.json"), "run.json")["signatures"];
  }
};

TEST(PlanWithCache, CapturesNothingTwiceAndWritesTheSameBytes) {
  Job job({"small", "wide"});
  EXPECT_THAT(job.plan("first"), ElementsAre("small", "wide"));
  EXPECT_EQ(job.origins("first"), Json({{"small", "captured"}, {"wide", "captured"}}));
  EXPECT_THAT(job.plan("second"), IsEmpty());
  EXPECT_EQ(job.origins("second"), Json({{"small", "cache"}, {"wide", "cache"}}));
  job.settings.cache.clear();
  EXPECT_THAT(job.plan("without"), ElementsAre("small", "wide"));
  for (const char* file : {"plan.json", "bundle.pt", "similarity.json", "report.html"}) {
    EXPECT_EQ(job.written("first", file), job.written("second", file)) << file;
    EXPECT_EQ(job.written("first", file), job.written("without", file)) << file;
  }
}

TEST(PlanWithCache, CapturesOnlyTheModelThatIsNew) {
  Job job({"small", "wide"});
  (void)job.plan("first");
  job.add("tied");
  EXPECT_THAT(job.plan("second"), ElementsAre("tied"));
  EXPECT_EQ(job.origins("second"), Json({{"small", "cache"}, {"wide", "cache"}, {"tied", "captured"}}));
}

TEST(PlanWithCache, CapturesNothingWhereOnlyTheTargetChanges) {
  Job job({"small", "wide"});
  (void)job.plan("first");
  job.settings.min_fidelity = 0.2;
  EXPECT_THAT(job.plan("second"), IsEmpty());
}

TEST(PlanWithCache, CapturesAgainWhatDecidesTheValues) {
  Job job({"small", "wide"});
  (void)job.plan("first");
  job.settings.models[0].input->color = model::Color::kRgb;
  EXPECT_THAT(job.plan("input"), ElementsAre("small"));
  job.settings.frames = 45;
  EXPECT_THAT(job.plan("frames"), ElementsAre("small", "wide"));
  test::write_avi(job.folder / "video.avi", 50, [](std::int64_t index) { return test::patches(index + 1); });
  EXPECT_THAT(job.plan("video"), ElementsAre("small", "wide"));
}

TEST(PlanWithCache, KnowsAModelUnderAnotherName) {
  Job job({"small", "wide"});
  (void)job.plan("first");
  job.settings.models[0].name = "front";
  EXPECT_THAT(job.plan("second"), IsEmpty());
  EXPECT_THAT(job.written("second", "similarity.json"), HasSubstr("\"front\""));
}

TEST(PlanWithCache, CapturesADamagedEntryAgain) {
  Job job({"small", "wide"});
  (void)job.plan("first");
  for (const auto& entry : fs::directory_iterator(job.folder / "cache" / "signatures"))
    write_file_atomically(entry.path(), read_file(entry.path()).substr(0, 1000));
  EXPECT_THAT(job.plan("second"), ElementsAre("small", "wide"));
  EXPECT_EQ(job.written("first", "plan.json"), job.written("second", "plan.json"));
  EXPECT_THAT(job.plan("third"), IsEmpty());
}

TEST(PlanWithCache, KeepsWhatWasFinishedBeforeAnInterrupt) {
  Job job({"small", "wide"});
  Watch stop("capture wide");
  const auto error = test::error_of([&] { (void)plan(job.settings, job.folder / "out", false, stop); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kInterrupted);
  EXPECT_THAT(job.plan("again"), ElementsAre("wide"));
}

TEST(Capture, FillsTheCacheOfAPlan) {
  Job job({"small", "wide"});
  Settings one = job.settings;
  one.models.resize(1);
  Watch watch;
  EXPECT_EQ(capture_to_file(one, "", false, watch).origin, "captured");
  EXPECT_THAT(watch.captured, ElementsAre("small"));
  EXPECT_THAT(job.plan("plan"), ElementsAre("wide"));
}

TEST(Capture, WritesTheSameFileFromTheCache) {
  Job job({"small"});
  SilentProgress silent;
  EXPECT_EQ(capture_to_file(job.settings, job.folder / "a", false, silent).origin, "captured");
  EXPECT_EQ(capture_to_file(job.settings, job.folder / "b", false, silent).origin, "cache");
  EXPECT_EQ(read_file(job.folder / "a"), read_file(job.folder / "b"));
  const auto error = test::error_of([&] { (void)capture_to_file(job.settings, job.folder / "a", false, silent); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->remedy(), HasSubstr("--force"));
}

/// The values of a .npy file of float64, and its shape as written.
std::vector<double> read_npy(const std::string& bytes, std::string& header) {
  const std::size_t size = static_cast<unsigned char>(bytes.at(8)) + 256U * static_cast<unsigned char>(bytes.at(9));
  header = bytes.substr(10, size);
  std::vector<double> values((bytes.size() - 10 - size) / sizeof(double));
  std::memcpy(values.data(), bytes.data() + 10 + size, values.size() * sizeof(double));
  return values;
}

TEST(Similarity, IsThatOfAPlan) {
  Job job({"small", "wide"});
  (void)job.plan("plan");
  Watch watch;
  const report::AllPairs all = similarity(job.settings, job.folder / "similarity", false, watch);
  EXPECT_THAT(watch.captured, IsEmpty());
  std::string header;
  const std::vector<double> values = read_npy(job.written("similarity", "similarity.npy"), header);
  const std::int64_t size = all.similarity.size;
  EXPECT_THAT(header, HasSubstr("'shape': (" + std::to_string(size) + ", " + std::to_string(size) + ")"));
  ASSERT_EQ(values.size(), static_cast<std::size_t>(size * size));
  const Json matrix = parse_json(job.written("plan", "similarity.json"), "similarity.json")["matrices"][0];
  const Json json = parse_json(job.written("similarity", "similarity.json"), "similarity.json");
  EXPECT_EQ(json["models"][0]["layers"], matrix["rows"]);
  EXPECT_EQ(json["models"][1]["layers"], matrix["cols"]);
  const auto first = json["models"][1]["first"].get<std::int64_t>();
  for (std::size_t row = 0; row < matrix["rows"].size(); ++row) {
    for (std::size_t col = 0; col < matrix["cols"].size(); ++col) {
      const double value = values[row * static_cast<std::size_t>(size) + static_cast<std::size_t>(first) + col];
      if (matrix["values"][row][col].is_null()) {
        EXPECT_TRUE(std::isnan(value));
      } else {
        EXPECT_NEAR(value, matrix["values"][row][col].get<double>(), 6e-7);  // six decimals are written
      }
    }
  }
}

TEST(Similarity, TakesFilesOfSignaturesAndModelsAlike) {
  Job job({"small", "wide", "tied"});
  SilentProgress silent;
  (void)similarity(job.settings, job.folder / "models", false, silent);
  job.settings.cache.clear();
  Settings one = job.settings;
  one.models.resize(1);
  (void)capture_to_file(one, job.folder / "small.signatures", false, silent);
  job.settings.models[0].path = (job.folder / "small.signatures").string();
  Watch watch;
  (void)similarity(job.settings, job.folder / "mixed", false, watch);
  EXPECT_THAT(watch.captured, ElementsAre("wide", "tied"));
  EXPECT_EQ(job.written("models", "similarity.npy"), job.written("mixed", "similarity.npy"));
}

TEST(Similarity, DrawsEveryPairOfModels) {
  Job job({"small", "wide", "tied"});
  SilentProgress silent;
  const report::AllPairs all = similarity(job.settings, job.folder / "out", false, silent);
  ASSERT_EQ(all.pairs.size(), 3U);
  for (const report::AllPairs::Pair& pair : all.pairs) {
    const cv::Mat picture = cv::imread((job.folder / "out" / pair.heatmap).string());
    EXPECT_GT(picture.cols, 200) << pair.heatmap;
    EXPECT_GT(picture.rows, 200) << pair.heatmap;
  }
}

TEST(Similarity, OfFilesFromTwoVideosIsRefused) {
  Job job({"small", "wide"});
  SilentProgress silent;
  for (std::size_t i = 0; i < 2; ++i) {
    Settings one = job.settings;
    one.models = {job.settings.models[i]};
    const fs::path file = job.folder / (one.models[0].name + ".signatures");
    (void)capture_to_file(one, file, false, silent);
    job.settings.models[i].path = file.string();
    test::write_avi(job.folder / "video.avi", 50, [](std::int64_t index) { return test::patches(index + 1); });
  }
  const auto error = test::error_of([&] { (void)similarity(job.settings, job.folder / "out", false, silent); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kInput);
  EXPECT_THAT(error->problem(), HasSubstr("two videos"));
  EXPECT_FALSE(fs::exists(job.folder / "out"));
}

}  // namespace
}  // namespace repsim::pipeline
