// Which candidates the search leaves out because their prediction is far below the target. No model is run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "made_up_world.hpp"

namespace repsim::planner {
namespace {

using test::FakeEvaluator;
using test::FakeOption;
using test::FakeWorld;
using test::Game;
using test::kSteps;
using test::kTarget;
using test::share_of;
using test::world_of;
using Kind = Reason::Kind;

/// Twenty candidates for one receiver. The more one saves, the less R2 it has; `steps` tells what it keeps.
template <typename Steps>
FakeWorld twenty(const Steps& steps) {
  std::vector<FakeOption> options;
  for (int i = 0; i < 20; ++i) {
    const double r2 = 0.3 + 0.03 * i;
    options.push_back(share_of(1, 0, 100 - i, r2, std::clamp(steps(r2), 0, static_cast<int>(kSteps))));
  }
  return world_of(2, std::move(options));
}

SearchOptions trying_all() {
  SearchOptions options;
  options.far_below = 1;
  return options;
}

std::int64_t count(const std::vector<Kind>& kinds, Kind kind) { return std::count(kinds.begin(), kinds.end(), kind); }

TEST(FarBelow, EndsAPairOfWhichNothingComesNear) {
  Game game(twenty([](double r2) { return static_cast<int>(10 * r2); }));
  const SearchResult found = game.search.run();
  EXPECT_TRUE(found.shares.empty());
  EXPECT_LE(game.evaluator.asked.size(), 8U);  // a prediction needs six trials
  EXPECT_GE(count(test::kinds(found), Kind::kFarBelow), 12);
  for (const CandidateRecord& one : found.records) {
    if (one.reason.kind != Kind::kFarBelow) continue;
    EXPECT_EQ(one.reason.target, kTarget / kSteps);
    ASSERT_TRUE(one.candidate.predicted_interval);
    EXPECT_LT(one.candidate.predicted_interval->high, one.reason.target - 0.3);
    EXPECT_FALSE(one.measured_fidelity);
  }
}

TEST(FarBelow, LeavesNothingOutIfItIsTurnedOff) {
  Game game(twenty([](double r2) { return static_cast<int>(10 * r2); }), trying_all());
  const SearchResult found = game.search.run();
  EXPECT_EQ(game.evaluator.asked.size(), 20U);
  EXPECT_EQ(count(test::kinds(found), Kind::kFarBelow), 0);
}

TEST(FarBelow, TriesCandidatesThatMissByLittle) {
  Game game(twenty([](double) { return kTarget - 4; }));
  const SearchResult found = game.search.run();
  EXPECT_EQ(game.evaluator.asked.size(), 20U);
  EXPECT_EQ(count(test::kinds(found), Kind::kFarBelow), 0);
}

/// A share of the weights 100 to 100 + count - 1 at a rank, alone or beside layers.
FakeOption sharing(int count, int rank, bool alone, std::int64_t bytes, int steps) {
  FakeOption one = share_of(1, 0, bytes, 0.99, steps);
  one.weights = alone;
  for (int i = 0; i < count; ++i) one.more_weights.push_back({100 + i, 0, 100 + i, rank});
  return one;
}

TEST(FarBelow, WeightsThatKeepTooLittleAloneAreNotTriedBesideLayers) {
  // 0: the weights alone; then beside layers: all of them, coarser; most of them; half of them; finer
  Game game(world_of(2, {sharing(8, 4, true, 100, 10), sharing(8, 3, false, 90, 10), sharing(7, 4, false, 80, 10),
                         sharing(4, 4, false, 70, 10), sharing(8, 5, false, 60, 10)}));
  const std::vector<Kind> found = test::kinds(game.search.run());
  EXPECT_THAT(found, testing::ElementsAre(Kind::kBelow, Kind::kFarBelow, Kind::kFarBelow, Kind::kBelow, Kind::kBelow));
}

TEST(FarBelow, WeightsThatMissByLittleSayNothingOfLayersBeside) {
  Game game(world_of(2, {sharing(8, 4, true, 100, kTarget - 4), sharing(8, 3, false, 90, kTarget)}));
  EXPECT_THAT(test::kinds(game.search.run()), testing::ElementsAre(Kind::kBelow, Kind::kChosenLargestSaving));
}

TEST(FarBelow, WeightsOfAnotherDonorSayNothing) {
  FakeOption other = sharing(8, 3, false, 90, kTarget);
  other.option.supplied.front().donor = 2;
  for (graph::SharedWeight& one : other.more_weights) one.donor = 2;
  Game game(world_of(3, {sharing(8, 4, true, 100, 10), other}));
  EXPECT_THAT(test::kinds(game.search.run()), testing::ElementsAre(Kind::kBelow, Kind::kChosenLargestSaving));
}

// Fidelity that rises with R2, more or less steeply, with noise: what the rule leaves out would not have held.
TEST(FarBelow, LosesNoSavingWhereFidelityRisesWithR2) {
  std::mt19937 random(7);
  std::int64_t fewer = 0, lost = 0;
  for (int round = 0; round < 200; ++round) {
    const double middle = 0.3 + 0.01 * static_cast<double>(random() % 60),
                 width = 0.03 + 0.01 * static_cast<double>(random() % 10);
    const FakeWorld world = twenty([&](double r2) {
      const int noise = static_cast<int>(random() % 7) - 3;
      return static_cast<int>(kSteps / (1 + std::exp((middle - r2) / width))) + noise;
    });
    Game with(world), without(world, trying_all());
    const SearchResult found = with.search.run(), all = without.search.run();
    const auto saving = [](const SearchResult& result) {
      std::int64_t bytes = 0;
      for (const SelectedShare& share : result.shares) bytes += result.records[share.record].candidate.savings.bytes;
      return bytes;
    };
    lost += saving(found) < saving(all) ? 1 : 0;
    fewer += with.evaluator.asked.size() < without.evaluator.asked.size() ? 1 : 0;
  }
  EXPECT_LE(lost, 2);
  EXPECT_GT(fewer, 20);
}

}  // namespace
}  // namespace repsim::planner
