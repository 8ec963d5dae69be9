// How alike the models of a sweep are, from the signatures that its captures left.
#include "../../src/sweep/model_tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error_matcher.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/clustering.hpp"
#include "repsim/signature_cache.hpp"
#include "sweep/fixtures.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

/// Signatures of two layers on one minibatch of four frames; `angle` turns both away from those of angle 0.
capture::SignatureFile signatures_of(double angle) {
  capture::SignatureFile file;
  file.origin.frames = {0, 1, 2, 3};
  file.origin.minibatch = 4;
  file.signatures.layers = {"x", "y"};
  file.signatures.frames = file.origin.frames;
  file.signatures.minibatch = 4;
  file.signatures.length = 6;
  file.signatures.values = {std::cos(angle), std::sin(angle), 0, 0, 0, 0, 0, 0, std::cos(angle), std::sin(angle), 0, 0};
  return file;
}

class ModelTreeOfSweep : public testing::Test {
 protected:
  void finish(const Task& task, double angle) {
    prepare(out_, task, {1, {}, "/cache"});
    write_file_atomically(out_ / task.folder / kSignatures, capture::to_bytes(signatures_of(angle)));
    record_outcome(out_ / task.folder, task.key, 0, 1);
  }
  std::optional<report::ModelTree> tree(const std::vector<Task>& tasks) { return model_tree(out_, tasks, progress_); }

  SweepFolder folder_;
  fs::path out_ = folder_ / "out";
  SilentProgress progress_;
};

TEST_F(ModelTreeOfSweep, JoinsTheMostAlikeFirst) {
  const auto tasks = folder_.tasks(folder_.small());
  finish(tasks[0], 0);
  finish(tasks[1], 1.2);
  finish(tasks[2], 0.3);
  const auto found = tree(tasks);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->models, ElementsAre("a", "b", "c"));
  EXPECT_NEAR(found->likeness[1], std::cos(1.2), 1e-12);
  EXPECT_NEAR(found->likeness[2], std::cos(0.3), 1e-12);
  EXPECT_DOUBLE_EQ(found->likeness[4], 1);
  ASSERT_EQ(found->merges.size(), 2U);
  EXPECT_EQ(found->merges[0].first, 0U);
  EXPECT_EQ(found->merges[0].second, 2U);
  EXPECT_NEAR(found->merges[1].distance, 1 - (std::cos(1.2) + std::cos(0.9)) / 2, 1e-12);
}

TEST_F(ModelTreeOfSweep, IsTheMeanOverVideos) {
  const auto tasks = folder_.tasks(folder_.read(R"("models": ["a.pt", "b.pt"], "video": ["v.mp4", "w.mp4"])"));
  std::vector<const Task*> captures;
  for (const Task& task : tasks) {
    if (task.kind == TaskKind::kCapture) captures.push_back(&task);
  }
  ASSERT_EQ(captures.size(), 4U);
  for (const Task* task : captures) finish(*task, task->models[0] == "a" ? 0 : task->video == "v" ? 0.4 : 0.8);
  const auto found = tree(tasks);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->likeness[1], (std::cos(0.4) + std::cos(0.8)) / 2, 1e-12);
}

TEST_F(ModelTreeOfSweep, LeavesOutModelsWithoutSignatures) {
  const auto tasks = folder_.tasks(folder_.small());
  finish(tasks[0], 0);
  EXPECT_FALSE(tree(tasks));
  finish(tasks[2], 0.3);
  const auto found = tree(tasks);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->models, ElementsAre("a", "c"));
  EXPECT_THAT(found->left_out, ElementsAre("b"));
}

// A capture of an earlier form of the model says nothing of this one.
TEST_F(ModelTreeOfSweep, TakesNoSignaturesOfOtherTasks) {
  auto tasks = folder_.tasks(folder_.small());
  for (std::size_t i = 0; i < 3; ++i) finish(tasks[i], 0.1 * static_cast<double>(i));
  tasks[1].key = "changed";
  EXPECT_THAT(tree(tasks)->left_out, ElementsAre("b"));
}

TEST_F(ModelTreeOfSweep, NamesADamagedFile) {
  const auto tasks = folder_.tasks(folder_.small());
  for (std::size_t i = 0; i < 3; ++i) finish(tasks[i], 0.1);
  write_file_atomically(out_ / tasks[1].folder / kSignatures, "damaged");
  const auto error = test::error_of([&] { (void)tree(tasks); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->where(), testing::HasSubstr(kSignatures));
}

}  // namespace
}  // namespace repsim::sweep
