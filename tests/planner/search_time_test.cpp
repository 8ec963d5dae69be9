// What a search begins while its time runs out, and what it keeps then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <utility>

#include "fake_evaluator.hpp"
#include "made_up_world.hpp"

namespace repsim::planner {
namespace {

using test::FakeEvaluator;
using test::FakeWorld;
using test::kinds;
using test::kSteps;
using test::kTarget;
using test::share_of;
using test::taken_of;
using test::world_of;
using testing::ElementsAre;
using Kind = Reason::Kind;
using Question = FakeEvaluator::Question;
using std::chrono::minutes;

/// A search on a clock that only its evaluator moves.
struct Timed {
  Timed(const FakeWorld& of, minutes allowed, SearchOptions options = {}) : world(of), evaluator(world) {
    evaluator.before_preparing = [this] { now += preparation; };
    evaluator.before_measuring = [this] { now += trial; };
    evaluator.before_completing = [this] { now += complete_fit; };
    options.now = [this] { return now; };
    options.deadline = now + allowed;
    search.emplace(world.input(), std::move(options), evaluator, observer);
  }

  const FakeWorld world;
  FakeEvaluator evaluator;
  struct Observer : SearchObserver {
    int times_out_of_time = 0;
    void out_of_time() override { ++times_out_of_time; }
  } observer;
  SearchOptions::Clock::time_point now;
  minutes preparation{0}, trial{0}, complete_fit{0};
  std::optional<Search> search;
};

/// Three candidates of model 1, tried one after the other; the last one holds.
FakeWorld world_of_three() {
  return world_of(2, {share_of(1, 0, 30, 0.9, kTarget - 1), share_of(1, 0, 20, 0.8, kTarget - 1),
                      share_of(1, 0, 10, 0.7, kTarget)});
}

TEST(SearchTime, BeginsNoTrialThatTakesLongerThanIsLeft) {
  Timed timed(world_of_three(), minutes(25));
  timed.trial = minutes(10);  // after the second one five are left
  EXPECT_THAT(kinds(timed.search->run()), ElementsAre(Kind::kBelow, Kind::kBelow, Kind::kOutOfTime));
  EXPECT_THAT(timed.evaluator.asked, ElementsAre(Question{{0}}, Question{{1}}));
  EXPECT_EQ(timed.observer.times_out_of_time, 1);
}

TEST(SearchTime, BeginsATrialThatJustFits) {
  Timed timed(world_of_three(), minutes(30));
  timed.trial = minutes(10);
  EXPECT_THAT(kinds(timed.search->run()), ElementsAre(Kind::kBelow, Kind::kBelow, Kind::kChosenLargestSaving));
}

TEST(SearchTime, TakesTheLongestTrialOfTheReceiverForTheNext) {
  // The trial of model 1 takes long. Those of model 2 do not, and go on.
  const FakeWorld world = world_of(3, {share_of(1, 0, 90, 0.9, kTarget - 1), share_of(2, 0, 20, 0.8, kTarget - 1),
                                       share_of(2, 0, 10, 0.7, kTarget)});
  Timed timed(world, minutes(25));
  timed.evaluator.before_measuring = [&] { timed.now += minutes(timed.evaluator.asked.empty() ? 20 : 2); };
  EXPECT_THAT(kinds(timed.search->run()), ElementsAre(Kind::kBelow, Kind::kBelow, Kind::kChosenLargestSaving));
  EXPECT_EQ(timed.observer.times_out_of_time, 0);
}

TEST(SearchTime, CountsAPreparationOnlyWhereOneIsNeeded) {
  SearchOptions one_by_one;
  one_by_one.prepare_together = 1;
  Timed alone(world_of_three(), minutes(30), one_by_one), together(world_of_three(), minutes(30));
  for (Timed* timed : {&alone, &together}) {
    timed->trial = minutes(2);
    timed->preparation = minutes(14);
  }
  EXPECT_THAT(kinds(alone.search->run()), ElementsAre(Kind::kBelow, Kind::kOutOfTime, Kind::kOutOfTime));
  EXPECT_THAT(kinds(together.search->run()), ElementsAre(Kind::kBelow, Kind::kBelow, Kind::kChosenLargestSaving));
}

/// Option 0 holds, once its fit is complete; options 1 and 2, which would save more, fail.
FakeWorld world_to_complete() {
  FakeWorld world = world_of(2, {share_of(1, 0, 10, 0.99, kTarget), share_of(1, 0, 30, 0.6, kTarget - 9),
                                 share_of(1, 0, 20, 0.5, kTarget - 9)});
  world.max_gain = 1 / kSteps;
  world.options[0].trial_loss = 1 / kSteps;
  return world;
}

TEST(SearchTime, LeavesTimeForTheCompleteFitsOfTheBestChoice) {
  // After the first two trials ten minutes are left: one trial, or the complete fit of option 0.
  Timed timed(world_to_complete(), minutes(20));
  timed.trial = timed.complete_fit = minutes(5);
  (void)timed.search->run();
  const std::size_t trials = timed.evaluator.asked.size();
  EXPECT_EQ(trials, 3);
  Timed shorter(world_to_complete(), minutes(19));
  shorter.trial = shorter.complete_fit = minutes(5);
  (void)shorter.search->run();
  EXPECT_EQ(shorter.evaluator.asked.size(), 2);
  shorter.search->complete();
  EXPECT_LE(shorter.now - SearchOptions::Clock::time_point(), minutes(19));
}

TEST(SearchTime, KeepsWhatWasFoundOnceTheTimeIsUp) {
  Timed timed(world_to_complete(), minutes(11));
  timed.trial = minutes(5);
  ASSERT_THAT(taken_of(timed.world, timed.search->run()), ElementsAre(-1, 0));
  timed.now += minutes(10);
  timed.search->complete();
  const SearchResult found = timed.search->run();
  EXPECT_THAT(taken_of(timed.world, found), ElementsAre(-1, 0));
  EXPECT_EQ(found.shares.front().max_gain, 0);
  EXPECT_EQ(timed.observer.times_out_of_time, 1);
}

TEST(SearchTime, TakesTheNextOfWhatWasMeasuredWhereTheTestFramesRefuseLate) {
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.5, kTarget + 1), share_of(1, 0, 20, 0.95, kTarget + 4),
                                 share_of(2, 0, 5, 0.9, kTarget)});
  Timed timed(world, minutes(100));
  ASSERT_THAT(taken_of(timed.world, timed.search->run()), ElementsAre(-1, 0, 2));
  ASSERT_EQ(timed.evaluator.asked.size(), 3);
  timed.now += minutes(200);
  timed.search->refuse(1, {(kTarget - 1) / kSteps});
  EXPECT_THAT(taken_of(timed.world, timed.search->run()), ElementsAre(-1, 1, 2));
  EXPECT_EQ(timed.evaluator.asked.size(), 3);
}

