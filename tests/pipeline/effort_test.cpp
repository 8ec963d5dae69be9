// What a search spends on a candidate: side inputs where corrections barely miss, nothing where they would save too
// little.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

/// Frames enough for a stretch that judges which side inputs are worth it.
Settings settings_in(const test::TempFolder& folder) {
  Settings settings = test::fixture_settings(folder, {});
  test::write_avi(folder / "video.avi", 100, test::patches);
  settings.frames = 100;
  settings.threads = 1;
  return settings;
}

/// Writes a model and adds it. Raw outputs, whose fidelity no detection makes jump.
void add_model(const test::TempFolder& folder, const std::string& name, torch::jit::Module module, Settings& settings) {
  module.eval();
  module.save((folder / (name + ".pt")).string());
  model::ModelSpec spec{name, (folder / (name + ".pt")).string(), test::fixture_input(), {}};
  spec.output.format = model::OutputFormat::kTensor;
  settings.models.push_back(std::move(spec));
  settings.input_sources.push_back("flags");
}

/// A convolution of patches that sees one colour only.
at::Tensor of_one_colour(test::Random& random, std::int64_t colour) {
  at::Tensor weight = at::zeros({8, 3, 8, 8});
  weight.select(1, colour).copy_(random.tensor({8, 8, 8}));
  return weight;
}

// The receiver's layer is the sum of much red and a little blue, the donor has a layer of each. Red alone explains most
// of it, and no correction finds the blue in its neighbourhood.
TEST(SideInputs, AreReadWhereCorrectionsBarelyMiss) {
  const test::TempFolder folder;
  Settings settings = settings_in(folder);
  test::Random random(1);
  const auto of_colours = [&](const std::string& name, const std::string& code) {
    torch::jit::Module module("__torch__." + name);
    module.register_parameter("red", of_one_colour(random, 0), false);
    module.register_parameter("blue", of_one_colour(random, 2), false);
    for (const char* head : {"first", "second"})
      module.register_parameter(head, random.tensor({4, 8, 3, 3}, 0.1), false);
    module.register_attribute("training", c10::BoolType::get(), false);
    module.define(code);
    add_model(folder, name, module, settings);
  };
  of_colours("receiver", R"(
    def forward(self, x):
      y = torch.conv2d(x, self.red, None, [8, 8]) + 0.15 * torch.conv2d(x, self.blue, None, [8, 8])
      return torch.conv2d(torch.relu(torch.conv2d(y, self.first, None, [1, 1], [1, 1])), self.second[:, :4])
  )");
  of_colours("donor", R"(
    def forward(self, x):
      red = torch.conv2d(x, self.red, None, [8, 8])
      blue = torch.conv2d(x, self.blue, None, [8, 8])
      return torch.conv2d(red, self.first) + torch.conv2d(blue, self.second)
  )");
  settings.share = {{"receiver", "donor"}};
  settings.layers = {"*add*"};
  settings.min_fidelity = 0.995;
  SilentProgress silent;
  settings.max_side_inputs = 0;
  EXPECT_TRUE(plan(settings, folder / "without", true, silent).plan.shares.empty());
  settings.max_side_inputs = 8;
  const report::Plan plan = pipeline::plan(settings, folder / "out", true, silent).plan;
  ASSERT_EQ(plan.shares.size(), 1U);
  const report::Share& share = plan.shares[0];
  ASSERT_GE(share.auxiliary_inputs.size(), 1U);
  EXPECT_EQ(share.auxiliary_inputs[0].donor, "donor");
  EXPECT_GE(share.measured_fidelity, 0.995);
  // Invariant 3 of docs/internals/contracts.md: the bytes are those of the file, and the file is what the plan says.
  EXPECT_EQ(plan.deduplicated->bytes - plan.after.bytes, share.bytes_removed - share.bytes_added);
  RebuildSettings again;
  again.plan = folder / "out/plan.json";
  again.out = folder / "again.pt";
  again.threads = 1;
  EXPECT_EQ(rebuild(again, silent).sha256, plan.bundle_sha256);
}

