// What the search learns from the test frames, and what it keeps once nobody looks at them any more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_evaluator.hpp"
#include "made_up_world.hpp"

namespace repsim::planner {
namespace {

using test::FakeEvaluator;
using test::FakeWorld;
using test::Game;
using test::kinds;
using test::kSteps;
using test::kTarget;
using test::share_of;
using test::taken_of;
using test::world_of;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Reason::Kind;
using Question = FakeEvaluator::Question;

/// Options 0 and 2 save most. Option 2 is refused: it loses two steps.
FakeWorld world_of_a_loss() {
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.9, kTarget + 1), share_of(2, 0, 50, 0.9, kTarget - 1),
                                 share_of(2, 0, 40, 0.8, kTarget + 1), share_of(2, 0, 30, 0.7, kTarget + 1),
                                 share_of(2, 0, 20, 0.6, kTarget + 2)});
  world.options[2].test_shift = -2 / kSteps;
  return world;
}

TEST(SearchVerdicts, ALossIsDemandedOfTheReceiversOtherShares) {
  Game game(world_of_a_loss());
  const SearchResult first = game.search.run();
  EXPECT_THAT(kinds(first), ElementsAre(Kind::kChosenLargestSaving, Kind::kBelow, Kind::kChosenLargestSaving,
                                        Kind::kReceiverTakesAnother, Kind::kReceiverTakesAnother));
  game.search.refuse(2, {(kTarget - 1) / kSteps});
  const SearchResult second = game.search.run();
  EXPECT_THAT(kinds(second), ElementsAre(Kind::kChosenLargestSaving, Kind::kBelow, Kind::kRefused, Kind::kLikelyRefused,
                                         Kind::kChosenLargestSaving));
  const Reason& reason = second.records[3].reason;
  EXPECT_EQ(reason.fidelity, (kTarget + 1) / kSteps);
  EXPECT_EQ(reason.target, kTarget / kSteps);
  EXPECT_EQ(reason.loss, 2 / kSteps);
}

TEST(SearchVerdicts, ALossTakesOutWhatWasMeasuredBefore) {
  // Model 2 gives nothing while option 1 stands; option 2 was measured and would come next.
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.5, kTarget + 1), share_of(1, 0, 20, 0.95, kTarget + 1),
                                 share_of(1, 0, 10, 0.4, kTarget + 2)});
  Game game(world);
  (void)game.search.run();
  ASSERT_THAT(game.evaluator.asked, ElementsAre(Question{{1}}, Question{{0}}));
  game.search.refuse(1, {(kTarget - 1) / kSteps});
  EXPECT_THAT(kinds(game.search.run()), ElementsAre(Kind::kRefused, Kind::kLikelyRefused, Kind::kChosenLargestSaving));
  EXPECT_EQ(game.evaluator.asked.size(), 3);
}

TEST(SearchVerdicts, TheLargestLossCounts) {
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.9, kTarget + 1), share_of(1, 0, 20, 0.8, kTarget + 2),
                                 share_of(1, 0, 10, 0.7, kTarget + 3), share_of(1, 0, 5, 0.6, kTarget + 4)});
  Game game(world);
  (void)game.search.run();
  game.search.refuse(1, {(kTarget - 1) / kSteps});  // two steps
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 1));
  game.search.refuse(1, {(kTarget - 2) / kSteps});  // four
  EXPECT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 3));
  game.search.refuse(1, {(kTarget - 1) / kSteps});  // five
  EXPECT_THAT(game.search.run().shares, IsEmpty());
}

TEST(SearchVerdicts, ASmallerLossOfAnAcceptedShareTakesNothingBack) {
  // As below; then the written file refuses option 0 for a smaller loss, which option 3 would cover.
  FakeWorld world = world_of(3, {share_of(1, 0, 20, 0.9, kTarget + 1), share_of(2, 0, 50, 0.9, kTarget),
                                 share_of(1, 2, 40, 0.9, kTarget + 1), share_of(1, 0, 10, 0.9, kTarget + 2)});
  world.options[1].option.unavailable = {0};
  Game game(world);
  (void)game.search.run();
  game.search.accept(1);
  game.search.refuse(2, {(kTarget - 1) / kSteps});
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 2, -1));
  game.search.refuse(1, {(kTarget - 2) / kSteps});  // three steps
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0, -1));
  game.search.refuse(1, {(kTarget - 1) / kSteps});  // two
  EXPECT_THAT(game.search.run().shares, IsEmpty());
}

