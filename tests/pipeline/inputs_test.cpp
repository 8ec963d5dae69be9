// Whole plans of models that are fed in different ways from one video.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures/bundle_oracle.hpp"
#include "fixtures/views.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

using model::Resize;
using testing::ElementsAre;
using testing::StartsWith;

/// A fixture with this name and --input in a job.
struct Fed {
  std::string name, fixture, input;
};

struct Job {
  test::TempFolder folder;
  Settings settings;
  Outcome outcome;

  Job(const std::vector<Fed>& models, std::vector<Direction> share, std::vector<std::string> layers = {},
      planner::Objective objective = planner::Objective::kBytes) {
    test::write_avi(folder / "video.avi", 50, test::scene);
    for (const Fed& one : models) {
      model::ModelSpec spec = test::fixture_spec(one.fixture);
      spec.name = one.name;
      spec.input = config::parse_input_flag(one.input).second;
      settings.models.push_back(spec);
      settings.input_sources.push_back("flags");
    }
    settings.videos = {{(folder / "video.avi").string()}};
    settings.frames = 44;
    settings.threads = 2;
    settings.max_trials = 1;
    settings.min_fidelity = 0;
    settings.share = std::move(share);
    settings.layers = std::move(layers);
    settings.objective = objective;
    SilentProgress silent;
    outcome = plan(settings, folder / "out", false, silent);
  }
  [[nodiscard]] const report::Plan& written() const { return outcome.plan; }
  [[nodiscard]] std::string bundle() const { return read_file(folder / "out" / "bundle.pt"); }
};

void expect_sums(const report::Plan& plan, const std::vector<std::string>& fixtures) {
  std::int64_t expected = plan.before.bytes - plan.exact.bytes_saved;
  for (const std::string& name : fixtures) expected -= test::open_fixtures({name}).program(0).unused_parameter_bytes;
  for (const report::Share& share : plan.shares) expected += share.bytes_added - share.bytes_removed;
  EXPECT_EQ(plan.after.bytes, expected);
}

TEST(Inputs, OfThreeKindsAreThreeArgumentsOfTheBundle) {
  const Job job({{"plain", "small", "64x48"},
                 {"boxed", "wide", "64x64,rgb,letterbox"},
                 {"bytes", "bytes", "48x48,crop,nhwc,uint8"}},
                {{"plain", "boxed"}});
  const report::Plan& plan = job.written();
  ASSERT_EQ(plan.inputs.size(), 3U);
  EXPECT_THAT(plan.inputs[2].models, ElementsAre("bytes"));
  EXPECT_EQ(plan.inputs[2].spec, job.settings.models[2].input);
  ASSERT_EQ(plan.shares.size(), 1U);
  for (const report::Replaced& replaced : plan.shares[0].replaced)
    EXPECT_THAT(replaced.adapter, StartsWith("resample"));
  EXPECT_TRUE(plan.models[1].fidelity.bit_identical);
  EXPECT_TRUE(plan.models[2].fidelity.bit_identical);
  expect_sums(plan, {"small", "wide", "bytes"});
  const std::string json = repsim::to_text(report::to_json(plan));
  EXPECT_EQ(repsim::to_text(report::to_json(report::plan_from_json(parse_json(json, "p"), "p"))), json);

  // The written file on pictures that none of this made.
  torch::jit::Module bundle = test::load_bytes(job.bundle());
  EXPECT_EQ(bundle.get_method("forward").num_inputs(), 4U);
  EXPECT_EQ(bundle.get_method("run_bytes").num_inputs(), 2U);
  const c10::InferenceMode no_gradients;
  std::vector<c10::IValue> images;
  for (const report::InputGroup& group : plan.inputs)
    images.push_back(test::input_of(test::picture_store(group.spec, 2, 8), {0, 1}));
  const c10::IValue outputs = bundle.forward(images);
  for (const std::size_t i : {1U, 2U}) {
    EXPECT_TRUE(
        test::same_bits(outputs.toTupleRef().elements()[i], test::run_file(job.settings.models[i].path, images[i])));
  }

  VerifySettings again;
  again.plan = job.folder / "out";
  SilentProgress silent;
  const report::Verification verification = verify(again, silent);
  EXPECT_NEAR(verification.models.at(0).fidelity.value.value_or(-1), plan.models[0].fidelity.value.value_or(-1), 1e-9);
  EXPECT_TRUE(verification.models.at(2).fidelity.bit_identical);
}

// Two receivers with one view take from one donor: the second share's matrices are there already.
TEST(Inputs, ThatDifferAreAddedUpToTheByte) {
  const Job job({{"one", "small", "64x64,letterbox"}, {"two", "dict", "64x64,letterbox"}, {"wide", "wide", "64x48"}},
                {{"one", "wide"}, {"two", "wide"}});
  ASSERT_EQ(job.written().shares.size(), 2U);
  expect_sums(job.written(), {"small", "dict", "wide"});
  EXPECT_EQ(job.written().after.bytes, test::storage_bytes(test::load_bytes(job.bundle())));
}

// The matrices that line the maps up are made again from the video's size.
TEST(Inputs, ThatDifferGiveTheSameBundleAgain) {
  const Job job({{"one", "small", "64x64,letterbox"}, {"two", "dict", "64x64,letterbox"}, {"wide", "wide", "64x48"}},
                {{"one", "wide"}, {"two", "wide"}});
  RebuildSettings again;
  again.plan = job.folder / "out";
  again.out = job.folder / "again.pt";
  again.threads = job.settings.threads;
  SilentProgress silent;
  const report::Rebuilt rebuilt = rebuild(again, silent);
  EXPECT_EQ(rebuilt.sha256, job.written().bundle_sha256);
  EXPECT_EQ(read_file(again.out) == job.bundle(), true);
}

// One detector fed twice: lined up, the layers of both are nearly the same. (What a random detector finds hangs on the
// border's values as well, which the donor does not see.) Their weights are equal, so work is all that a share saves.
TEST(Inputs, OfOneDetectorFedTwoWaysLineUp) {
  const Job job({{"boxed", "small", "64x64,letterbox"}, {"plain", "small", "64x48"}}, {{"boxed", "plain"}},
                {"backbone.stage1.2"}, planner::Objective::kFlops);
  const report::Plan& plan = job.written();
  ASSERT_EQ(plan.shares.size(), 1U);
  EXPECT_GT(plan.shares[0].predicted_fidelity, 0.9);
  EXPECT_THAT(plan.shares[0].replaced.at(0).adapter, StartsWith("resample"));
}

}  // namespace
}  // namespace repsim::pipeline
