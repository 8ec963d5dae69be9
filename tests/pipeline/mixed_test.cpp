// A receiver for which several donors together are better than each of them: from the candidates to the written plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/imgproc.hpp>

#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/pipeline.hpp"
#include "video/small_video.hpp"

namespace repsim::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// Coloured patches with soft edges, and noise: what one layer sees tells little of what another does.
cv::Mat noisy_patches(std::int64_t index) {
  cv::RNG random(static_cast<std::uint64_t>(index) + 100);
  cv::Mat coarse(6, 8, CV_8UC3), frame, noise(test::kVideoHeight, test::kVideoWidth, CV_8UC3);
  random.fill(coarse, cv::RNG::UNIFORM, 0, 200);
  random.fill(noise, cv::RNG::UNIFORM, 0, 55);
  cv::resize(coarse, frame, noise.size(), 0, 0, cv::INTER_CUBIC);
  return frame + noise;
}

struct Branch {
  at::Tensor weight, bias;
};

/// A branch whose features have another order and size: linearly related, behind the activation as well.
Branch disguised(const Branch& branch) {
  const std::int64_t channels = branch.weight.size(0);
  const at::Tensor order = at::arange(channels - 1, -1, -1), size = at::linspace(0.5, 2, channels);
  return {branch.weight.index_select(0, order) * size.view({-1, 1, 1, 1}), branch.bias.index_select(0, order) * size};
}

/// Two levels side by side that meet in a 1x1 convolution.
void save_model(const std::string& path, const Branch& fine, const Branch& coarse, test::Random& random) {
  torch::jit::Module module("__torch__.TwoLevels");
  module.register_parameter("fine", fine.weight, false);
  module.register_parameter("fine_bias", fine.bias, false);
  module.register_parameter("coarse", coarse.weight, false);
  module.register_parameter("coarse_bias", coarse.bias, false);
  module.register_parameter("head", random.tensor({5, fine.weight.size(0) + coarse.weight.size(0), 1, 1}), false);
  module.register_parameter("head_bias", random.tensor({5}), false);
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define(R"(
    def forward(self, x):
      fine = torch.relu(torch.conv2d(x, self.fine, self.fine_bias, [4, 4]))
      coarse = torch.relu(torch.conv2d(x, self.coarse, self.coarse_bias, [8, 8]))
      both = torch.cat([fine, torch.upsample_nearest2d(coarse, [12, 16])], 1)
      return torch.conv2d(both, self.head, self.head_bias)
  )");
  module.save(path);
}

Branch branch(test::Random& random, std::int64_t channels, std::int64_t auxiliary) {
  const at::Tensor weight = random.tensor({channels, 3, auxiliary, auxiliary});
  return {weight - weight.mean(at::IntArrayRef{1, 2, 3}, /*keepdim=*/true), random.tensor({channels}, 0.1)};
}

/// `receiver` has the fine level of `first` and the coarse one of `second`, disguised; what else these two have
/// explains little of it. `zero` has the rest of both, disguised.
struct Job {
  test::TempFolder folder;
  Settings settings;

  explicit Job(const std::vector<std::string>& models = {"receiver", "first", "second"}) {
    test::write_avi(folder / "video.avi", 50, noisy_patches);
    test::Random random(31);
    const Branch fine = branch(random, 12, 4), coarse = branch(random, 12, 8);
    const Branch rest_of_first = branch(random, 2, 8), rest_of_second = branch(random, 2, 4);
    save_model((folder / "receiver.pt").string(), fine, coarse, random);
    save_model((folder / "first.pt").string(), disguised(fine), rest_of_first, random);
    save_model((folder / "second.pt").string(), rest_of_second, disguised(coarse), random);
    save_model((folder / "zero.pt").string(), disguised(rest_of_second), disguised(rest_of_first), random);
    for (const std::string& name : models) {
      settings.models.push_back({name, (folder / (name + ".pt")).string(), test::fixture_input(), {}});
      settings.input_sources.push_back("flags");
    }
    settings.videos = {{(folder / "video.avi").string()}};
    settings.frames = 44;
    settings.threads = 1;
    settings.min_fidelity = 0.99;
    settings.share = {{"receiver", "first"}, {"receiver", "second"}};
    settings.sharing = config::Sharing::kRepresentations;  // these tests are of layers
  }