TEST(SearchVerdicts, ErrorsAreTakenToGrowAsThoseOfTheRefusedShareDid) {
  // 100 detections. The refused share has errors of 0.05 on the selection frames and of 0.11 on the test frames: they
  // double (0.06 to 0.12 with one detection more). So half of the errors that the target of 0.9375 allows remain.
  FakeWorld world = world_of(
      2, {share_of(1, 0, 30, 0.9, kTarget), share_of(1, 0, 20, 0.8, kTarget), share_of(1, 0, 10, 0.7, kTarget)});
  world.options[0].fidelity = 0.95;
  world.options[1].fidelity = 0.968;
  world.options[2].fidelity = 0.969;
  Game game(world);
  (void)game.search.run();
  game.search.refuse(1, {0.89, 100});
  const SearchResult found = game.search.run();
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kRefused, Kind::kLikelyRefused, Kind::kChosenLargestSaving));
  EXPECT_NEAR(found.records[1].reason.loss, (1 - kTarget / kSteps) / 2, 1e-12);
}

TEST(SearchVerdicts, NoLossDemandsMoreThanAllFidelity) {
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.9, kTarget + 1), share_of(1, 0, 20, 0.8, kTarget + 4)});
  Game game(world);
  (void)game.search.run();
  game.search.refuse(1, {(kTarget - 20) / kSteps});
  EXPECT_THAT(kinds(game.search.run()), ElementsAre(Kind::kRefused, Kind::kChosenLargestSaving));
}

TEST(SearchVerdicts, TheFidelityHasToCoverTheLossAndItsSupportTheTarget) {
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.9, kTarget + 1), share_of(1, 0, 20, 0.8, kTarget + 4),
                                 share_of(1, 0, 10, 0.7, kTarget + 4)});
  world.options[1].low = (kTarget - 1) / kSteps;
  world.options[2].low = kTarget / kSteps;
  Game game(world);
  (void)game.search.run();
  game.search.refuse(1, {(kTarget - 1) / kSteps});
  const SearchResult found = game.search.run();
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kRefused, Kind::kBelow, Kind::kChosenLargestSaving));
  EXPECT_EQ(found.records[1].reason.low, (kTarget - 1) / kSteps);
}

TEST(SearchVerdicts, ACompleteFitMayCoverTheLoss) {
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.9, kTarget + 1), share_of(1, 0, 20, 0.8, kTarget + 1)});
  world.max_gain = 1 / kSteps;
  Game game(world);
  (void)game.search.run();
  game.search.refuse(1, {(kTarget - 1) / kSteps});
  EXPECT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 1));
  game.search.complete();
  const SearchResult found = game.search.run();
  EXPECT_THAT(found.shares, IsEmpty());
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kRefused, Kind::kLikelyRefused));
}

TEST(SearchVerdicts, AShareBehindAnotherOneHasToCoverTheLossToo) {
  // On the share of model 1, option 1 keeps a step less than alone.
  FakeWorld world = world_of(
      3, {share_of(1, 0, 50, 0.9, kTarget), share_of(2, 1, 30, 0.8, kTarget + 2), share_of(2, 0, 40, 0.9, kTarget)});
  world.penalties[{0, 1}] = 1 / kSteps;
  Game game(world);
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0, 2));
  game.search.refuse(2, {(kTarget - 2) / kSteps});
  const SearchResult found = game.search.run();
  EXPECT_THAT(taken_of(game.world, found), ElementsAre(-1, 0, -1));
  EXPECT_EQ(found.records[1].reason.kind, Kind::kLikelyRefused);
  EXPECT_THAT(found.records[1].reason.models, ElementsAre(1));
}