// Beyond 96 calibration frames trials are fitted on some of them, and what is kept on all: what the plan says of a
// share is what a fit on all frames makes.
TEST(Trials, OfManyFramesAreKeptAsFittedOnAll) {
  const test::TempFolder folder;
  Settings settings = test::fixture_settings(folder, {"small", "wide"});
  test::write_avi(folder / "video.avi", 160, test::patches);
  settings.frames = 160;
  settings.threads = 1;
  settings.min_fidelity = 0;
  SilentProgress silent;
  const report::Plan plan = pipeline::plan(settings, folder / "out", true, silent).plan;
  ASSERT_GT(plan.calibration_frames.size(), 96U);
  ASSERT_GE(plan.shares.size(), 1U);
  RebuildSettings again;
  again.plan = folder / "out/plan.json";
  again.out = folder / "again.pt";
  again.threads = 1;
  const report::Rebuilt rebuilt = rebuild(again, silent);
  EXPECT_EQ(rebuilt.sha256, plan.bundle_sha256);
  for (std::size_t i = 0; i < plan.shares.size(); ++i) {
    double worst = -1;
    for (const report::Replaced& one : plan.shares[i].replaced) worst = std::max(worst, one.residual);
    EXPECT_NEAR(rebuilt.shares[i].residual, worst, 1e-9);
  }
}

// A fit that was measured at one target is as good at a lower one, so no plan may save less than any of them.
TEST(Corrections, ThatArePutOffLoseNothing) {
  const test::TempFolder folder;
  Settings settings = test::fixture_settings(folder, {"small", "wide"});
  for (model::ModelSpec& model : settings.models) model.output.format = model::OutputFormat::kTensor;
  settings.frames = 50;
  settings.threads = 1;
  settings.share = {{"small", "wide"}};
  struct Measured {
    double fidelity = 0;
    std::int64_t saved = 0;
  };
  std::vector<Measured> all;
  std::map<double, std::int64_t> saved;
  std::int64_t defer = 0;
  const std::vector<double> targets{0.6, 0.65, 0.68, 0.7, 0.75, 0.8, 0.85};
  for (const double target : targets) {
    settings.min_fidelity = target;
    SilentProgress silent;
    const report::Plan plan = pipeline::plan(settings, folder / "out", true, silent).plan;
    saved[target] = 0;
    for (const report::Candidate& one : plan.candidates) {
      if (one.chosen) saved[target] = one.bytes_saved;
      if (one.measured_fidelity) all.push_back({*one.measured_fidelity, one.bytes_saved});
      defer += one.reason.find("another choice saves more") != std::string::npos ? 1 : 0;
    }
  }
  for (const double target : targets) {
    for (const Measured& one : all) {
      if (one.fidelity < target) continue;
      EXPECT_GE(saved[target], one.saved) << target << " by one of " << one.fidelity;
    }
  }
  EXPECT_GT(defer, 0);
}

// What is put off again and again must not keep the search from what is open.
TEST(Corrections, ThatArePutOffLetTheSearchOfThreeModelsEnd) {
  const test::TempFolder folder;
  Settings settings = test::fixture_settings(folder, {"small", "wide", "shuffle"});
  for (model::ModelSpec& model : settings.models) model.output.format = model::OutputFormat::kTensor;
  settings.frames = 50;
  settings.threads = 1;
  SilentProgress silent;
  for (const double target : {0.6, 0.7, 0.8}) {
    settings.min_fidelity = target;
    for (const report::Share& share : pipeline::plan(settings, folder / "out", true, silent).plan.shares)
      EXPECT_GE(share.measured_fidelity, target) << share.receiver;
  }
}

}  // namespace
}  // namespace repsim::pipeline