  report::Plan run() {
    SilentProgress silent;
    return plan(settings, folder / "out", true, silent).plan;
  }
};

bool is_mixed(const report::Candidate& candidate) {
  return !candidate.layer_donors.empty() && candidate.layer_donors.front() != candidate.layer_donors.back();
}

std::int64_t count_mixed(const report::Plan& plan) {
  return std::count_if(plan.candidates.begin(), plan.candidates.end(), is_mixed);
}

/// Largest measured fidelity of candidates of one donor that save as much as `bytes`.
double best_alone(const report::Plan& plan, std::int64_t bytes) {
  double best = 0;
  for (const report::Candidate& one : plan.candidates) {
    if (!is_mixed(one) && one.bytes_saved >= bytes) best = std::max(best, one.measured_fidelity.value_or(0));
  }
  return best;
}

TEST(MixedPlan, TakesFromTwoDonorsWhatNeitherGivesAlone) {
  Job job;
  const report::Plan plan = job.run();
  ASSERT_EQ(plan.shares.size(), 1U);
  const report::Share& share = plan.shares[0];
  EXPECT_EQ(share.receiver, "receiver");
  EXPECT_EQ(share.donor, "first");  // one layer each: the first in plan order
  EXPECT_THAT(share.donors, ElementsAre("first", "second"));
  ASSERT_EQ(share.replaced.size(), 2U);
  EXPECT_EQ(share.replaced[0].donor, "first");
  EXPECT_EQ(share.replaced[1].donor, "second");
  for (const report::Replaced& one : share.replaced) EXPECT_GT(one.similarity, 0.9);
  EXPECT_GE(plan.models[0].fidelity.value, 0.99);
  EXPECT_LT(best_alone(plan, share.bytes_removed - share.bytes_added), 0.99);
  for (const std::size_t donor : {1U, 2U}) EXPECT_TRUE(plan.models[donor].fidelity.bit_identical);
}

TEST(MixedPlan, AddsUpItsBytesAndReadsBack) {
  Job job;
  const report::Plan plan = job.run();
  ASSERT_EQ(plan.shares.size(), 1U);
  const std::string bytes = read_file(job.folder / "out/bundle.pt"), text = read_file(job.folder / "out/plan.json");
  EXPECT_EQ(plan.after.bytes, test::storage_bytes(test::load_bytes(bytes)));
  EXPECT_EQ(plan.after.bytes,
            plan.before.bytes - plan.exact.bytes_saved - plan.shares[0].bytes_removed + plan.shares[0].bytes_added);
  // Cut before the coarse level is enlarged, and refitted behind both levels, the receiver enlarges the very map that
  // its donor enlarges too: that is done once. A cut behind the enlarged map saves as many bytes; which of the two is
  // taken depends on how a processor rounds R2.
  ASSERT_TRUE(plan.shares[0].replaced[1].refit);
  const bool cut_behind = plan.shares[0].replaced[1].receiver_layer == "forward:upsample_nearest2d";
  const std::int64_t enlarged = cut_behind ? 0 : 12 * 12 * 16;
  EXPECT_EQ(plan.before.flops - plan.after.flops,
            plan.shares[0].flops_removed - plan.shares[0].flops_added + plan.exact.flops_saved + enlarged);
  EXPECT_EQ(repsim::to_text(report::to_json(report::plan_from_json(parse_json(text, "plan.json"), "plan.json"))), text);
  std::unordered_map<std::string, std::string> extra{{"repsim.json", ""}};
  std::ignore = torch::jit::load((job.folder / "out/bundle.pt").string(), at::kCPU, extra);
  const Json manifest = parse_json(extra["repsim.json"], "repsim.json");
  EXPECT_EQ(manifest["shares"],
            Json::array({{{"receiver", "receiver"}, {"donor", "first"}, {"donors", {"first", "second"}}}}));
  VerifySettings again;
  again.plan = job.folder / "out";
  SilentProgress silent;
  EXPECT_NEAR(verify(again, silent).models[0].fidelity.value.value_or(-1), plan.models[0].fidelity.value.value_or(-1),
              1e-9);
}

