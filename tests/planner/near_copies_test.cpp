// Test frames that see few plans should not see the same share again under another name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

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
using test::taken_of;
using test::world_of;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Reason::Kind;

/// Options of a search whose looks at the test frames are scarce.
SearchOptions scarce_looks() {
  SearchOptions options;
  options.skip_near_copies = true;
  return options;
}

constexpr std::int64_t kDetections = 1'000'000;  // so many that one error more says nothing

/// All keep all selection frames; the last saves three quarters of the first.
FakeWorld equal_on_selection() {
  constexpr int kAll = static_cast<int>(kSteps);
  return world_of(2, {share_of(1, 0, 100, 0.9, kAll), share_of(1, 0, 99, 0.9, kAll), share_of(1, 0, 75, 0.9, kAll)});
}

TEST(NearCopies, OfARefusedShareAreNotProposed) {
  Game game(equal_on_selection(), scarce_looks());
  ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0));
  game.search.refuse(1, {(kTarget - 1) / kSteps, kDetections, (kTarget - 1) / kSteps});
  const SearchResult second = game.search.run();
  EXPECT_THAT(taken_of(game.world, second), ElementsAre(-1, 2));
}

TEST(NearCopies, AreProposedWhereLooksAreNotScarce) {
  Game game(equal_on_selection());
  (void)game.search.run();
  game.search.refuse(1, {(kTarget - 1) / kSteps, kDetections, (kTarget - 1) / kSteps});
  EXPECT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 1));
}

TEST(NearCopies, SayInTheirReasonWhatTheyAre) {
  FakeWorld world = equal_on_selection();
  world.options.pop_back();
  Game game(std::move(world), scarce_looks());
  (void)game.search.run();
  game.search.refuse(1, {(kTarget - 1) / kSteps, kDetections, (kTarget - 1) / kSteps});
  const SearchResult second = game.search.run();
  EXPECT_THAT(second.shares, IsEmpty());
  EXPECT_THAT(kinds(second), ElementsAre(Kind::kRefused, Kind::kLikelyRefused));
  EXPECT_TRUE(second.records[1].reason.near_copy);
}

TEST(NearCopies, AreNoneWithHalfTheErrorsOrLess) {
  constexpr int kAll = static_cast<int>(kSteps);
  const int missing = kAll - kTarget - 1;  // of the first share on the selection frames, in steps
  FakeWorld world =
      world_of(2, {share_of(1, 0, 100, 0.9, kAll - missing), share_of(1, 0, 99, 0.9, kAll - missing / 2 - 1),
                   share_of(1, 0, 98, 0.9, kAll - missing / 2)});
  Game game(std::move(world), scarce_looks());
  (void)game.search.run();
  // A refusal for too few detections: nothing is lost, so only nearness rules out option 1.
  game.search.refuse(1, {(kAll - missing) / kSteps, kDetections, (kTarget - 1) / kSteps});
  EXPECT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 2));
}

TEST(NearCopies, ReachFurtherTheMoreTheShareMissed) {
  constexpr int kAll = static_cast<int>(kSteps);
  Game game(
      world_of(2, {share_of(1, 0, 1000, 0.9, kAll), share_of(1, 0, 600, 0.9, kAll), share_of(1, 0, 400, 0.9, kAll)}),
      scarce_looks());
  (void)game.search.run();
  // Supported errors of 1 where 1 - target are allowed.
  game.search.refuse(1, {0.5, kDetections, 0.0});
  const double part = std::pow(1 - kTarget / kSteps, 0.25);
  const SearchResult second = game.search.run();
  EXPECT_EQ(taken_of(game.world, second).at(1), 600 > part * 1000 ? 2 : 1);
}

TEST(NearCopies, SaveMoreThanHalfBeforeTheLastLookHoweverLittleTheyErr) {
  constexpr int kAll = static_cast<int>(kSteps);
  const FakeWorld world = world_of(2, {share_of(1, 0, 100, 0.9, kTarget), share_of(1, 0, 99, 0.9, kAll),
                                       share_of(1, 0, 51, 0.9, kAll), share_of(1, 0, 50, 0.9, kAll)});
  for (const bool one_look_left : {false, true}) {
    Game game(world, scarce_looks());
    ASSERT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, 0));
    game.search.refuse(1, {(kTarget - 1) / kSteps, kDetections, (kTarget - 1) / kSteps, one_look_left});
    EXPECT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, one_look_left ? 3 : 1));
  }
}

TEST(NearCopies, OfOtherReceiversAreTheirOwnMatter) {
  constexpr int kAll = static_cast<int>(kSteps);
  Game game(world_of(3, {share_of(1, 0, 100, 0.9, kAll), share_of(1, 0, 99, 0.9, kAll), share_of(2, 0, 99, 0.9, kAll)}),
            scarce_looks());
  (void)game.search.run();
  game.search.refuse(1, {(kTarget - 1) / kSteps, kDetections, (kTarget - 1) / kSteps});
  EXPECT_THAT(taken_of(game.world, game.search.run()), ElementsAre(-1, -1, 2));
}

}  // namespace
}  // namespace repsim::planner
