// What is said of candidates that no plan shows to the test frames any more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_evaluator.hpp"
#include "made_up_world.hpp"

namespace repsim::planner {
namespace {

using test::FakeWorld;
using test::Game;
using test::kinds;
using test::kSteps;
using test::kTarget;
using test::share_of;
using test::world_of;
using testing::ElementsAre;
using Kind = Reason::Kind;

/// Options 0 and 2 save most. Option 2 is refused: it loses two steps, which option 3 does not cover.
FakeWorld world_of_a_refusal() {
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.9, kTarget + 1), share_of(2, 0, 50, 0.9, kTarget - 1),
                                 share_of(2, 0, 40, 0.8, kTarget + 1), share_of(2, 0, 30, 0.7, kTarget + 1),
                                 share_of(2, 0, 20, 0.6, kTarget + 2)});
  world.options[2].test_shift = -2 / kSteps;
  return world;
}

TEST(SearchReasons, WhatHeldButWasNotShownToTheTestFramesSaysSo) {
  Game game(world_of_a_refusal());
  (void)game.search.run();
  game.search.accept(1);
  game.search.refuse(2, {(kTarget - 1) / kSteps});
  (void)game.search.run();
  const SearchResult found = game.search.safest();
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kChosenLargestSaving, Kind::kBelow, Kind::kRefused, Kind::kLikelyRefused,
                                        Kind::kNotJudged));
  EXPECT_EQ(found.records[4].reason.fidelity, (kTarget + 2) / kSteps);
}

TEST(SearchReasons, WhatWasNeitherTriedNorCouldBeShownSaysSo) {
  Game game(world_of(3, {share_of(1, 0, 30, 0.9, kTarget), share_of(1, 0, 20, 0.5, kTarget),
                         share_of(2, 0, 30, 0.9, kTarget), share_of(2, 0, 20, 0.5, kTarget)}));
  (void)game.search.run();
  game.search.accept(1);
  game.search.refuse(2, {(kTarget - 1) / kSteps});
  // Option 1 saves less than the share that model 1 takes.
  EXPECT_THAT(kinds(game.search.safest()), ElementsAre(Kind::kChosenLargestSaving, Kind::kReceiverTakesAnother,
                                                       Kind::kRefused, Kind::kOutOfJudgements));
}

TEST(SearchReasons, WhatAnAcceptedShareIsInTheWayOfKeepsItsReason) {
  // Model 0 gives to model 1, which saves more than model 0 would.
  Game game(world_of(2, {share_of(1, 0, 30, 0.9, kTarget), share_of(0, 1, 20, 0.5, kTarget)}));
  (void)game.search.run();
  game.search.accept(1);
  EXPECT_THAT(kinds(game.search.safest()), ElementsAre(Kind::kChosenLargestSaving, Kind::kDonorTakes));
}

TEST(SearchReasons, WhatWasDeferredForAShareThatIsRefusedCouldNotBeShown) {
  FakeWorld world = world_of(2, {share_of(1, 0, 100, 0.9, kTarget), share_of(1, 0, 110, 0.5, kTarget - 1)});
  world.options[1].correction_gain = 2 / kSteps;
  world.options[1].correction_bytes = 20;
  Game accepted(world), refused(world);
  (void)accepted.search.run();
  accepted.search.accept(1);
  EXPECT_THAT(kinds(accepted.search.safest()), ElementsAre(Kind::kChosenLargestSaving, Kind::kDeferred));
  (void)refused.search.run();
  refused.search.refuse(1, {(kTarget - 1) / kSteps});
  EXPECT_THAT(kinds(refused.search.safest()), ElementsAre(Kind::kRefused, Kind::kDeferredNotJudged));
}

TEST(SearchReasons, ALaterRunTellsReasonsAsBefore) {
  Game game(world_of(2, {share_of(1, 0, 30, 0.9, kTarget), share_of(1, 0, 20, 0.5, kTarget)}));
  (void)game.search.run();
  (void)game.search.safest();
  EXPECT_THAT(kinds(game.search.run()), ElementsAre(Kind::kChosenLargestSaving, Kind::kReceiverTakesAnother));
}

}  // namespace
}  // namespace repsim::planner