TEST(MixedPlan, IsTheSameInASecondRun) {
  Job job;
  (void)job.run();
  const std::string text = read_file(job.folder / "out/plan.json"), bytes = read_file(job.folder / "out/bundle.pt");
  (void)job.run();
  EXPECT_EQ(read_file(job.folder / "out/plan.json"), text);
  EXPECT_EQ(read_file(job.folder / "out/bundle.pt"), bytes);
}

// Without forced directions, and with donors and models that are kept.
TEST(MixedPlan, MixesOnlyDonorsThatMayGive) {
  Job forced, named, all;
  forced.settings.share = {{"receiver", "second"}};
  named.settings.share = {};
  named.settings.donors = {"f*"};
  named.settings.keep = {"second"};
  for (Job* job : {&forced, &named}) {
    SilentProgress silent;
    EXPECT_THAT(report::to_text(dry_run(job->settings, job->folder / "out", true, silent)), Not(HasSubstr("mixed")));
    const report::Plan plan = job->run();
    EXPECT_EQ(count_mixed(plan), 0);
    for (const report::Share& share : plan.shares) EXPECT_EQ(share.donors.size(), 1U);
  }
  all.settings.share = {};
  all.settings.keep = {"first", "second"};
  SilentProgress silent;
  EXPECT_THAT(report::to_text(dry_run(all.settings, all.folder / "out", true, silent)),
              HasSubstr("receiver<-first+second mixed"));
  EXPECT_GT(count_mixed(all.run()), 0);
}

// Both donors give what they still compute, and take the rest from a fourth model: everything that is there twice goes.
TEST(MixedPlan, TakesFromDonorsThatTakeThemselves) {
  Job job({"receiver", "first", "second", "zero"});
  job.settings.share.push_back({"first", "zero"});
  job.settings.share.push_back({"second", "zero"});
  const report::Plan plan = job.run();
  ASSERT_EQ(plan.shares.size(), 3U);
  EXPECT_THAT(plan.shares[2].donors, ElementsAre("first", "second"));  // donors' shares come first
  std::int64_t saved = 0;
  for (const report::Share& share : plan.shares) {
    saved += share.bytes_removed - share.bytes_added;
    for (const report::Replaced& one : plan.shares[2].replaced) {
      if (one.donor != share.receiver) continue;
      EXPECT_THAT(share.removed_layers, Not(testing::Contains(one.donor_layer)));
    }
  }
  EXPECT_EQ(plan.after.bytes, plan.before.bytes - saved);
  for (const report::ModelEntry& model : plan.models) EXPECT_GE(model.fidelity.value, 0.99) << model.name;
  EXPECT_TRUE(plan.models[3].fidelity.bit_identical);
}

// The mixed candidates of a receiver have trials of their own, as every pair has.
TEST(MixedPlan, CountsTrialsOfMixedCandidatesAsOneGroup) {
  Job job;
  job.settings.max_trials = 1;
  job.settings.min_fidelity = 1;  // nothing holds: all trials are used up
  std::map<std::string, int> measured;
  for (const report::Candidate& one : job.run().candidates) {
    if (one.measured_fidelity) ++measured[is_mixed(one) ? "mixed" : one.donor];
  }
  EXPECT_EQ(measured, (std::map<std::string, int>{{"first", 1}, {"mixed", 1}, {"second", 1}}));
}

}  // namespace
}  // namespace repsim::pipeline
