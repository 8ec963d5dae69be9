// Shares of weights beside shares of layers: what is judged first, and what one kind costs the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fake_judge.hpp"
#include "made_up_world.hpp"
#include "random_world.hpp"

namespace repsim::planner {
namespace {

using test::FakeOption;
using test::FakeWorld;
using test::JudgedWorld;
using test::kinds;
using test::kSteps;
using test::kTarget;
using test::share_of;
using test::world_of;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Reason::Kind;

FakeOption weights_of(ModelIndex receiver, ModelIndex donor, std::int64_t bytes, double r2, int steps) {
  FakeOption one = share_of(receiver, donor, bytes, r2, steps);
  one.weights = true;
  return one;
}

TEST(JudgedWeights, AreJudgedFirstAndSpareTheTrialsOfLayersThatSaveLess) {
  JudgedWorld trial(world_of(2, {share_of(1, 0, 30, 0.9, kTarget), weights_of(1, 0, 40, 0.9, kTarget)}));
  EXPECT_EQ(trial.run(), 1);
  EXPECT_THAT(trial.evaluator.asked, ElementsAre(test::FakeEvaluator::Question{{1}}));
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 1)));
}

TEST(JudgedWeights, GiveWayToLayersThatSaveMore) {
  JudgedWorld trial(world_of(2, {share_of(1, 0, 30, 0.9, kTarget), weights_of(1, 0, 20, 0.9, kTarget)}));
  EXPECT_EQ(trial.run(), 2);
  EXPECT_THAT(trial.judge.looks, ElementsAre(ElementsAre(1), ElementsAre(0)));
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0)));
}

TEST(JudgedWeights, StayWhereTheTestFramesRefuseTheLayers) {
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.9, kTarget), weights_of(1, 0, 20, 0.9, kTarget)});
  world.options[0].test_shift = -1 / kSteps;
  JudgedWorld trial(world);
  EXPECT_EQ(trial.run(), 2);
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 1)));
}

/// Three shares of weights that save much and that the test frames refuse, and a share of layers that holds.
FakeWorld world_of_refused_weights() {
  FakeWorld world = world_of(2, {weights_of(1, 0, 90, 0.9, kTarget), weights_of(1, 0, 80, 0.9, kTarget + 1),
                                 weights_of(1, 0, 70, 0.9, kTarget + 3), share_of(1, 0, 30, 0.9, kTarget),
                                 weights_of(1, 0, 60, 0.9, kTarget + 4)});
  for (int i = 0; i < 3; ++i) world.options[i].test_shift = -4 / kSteps;
  return world;
}

TEST(JudgedWeights, RefusedOnesCostLayersOneLook) {
  JudgedWorld trial(world_of_refused_weights());
  trial.judging.most_judgements = 2;
  EXPECT_EQ(trial.run(), 2);
  EXPECT_THAT(trial.judge.looks, ElementsAre(ElementsAre(0), ElementsAre(3)));
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 3)));
  EXPECT_EQ(trial.judge.times_out_of_judgements, 0);
}

TEST(JudgedWeights, WhatIsLeftOfThemSaysThatNoLookWasLeft) {
  JudgedWorld trial(world_of_refused_weights());
  EXPECT_EQ(trial.run(), 2);
  const std::vector<Kind> found = kinds(trial.judge.plan);
  EXPECT_EQ(found[0], Kind::kRefused);
  EXPECT_THAT(std::vector<Kind>(found.begin() + 1, found.begin() + 3),
              testing::Each(testing::AnyOf(Kind::kLikelyRefused, Kind::kNotJudged, Kind::kOutOfJudgements)));
  EXPECT_EQ(found[3], Kind::kChosenLargestSaving);
}

TEST(JudgedWeights, TheOnlyLookIsForTheBestOfAll) {
  JudgedWorld trial(world_of(2, {share_of(1, 0, 90, 0.9, kTarget), weights_of(1, 0, 20, 0.9, kTarget)}));
  trial.judging.most_judgements = 1;
  EXPECT_EQ(trial.run(), 1);
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0)));
}

TEST(JudgedWeights, ARefusedOneAsksNothingMoreOfLayers) {
  // After its refusal, another share of weights has to keep more than the target; the share of layers does not.
  FakeWorld world = world_of(2, {weights_of(1, 0, 90, 0.9, kTarget + 1), share_of(1, 0, 30, 0.9, kTarget),
                                 weights_of(1, 0, 40, 0.9, kTarget)});
  world.options[0].test_shift = -4 / kSteps;
  JudgedWorld trial(world);
  EXPECT_EQ(trial.run(), 2);
  EXPECT_THAT(kinds(trial.judge.plan)[2],
              testing::AnyOf(Kind::kLikelyRefused, Kind::kNotJudged, Kind::kOutOfJudgements));
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 1)));
}

TEST(JudgedWeights, ABudgetChoosesAmongAllAtOnce) {
  SearchOptions options;
  options.bytes_to_save = 10;
  JudgedWorld trial(world_of(2, {share_of(1, 0, 30, 0.9, kTarget + 3), weights_of(1, 0, 40, 0.8, kTarget)}), options);
  EXPECT_EQ(trial.run(), 1);
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0)));
}

std::int64_t saving_of(const JudgedWorld& judged) {
  std::int64_t bytes = 0;
  for (const SelectedShare& share : judged.judge.plan.shares)
    bytes += judged.judge.plan.records[share.record].candidate.savings.bytes;
  return bytes;
}

// With shares of weights beside those of layers, a plan saves no less than with those of layers alone and the looks
// that shares of weights left, whatever the test frames refuse.
TEST(JudgedWeights, InRandomWorldsNoPlanSavesLessThanWithLayersAlone) {
  std::mt19937 random(77);
  int more = 0, refused = 0;
  for (int round = 0; round < 200 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    FakeWorld both = test::random_world(random, {.noise = true, .test_frames = true, .test_noise = true});
    FakeWorld layers = both;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < both.options.size(); ++i) both.options[i].weights = random() % 2 == 0;
    // An option keeps its number in the world of layers alone: one without value is never tried.
    for (std::size_t i = 0; i < both.options.size(); ++i) {
      if (both.options[i].weights) layers.options[i].bytes = 0;
      kept += both.options[i].weights ? 0 : 1;
    }
    if (kept == 0 || kept == both.options.size()) continue;
    JudgedWorld of_layers(layers), of_both(both);
    EXPECT_LE(of_both.run(), of_both.judging.most_judgements);
    const auto& looks = of_both.judge.looks;
    const bool weights_had_one = !looks.empty() && std::all_of(looks.front().begin(), looks.front().end(),
                                                               [&](auto one) { return both.options[one].weights; });
    of_layers.judging.most_judgements = of_both.judging.most_judgements - (weights_had_one ? 1 : 0);
    (void)of_layers.run();
    EXPECT_GE(saving_of(of_both), saving_of(of_layers));
    more += saving_of(of_both) > saving_of(of_layers) ? 1 : 0;
    refused += of_both.judge.refusals.empty() ? 0 : 1;
  }
  EXPECT_GT(more, 10);
  EXPECT_GT(refused, 10);
}

}  // namespace
}  // namespace repsim::planner
