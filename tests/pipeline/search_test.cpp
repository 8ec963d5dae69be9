// Which shares a plan takes: goals, limits, several models, and the frames that choose and judge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Everything passes, and little is tried.
struct Job {
  test::TempFolder folder;
  Settings settings;

  explicit Job(const std::vector<std::string>& models) {
    settings = test::fixture_settings(folder, models);
    settings.frames = 24;
    settings.threads = 1;
    settings.max_trials = 2;
    settings.min_fidelity = 0;
  }

  report::Plan run() {
    SilentProgress silent;
    return plan(settings, folder / "out", true, silent).plan;
  }
};

std::int64_t chosen(const report::Plan& plan) {
  return std::count_if(plan.candidates.begin(), plan.candidates.end(), [](auto& one) { return one.chosen; });
}

TEST(Search, OfThreeModelsTakesSharesWithoutCycles) {
  Job job({"small", "wide", "shuffle"});
  const report::Plan plan = job.run();
  ASSERT_GE(plan.shares.size(), 2U);  // nothing is refused, so all but one can take
  std::map<std::string, std::set<std::string>> donors;
  for (const report::Share& share : plan.shares) {
    EXPECT_TRUE(donors.emplace(share.receiver, std::set(share.donors.begin(), share.donors.end())).second);
  }
  for (std::size_t step = 0; step < donors.size(); ++step) {
    for (auto& [receiver, of] : donors) {
      for (const std::string& donor : std::set(of)) {
        if (donors.count(donor) > 0) of.insert(donors[donor].begin(), donors[donor].end());
      }
      EXPECT_EQ(of.count(receiver), 0U) << receiver << " takes from itself";
    }
  }
  // A donor that takes itself still computes what it gives.
  for (const report::Share& donor_program : plan.shares) {
    for (const report::Share& receiver_program : plan.shares) {
      for (const report::Replaced& one : receiver_program.replaced) {
        if (one.donor != donor_program.receiver) continue;
        EXPECT_THAT(donor_program.removed_layers, Not(testing::Contains(one.donor_layer)));
      }
    }
  }
  EXPECT_EQ(chosen(plan), static_cast<std::int64_t>(plan.shares.size()));
}

TEST(Search, TakesNoMoreSharesThanAskedFor) {
  Job job({"small", "wide", "shuffle"});
  job.settings.max_shares = 1;
  job.settings.max_trials = 1;
  EXPECT_EQ(job.run().shares.size(), 1U);
}

TEST(Search, ConsidersNoDirectionThatDonorsAndKeepRuleOut) {
  Job job({"small", "wide", "shuffle"});
  job.settings.keep = {"small"};
  job.settings.donors = {"s*"};
  SilentProgress silent;
  const std::string text = report::to_text(dry_run(job.settings, job.folder / "out", false, silent));
  EXPECT_THAT(text, Not(HasSubstr("would consider small<-")));
  EXPECT_THAT(text, Not(HasSubstr("<-wide")));
  EXPECT_THAT(text, HasSubstr("would consider wide<-small"));
  EXPECT_THAT(text, HasSubstr("would consider wide<-shuffle"));
  EXPECT_THAT(text, HasSubstr("would consider shuffle<-small"));
}

TEST(Search, KeepsEachModelAtItsOwnFidelity) {
  Job job({"small", "wide"});
  job.settings.min_fidelity_of["small"] = 1;
  job.settings.share = {{"small", "wide"}};
  const report::Plan plan = job.run();
  for (const report::Share& share : plan.shares) EXPECT_EQ(share.measured_fidelity, 1);
  EXPECT_EQ(report::min_fidelity(plan, "small"), 1);
  EXPECT_EQ(report::min_fidelity(plan, "wide"), 0);
}

TEST(Search, SavesAsManyFlopsAsItCanWhereThatIsTheObjective) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.max_trials = 24;
  job.settings.objective = planner::Objective::kFlops;
  const report::Plan plan = job.run();
  ASSERT_EQ(plan.shares.size(), 1U);
  std::int64_t most = 0;
  for (const report::Candidate& one : plan.candidates) most = std::max(most, one.flops_saved);
  EXPECT_EQ(plan.shares[0].flops_removed - plan.shares[0].flops_added, most);
}

TEST(Search, SavesTheMostBytesThatAnyCandidateDoesWhereAllHold) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.max_trials = 24;
  const report::Plan plan = job.run();
  ASSERT_EQ(plan.shares.size(), 1U);
  std::int64_t most = 0, taken = 0;
  for (const report::Candidate& one : plan.candidates) {
    most = std::max(most, one.bytes_saved);
    if (one.chosen) taken = one.bytes_saved;
  }
  EXPECT_EQ(taken, most);
}

TEST(Search, SavesAsMuchOfTheLatencyEstimateAsItCanWhereThatIsTheObjective) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.max_trials = 24;
  job.settings.objective = planner::Objective::kLatency;
  const report::Plan plan = job.run();
  ASSERT_EQ(plan.shares.size(), 1U);
  std::int64_t most = 0, taken = 0;
  for (const report::Candidate& one : plan.candidates) {
    most = std::max(most, one.latency_saved_ns.value());
    if (one.chosen) taken = one.latency_saved_ns.value();
  }
  EXPECT_EQ(taken, most);
  EXPECT_GT(taken, 0);
  EXPECT_LT(plan.after.latency_estimate_ns.value(), plan.deduplicated.value().latency_estimate_ns.value());
}