TEST(SearchTime, CompletesNothingTwiceOnceTheTimeIsUp) {
  // Both candidates seem to hold; the complete fit of the better one shows less. There is no time to complete the
  // other.
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.5, kTarget), share_of(1, 0, 20, 0.95, kTarget)});
  world.max_gain = 1 / kSteps;
  world.options[0].trial_loss = -1 / kSteps;
  world.options[0].fidelity = (kTarget - 1) / kSteps;
  Timed timed(world, minutes(100));
  ASSERT_THAT(taken_of(timed.world, timed.search->run()), ElementsAre(-1, 0));
  ASSERT_THAT(timed.evaluator.asked, ElementsAre(Question{{1}}, Question{{0}}));
  timed.now += minutes(200);
  ASSERT_THAT(taken_of(timed.world, timed.search->run()), ElementsAre(-1, 0));
  timed.search->complete();
  EXPECT_THAT(timed.search->run().shares, testing::IsEmpty());
}

TEST(SearchTime, FitsNothingOnADonorWhoseCompleteFitWouldEndTooLate) {
  // Option 1 reads model 1, which takes layers: it is fitted on the complete fit of option 0.
  FakeWorld world = world_of(3, {share_of(1, 0, 50, 0.9, kTarget), share_of(2, 1, 30, 0.8, kTarget)});
  world.max_gain = 1 / kSteps;
  Timed enough(world, minutes(30)), late(world, minutes(19));
  for (Timed* timed : {&enough, &late}) timed->trial = timed->complete_fit = minutes(10);
  EXPECT_THAT(taken_of(world, enough.search->run()), ElementsAre(-1, 0, 1));
  EXPECT_THAT(taken_of(world, late.search->run()), ElementsAre(-1, 0, -1));
  EXPECT_THAT(late.evaluator.asked, ElementsAre(Question{{0}}));
}

TEST(SearchTime, WithinABudgetKeepsTheBestOfWhatFits) {
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.9, kTarget + 2), share_of(2, 0, 30, 0.95, kTarget + 3)});
  SearchOptions options;
  options.bytes_to_save = 30;
  Timed timed(world, minutes(100), options);
  const std::vector<int> first = taken_of(world, timed.search->run());
  timed.now += minutes(200);
  const SearchResult again = timed.search->run();
  EXPECT_EQ(taken_of(world, again), first);
  EXPECT_THAT(kinds(again), testing::Contains(Kind::kChosenBestFidelity));
}

}  // namespace
}  // namespace repsim::planner
