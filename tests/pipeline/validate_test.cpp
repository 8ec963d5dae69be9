// The correlation study on small fixtures: what is written, that it is the same twice, and that nothing stays behind
// when it fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/study.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::UnorderedElementsAre;

struct Job {
  test::TempFolder folder;
  StudySettings settings;

  explicit Job(const std::vector<std::string>& models) {
    settings.job = test::fixture_settings(folder, models);
    settings.job.frames = 44;  // 31 calibrate: one minibatch
    settings.job.threads = 1;
    settings.job.refit = false;
    settings.cuts = 8;
  }
  report::Validation run(const std::string& out, Progress& progress) const {
    return validate(settings, folder / out, false, progress);
  }
};

TEST(Validate, WritesTheSameBytesTwice) {
  const Job job({"small", "wide"});
  SilentProgress silent;
  const report::Validation validation = job.run("one", silent);
  static_cast<void>(job.run("two", silent));
  EXPECT_THAT(job.folder.entries(), UnorderedElementsAre("one", "two", "video.avi"));
  for (const char* file : {"validation.json", "validation.csv", "validation.html"})
    EXPECT_EQ(read_file(job.folder / "one" / file), read_file(job.folder / "two" / file)) << file;

  ASSERT_EQ(validation.directions.size(), 2U);
  EXPECT_EQ(validation.cuts.size() % 2, 0U);
  EXPECT_GE(validation.cuts.size(), 8U);
  for (const report::StudiedCut& cut : validation.cuts) {
    EXPECT_GE(cut.fidelity, 0);
    EXPECT_LE(cut.fidelity, 1);
    EXPECT_EQ(cut.receiver_layers.size(), cut.donor_layers.size());
    for (const planner::Predictor predictor :
         {planner::Predictor::kR2, planner::Predictor::kR2Weighted, planner::Predictor::kSpatialCka,
          planner::Predictor::kLastLayers, planner::Predictor::kAgreement})
      EXPECT_LE(cut.predictors[planner::index_of(predictor)], 1 + 1e-9);
  }
}

TEST(Validate, AModelThatTakesFromItsTwinKeepsAll) {
  Job job({"small", "wide"});
  job.settings.job.models[1] = job.settings.job.models[0];
  job.settings.job.models[1].name = "twin";
  job.settings.job.accept_unmeasured = {"small"};
  job.settings.job.share = {{"small", "twin"}};
  SilentProgress silent;
  int equal = 0;
  for (const report::StudiedCut& cut : job.run("out", silent).cuts) {
    if (!cut.equal_depth) continue;
    ++equal;
    EXPECT_EQ(cut.receiver_layers, cut.donor_layers);
    EXPECT_NEAR(cut.predictors[planner::index_of(planner::Predictor::kSimilarity)], 1, 1e-6);
    EXPECT_GT(cut.predictors[planner::index_of(planner::Predictor::kR2)], 0.99);
  }
  EXPECT_GT(equal, 1);
}

TEST(Validate, RefusesNumbersOfCutsThatTeachNothing) {
  Job job({"small", "wide"});
  job.settings.cuts = 3;
  SilentProgress silent;
  EXPECT_THROW(static_cast<void>(job.run("out", silent)), Error);
  EXPECT_THAT(job.folder.entries(), UnorderedElementsAre("video.avi"));
}

TEST(Validate, LeavesNothingBehindWhenThereIsNothingToMeasure) {
  Job job({"small", "wide"});
  job.settings.job.layers = {"no.such.layer"};
  SilentProgress silent;
  try {
    static_cast<void>(job.run("out", silent));
    FAIL() << "nothing was to be measured";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNothingToShare);
  }
  EXPECT_THAT(job.folder.entries(), UnorderedElementsAre("video.avi"));
}

}  // namespace
}  // namespace repsim::pipeline