TEST(Search, SavesAsMuchPeakMemoryAsItCanWhereThatIsTheObjective) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.max_trials = 24;
  job.settings.objective = planner::Objective::kPeakMemory;
  const report::Plan plan = job.run();
  ASSERT_EQ(plan.shares.size(), 1U);
  std::int64_t most = 0;
  const report::Candidate* taken = nullptr;
  for (const report::Candidate& one : plan.candidates) {
    most = std::max(most, one.memory_saved.value());
    if (one.chosen) taken = &one;
  }
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(taken->memory_saved, most);
  // What was promised of the peak is what the written bundle's own graph says.
  const report::Totals& plain = plan.deduplicated.value();
  EXPECT_EQ(*taken->memory_saved - taken->bytes_saved, plain.peak_activation_bytes - plan.after.peak_activation_bytes);
}

// Without shares a bundle is the models, deduplicated; with them it holds less than that.
TEST(Totals, SayWhatDeduplicationAloneSaves) {
  Job job({"frozen_a", "frozen_b"});
  job.settings.max_shares = 0;
  const report::Plan without = job.run();
  ASSERT_TRUE(without.shares.empty());
  const report::Totals& plain = without.deduplicated.value();
  EXPECT_EQ(plain.bytes, without.after.bytes);
  EXPECT_EQ(plain.flops, without.after.flops);
  EXPECT_EQ(plain.peak_activation_bytes, without.after.peak_activation_bytes);
  EXPECT_EQ(plain.latency_estimate_ns, without.after.latency_estimate_ns);
  EXPECT_LT(plain.bytes, without.before.bytes);
  EXPECT_LT(plain.flops, without.before.flops);
  EXPECT_LT(plain.latency_estimate_ns.value(), without.before.latency_estimate_ns.value());
  job.settings.max_shares.reset();
  const report::Plan with = job.run();
  ASSERT_FALSE(with.shares.empty());
  EXPECT_EQ(with.deduplicated.value().bytes, plain.bytes);
  EXPECT_LT(with.after.bytes, plain.bytes);
}

TEST(SearchWithABudget, SharesNothingWhereTheModelsFit) {
  Job job({"small", "wide"});
  job.settings.budget = std::int64_t{1} << 40;
  const report::Plan plan = job.run();
  EXPECT_THAT(plan.shares, IsEmpty());
  for (const report::Candidate& one : plan.candidates) EXPECT_THAT(one.reason, HasSubstr("fit into the budget"));
}

// What was measured on the frames that choose decides, and random detectors keep next to nothing of themselves: what
// a prediction is worth is for detectors that detect.
TEST(SearchWithABudget, KeepsTheMostOfAllThatWasMeasuredAndFits) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.max_trials = 24;
  const report::Plan largest = job.run();
  ASSERT_EQ(largest.shares.size(), 1U);
  job.settings.budget = (largest.before.bytes + largest.after.bytes) / 2;
  const report::Plan plan = job.run();
  EXPECT_LE(plan.after.bytes, *job.settings.budget);
  const std::int64_t to_save = largest.before.bytes - largest.exact.bytes_saved - *job.settings.budget;
  std::optional<double> taken;
  double best = 0;
  for (const report::Candidate& one : plan.candidates) {
    if (one.chosen) taken = one.measured_fidelity;
    if (one.measured_fidelity && one.bytes_saved >= to_save) best = std::max(best, *one.measured_fidelity);
  }
  EXPECT_EQ(taken, best);
}

TEST(SearchWithABudget, SavesWhatItCanWhereNothingFits) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.budget = 1;
  const report::Plan plan = job.run();
  EXPECT_EQ(plan.shares.size(), 1U);
  EXPECT_GT(plan.after.bytes, 1);
}

// 20 hold-out frames: ten choose, ten judge.
TEST(Frames, ThatJudgeDidNotChoose) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.frames = 50;
  job.settings.holdout = 0.4;
  const report::Plan plan = job.run();
  ASSERT_EQ(plan.selection_frames.size(), 10U);
  ASSERT_EQ(plan.holdout_frames.size(), 10U);
  EXPECT_LT(plan.calibration_frames.back(), plan.selection_frames.front());
  EXPECT_LT(plan.selection_frames.back(), plan.holdout_frames.front());
  EXPECT_EQ(plan.models[0].fidelity.frames, 10);
  EXPECT_EQ(plan.judgements, 1);  // everything holds at a fidelity of 0
}

// What the frames that judge refuse was tried in vain: its pair may try as many more.
TEST(Frames, ThatJudgeGiveTrialsBack) {
  std::int64_t most = 0;
  for (const double target : {0.001, 0.002, 0.003, 0.004, 0.005}) {  // random models agree that little
    Job job({"small", "wide"});
    test::write_avi(job.folder / "video.avi", 64, test::patches);
    job.settings.frames = 60;  // 18 choose and judge
    job.settings.max_trials = 1;
    job.settings.share = {{"small", "wide"}};
    job.settings.min_fidelity = target;
    const report::Plan plan = job.run();
    std::int64_t measured = 0, refused = 0;
    for (const report::Candidate& one : plan.candidates) {
      if (!one.measured_fidelity) continue;
      ++measured;
      refused += one.reason.find("on the frames that judge") == std::string::npos ? 0 : 1;
    }
    EXPECT_GE(measured, 1) << target;
    EXPECT_LE(measured, 1 + std::min<std::int64_t>(refused, 1)) << target;
    most = std::max(most, measured);
  }
  EXPECT_EQ(most, 2);  // or this test has seen nothing
}

TEST(Frames, AllOfAShortHoldOutChooseAndJudge) {
  Job job({"small", "wide"});
  job.settings.share = {{"small", "wide"}};
  job.settings.max_trials = 1;
  const report::Plan plan = job.run();
  EXPECT_EQ(plan.selection_frames, plan.holdout_frames);
}

}  // namespace
}  // namespace repsim::pipeline