TEST(SearchVerdicts, TheSafestChoiceIsTheAcceptedPartOfARefusedOne) {
  Game game(world_of_a_loss());
  (void)game.search.run();
  game.search.accept(1);
  game.search.refuse(2, {(kTarget - 1) / kSteps});
  const std::size_t asked = game.evaluator.asked.size();
  EXPECT_THAT(taken_of(game.world, game.search.safest()), ElementsAre(-1, 0, -1));
  EXPECT_EQ(game.evaluator.asked.size(), asked);
}

TEST(SearchVerdicts, WithoutAnAcceptedShareTheSafestChoiceIsEmpty) {
  Game game(world_of_a_loss());
  (void)game.search.run();
  EXPECT_THAT(game.search.safest().shares, IsEmpty());
}

TEST(SearchVerdicts, AnAcceptedShareThatIsRefusedLaterIsNotSafe) {
  Game game(world_of_a_loss());
  (void)game.search.run();
  game.search.accept(1);
  game.search.accept(2);
  game.search.refuse(1, {(kTarget - 1) / kSteps});
  EXPECT_THAT(taken_of(game.world, game.search.safest()), ElementsAre(-1, -1, 2));
  game.search.refuse(2, {(kTarget - 1) / kSteps});  // of the safest choice
  EXPECT_THAT(game.search.safest().shares, IsEmpty());
}

TEST(SearchVerdicts, AShareIsSafeOnlyBesideTheDonorsWithWhichItWasAccepted) {
  const FakeWorld world = world_of(3, {share_of(1, 0, 50, 0.9, kTarget), share_of(2, 1, 30, 0.8, kTarget)});
  Game game(world);
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0, 1));
  game.search.accept(2);
  EXPECT_THAT(game.search.safest().shares, IsEmpty());
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0, 1));
  game.search.accept(1);
  EXPECT_THAT(taken_of(game.world, game.search.safest()), ElementsAre(-1, 0, 1));
}

TEST(SearchVerdicts, ACompleteFitHasToBeAcceptedAgain) {
  FakeWorld world = world_of(2, {share_of(1, 0, 50, 0.9, kTarget)});
  world.max_gain = 1 / kSteps;
  Game game(world);
  (void)game.search.run();
  game.search.accept(1);
  EXPECT_EQ(game.search.safest().shares.size(), 1);
  game.search.complete();
  EXPECT_THAT(game.search.safest().shares, IsEmpty());
  (void)game.search.run();
  game.search.accept(1);
  EXPECT_EQ(game.search.safest().shares.size(), 1);
}

TEST(SearchVerdicts, ALossOfAnotherShareLeavesAnAcceptedOne) {
  // Options 0 and 1 save more than option 2, which takes what option 1 does not compute.
  FakeWorld world = world_of(3, {share_of(1, 0, 20, 0.9, kTarget + 1), share_of(2, 0, 50, 0.9, kTarget),
                                 share_of(1, 2, 40, 0.9, kTarget + 1)});
  world.options[1].option.unavailable = {0};
  Game game(world);
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0, 1));
  game.search.accept(1);
  game.search.refuse(2, {(kTarget - 1) / kSteps});
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 2, -1));
  game.search.refuse(1, {(kTarget - 1) / kSteps});
  EXPECT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0, -1));
}

TEST(SearchVerdicts, TheSafestChoiceMayFitIntoTheBudget) {
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.9, kTarget + 2), share_of(2, 0, 30, 0.95, kTarget + 3)});
  SearchOptions options;
  options.bytes_to_save = 60;
  Game game(world, options);
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0, 1));
  game.search.accept(1);
  game.search.accept(2);
  EXPECT_THAT(kinds(game.search.safest()), Each(Kind::kChosenBestFidelity));
}

TEST(SearchVerdicts, TheSafestChoiceSavesWhatItCanWhereNoneFitsIntoTheBudget) {
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.9, kTarget + 2), share_of(2, 0, 30, 0.95, kTarget + 3)});
  SearchOptions options;
  options.bytes_to_save = 60;
  Game game(world, options);
  (void)game.search.run();
  game.search.accept(1);
  game.search.refuse(2, {(kTarget - 1) / kSteps});
  EXPECT_THAT(kinds(game.search.safest()), ElementsAre(Kind::kChosenLargestSaving, Kind::kRefused));
}

}  // namespace
}  // namespace repsim::planner
