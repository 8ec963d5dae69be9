// Captures in parts: the merged file is, byte for byte, that of one run.
#include "repsim/shards.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/patches.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/signature_jobs.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ShardJobs : public testing::Test {
 protected:
  ShardJobs() {
    test::write_avi(folder_ / "video.avi", 130, test::patches);
    settings_.videos = {{(folder_ / "video.avi").string()}};
    settings_.frames = 120;  // 84 calibrate: five minibatches
    settings_.threads = 1;
    settings_.input_sources = {"flags"};
  }

  /// The file of one run without a cache.
  std::string whole() {
    (void)capture_to_file(settings_, folder_ / "whole", true, progress_);
    return read_file(folder_ / "whole");
  }
  std::vector<std::string> parts(std::int64_t count) {
    std::vector<std::string> files;
    for (std::int64_t index = 1; index <= count; ++index) {
      files.push_back((folder_ / ("part-" + std::to_string(index))).string());
      (void)capture_part_to_file(settings_, {index, count}, files.back(), true, progress_);
    }
    return files;
  }

  test::TempFolder folder_;
  Settings settings_;
  SilentProgress progress_;
};

// "one_frame" takes one frame at a time.
TEST_F(ShardJobs, AddUpToOneRun) {
  for (const char* model : {"small", "wide", "dict", "one_frame"}) {
    for (const int threads : {1, 2}) {
      settings_.models = {test::fixture_spec(model)};
      settings_.threads = threads;
      const std::string expected = whole();
      std::vector<std::string> files = parts(4);
      (void)merge_parts({files[2], files[0], files[3], files[1]}, "", folder_ / "merged", true);
      EXPECT_EQ(read_file(folder_ / "merged"), expected) << model << ", threads: " << threads;
    }
  }
}

// The last shard decides with the frames of the first one whether the optimised copy is used.
TEST_F(ShardJobs, TryTheOptimisedCopyOnTheFramesOfTheWholeCapture) {
  const std::int64_t frames = 84;
  const capture::CaptureFrames all = capture::capture_frames(frames);
  for (std::int64_t index = 1; index <= 5; ++index) {
    const capture::ShardFrames part = capture::frames_of_shard({index, 5}, frames);
    ASSERT_EQ(part.frames.minibatches.size(), 1U);
    for (std::size_t i = 0; i < all.tried.size(); ++i) EXPECT_EQ(part.stored[part.frames.tried[i]], all.tried[i]);
    for (std::size_t i = 0; i < 16; ++i)
      EXPECT_EQ(part.stored[part.frames.minibatches[0][i]], all.minibatches[index - 1][i]);
    EXPECT_TRUE(std::is_sorted(part.stored.begin(), part.stored.end()));
    EXPECT_LE(part.stored.size(), 18U);
  }
}

TEST_F(ShardJobs, MergedAreInTheCacheOfAPlan) {
  settings_.models = {test::fixture_spec("small")};
  settings_.cache = (folder_ / "cache").string();
  (void)merge_parts(parts(3), settings_.cache, "", false);
  EXPECT_EQ(capture(settings_, progress_).at(0).origin, "cache");
}

TEST_F(ShardJobs, AloneAreNotInTheCache) {
  settings_.models = {test::fixture_spec("small")};
  settings_.cache = (folder_ / "cache").string();
  (void)parts(1);
  EXPECT_FALSE(fs::exists(folder_ / "cache" / "signatures"));
}

TEST_F(ShardJobs, MoreThanMinibatchesAreRefused) {
  settings_.models = {test::fixture_spec("small")};
  const auto error =
      test::error_of([&] { (void)capture_part_to_file(settings_, {1, 6}, folder_ / "part", false, progress_); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->problem(), HasSubstr("84 frames are 5 minibatches"));
  EXPECT_THAT(error->remedy(), HasSubstr("at most 5 shards"));
  EXPECT_FALSE(fs::exists(folder_ / "part"));
}

TEST_F(ShardJobs, OfOtherFramesThreadsAndVideosAreRefused) {
  settings_.models = {test::fixture_spec("small")};
  const std::vector<std::string> files = parts(2);
  const auto problem_with = [&](const Settings& other) {
    (void)capture_part_to_file(other, {2, 2}, files[1], true, progress_);
    const auto error = test::error_of([&] { (void)merge_parts(files, "", folder_ / "merged", true); });
    return error ? error->problem() : "none";
  };
  Settings other = settings_;
  other.frames = 119;
  EXPECT_THAT(problem_with(other), HasSubstr("the frames differ"));
  other = settings_;
  other.threads = 2;
  EXPECT_THAT(problem_with(other), HasSubstr("1 threads"));
  other = settings_;
  other.models = {test::fixture_spec("wide")};
  EXPECT_THAT(problem_with(other), HasSubstr("different models"));
  other = settings_;
  test::write_avi(folder_ / "other.avi", 130, [](std::int64_t index) { return test::patches(index + 1); });
  other.videos = {{(folder_ / "other.avi").string()}};
  EXPECT_THAT(problem_with(other), HasSubstr("different videos"));
  EXPECT_FALSE(fs::exists(folder_ / "merged"));
}

TEST_F(ShardJobs, AreNoModelsOfASimilarity) {
  settings_.models = {test::fixture_spec("small")};
  const std::vector<std::string> files = parts(2);
  Settings both = settings_;
  both.models = {test::fixture_spec("small"), test::fixture_spec("small")};
  both.models[0].path = files[0];
  both.models[1].path = files[1];
  both.models[1].name = "other";
  both.input_sources = {"flags", "flags"};
  const auto error = test::error_of([&] { (void)similarity(both, folder_ / "out", false, progress_); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->problem(), HasSubstr("shard 1 of 2"));
  EXPECT_THAT(error->remedy(), HasSubstr("--merge"));
}

}  // namespace
}  // namespace repsim::pipeline
