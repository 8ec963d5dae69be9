// From a search to a plan that holds: what is shown to the test frames, how often, and what is written in the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "fake_judge.hpp"
#include "made_up_world.hpp"
#include "random_world.hpp"

namespace repsim::planner {
namespace {

using test::FakeEvaluator;
using test::FakeWorld;
using test::JudgedWorld;
using test::kinds;
using test::kSteps;
using test::kTarget;
using test::share_of;
using test::taken_of;
using test::world_of;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = Reason::Kind;

TEST(JudgedSearch, WritesAPlanThatHoldsAtTheFirstLook) {
  JudgedWorld trial(world_of(2, {share_of(1, 0, 30, 0.9, kTarget)}));
  EXPECT_EQ(trial.run(), 1);
  EXPECT_THAT(trial.judge.looks, ElementsAre(ElementsAre(0)));
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0)));
  EXPECT_THAT(kinds(trial.judge.plan), ElementsAre(Kind::kChosenLargestSaving));
}

TEST(JudgedSearch, TakesNoLookWhereNothingIsShared) {
  JudgedWorld trial(world_of(2, {share_of(1, 0, 30, 0.9, kTarget - 1)}));
  EXPECT_EQ(trial.run(), 0);
  EXPECT_THAT(trial.judge.looks, IsEmpty());
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, -1)));
}

/// Model 1 takes option 0. Model 2 has three options; the first `refused` of them lose two steps on the test frames,
/// and each of them keeps a step more than the one before it.
FakeWorld world_of_refusals(int refused) {
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.9, kTarget + 1), share_of(2, 0, 50, 0.9, kTarget + 1),
                                 share_of(2, 0, 40, 0.8, kTarget + 3), share_of(2, 0, 30, 0.7, kTarget + 4),
                                 share_of(2, 0, 20, 0.6, kTarget + 4)});
  const int shifts[] = {-2, -4, -5};  // each refusal asks for more than the one before
  for (int i = 0; i < refused; ++i) world.options[1 + i].test_shift = shifts[i] / kSteps;
  return world;
}

TEST(JudgedSearch, GoesOnAfterARefusalAndShowsAnAcceptedShareOnce) {
  JudgedWorld trial(world_of_refusals(1));
  EXPECT_EQ(trial.run(), 2);
  EXPECT_THAT(trial.judge.looks, ElementsAre(ElementsAre(0, 1), ElementsAre(2)));
  EXPECT_THAT(trial.judge.refusals, ElementsAre(2));
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0, 2)));
}

TEST(JudgedSearch, ShowsASafeShareInTheLastLook) {
  SearchOptions options;
  options.skip_near_copies = true;
  FakeWorld world = world_of(2, {share_of(1, 0, 100, 0.9, kTarget + 1), share_of(1, 0, 79, 0.8, kTarget + 4),
                                 share_of(1, 0, 50, 0.7, kTarget + 4)});
  world.options[0].test_shift = -2 / kSteps;
  JudgedWorld second(world, options), last(world, options);
  last.judging.most_judgements = 2;
  EXPECT_EQ(second.run(), 2);
  EXPECT_THAT(second.judge.written, ElementsAre(ElementsAre(-1, 1)));
  EXPECT_EQ(last.run(), 2);
  EXPECT_THAT(last.judge.written, ElementsAre(ElementsAre(-1, 2)));
}

TEST(JudgedSearch, TakesTheSharesThatHeldOnceNoLookIsLeft) {
  JudgedWorld trial(world_of_refusals(3));
  EXPECT_EQ(trial.run(), 3);
  EXPECT_THAT(trial.judge.looks, ElementsAre(ElementsAre(0, 1), ElementsAre(2), ElementsAre(3)));
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0, -1)));
  EXPECT_EQ(trial.judge.times_out_of_judgements, 1);
  EXPECT_THAT(kinds(trial.judge.plan), ElementsAre(Kind::kChosenLargestSaving, Kind::kRefused, Kind::kRefused,
                                                   Kind::kRefused, Kind::kNotJudged));
}

TEST(JudgedSearch, TakesAsManyLooksAsItMay) {
  for (const int most : {1, 2}) {
    JudgedWorld trial(world_of_refusals(3));
    trial.judging.most_judgements = most;
    EXPECT_EQ(trial.run(), most);
    EXPECT_THAT(trial.judge.looks, SizeIs(most));
    EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0, -1)));
  }
}

TEST(JudgedSearch, NeedsNoLookForAPlanOfAcceptedShares) {
  // Once option 1 is refused, nothing is left for model 2.
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.9, kTarget + 1), share_of(2, 0, 50, 0.9, kTarget)});
  world.options[1].test_shift = -1 / kSteps;
  JudgedWorld trial(world);
  trial.judging.most_judgements = 1;
  EXPECT_EQ(trial.run(), 1);
  EXPECT_EQ(trial.judge.times_out_of_judgements, 0);
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0, -1)));
}

TEST(JudgedSearch, CompletesFitsBeforeItShowsThem) {
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.9, kTarget + 1)});
  world.max_gain = 1 / kSteps;
  world.options[0].trial_loss = 1 / kSteps;
  JudgedWorld trial(world);
  EXPECT_EQ(trial.run(), 1);
  EXPECT_THAT(trial.evaluator.asked, ElementsAre(FakeEvaluator::Question{{0}}, FakeEvaluator::Question{{0}, true}));
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0)));
}

TEST(JudgedSearch, WritesAgainWithoutAShareThatTheFileRefuses) {
  JudgedWorld trial(world_of_refusals(0));
  trial.judge.in_file_less[1] = 2 / kSteps;
  EXPECT_EQ(trial.run(), 1);
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0, 1), ElementsAre(-1, 0, -1)));
  EXPECT_EQ(trial.judge.times_out_of_judgements, 0);
}

TEST(JudgedSearch, WritesThePlainModelsWhereTheFileRefusesAll) {
  JudgedWorld trial(world_of_refusals(0));
  trial.judge.in_file_less = {{0, 2 / kSteps}, {1, 2 / kSteps}};
  EXPECT_EQ(trial.run(), 1);
  EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, 0, 1), ElementsAre(-1, -1, -1)));
}

TEST(JudgedSearch, RefusesOnTooFewDetectionsWhatItWouldTakeOfAModelThatTheUserAccepts) {
  for (const bool accepted : {false, true}) {
    JudgedWorld trial(world_of(2, {share_of(1, 0, 30, 0.9, kTarget)}));
    trial.judge.detections = 29;
    trial.judging.accepted[1] = accepted;
    EXPECT_EQ(trial.run(), 1);
    EXPECT_THAT(trial.judge.written, ElementsAre(ElementsAre(-1, accepted ? 0 : -1)));
  }
}

TEST(JudgedSearch, InRandomWorldsLooksAreFewAndAllThatIsWrittenHolds) {
  std::mt19937 random(31);
  std::size_t shares = 0, settled = 0, rewritten = 0;
  for (int round = 0; round < 400 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const FakeWorld world = test::random_world(
        random, {.penalties = true, .noise = true, .test_frames = true, .test_noise = true, .evidence = true});
    SearchOptions options;
    if (round % 3 == 0) options.bytes_to_save = 1 + round % 40;
    JudgedWorld trial(world, options);
    trial.judging.most_judgements = 1 + round % 3;
    for (std::size_t i = 0; i < world.options.size(); ++i) {
      if (random() % 2 == 0) trial.judge.in_file_less[i] = 2 / kSteps;
    }
    const std::int64_t judgements = trial.run();
    EXPECT_EQ(judgements, static_cast<std::int64_t>(trial.judge.looks.size()));
    EXPECT_LE(judgements, trial.judging.most_judgements);
    ASSERT_FALSE(trial.judge.written.empty());
    EXPECT_EQ(trial.judge.written.back(), taken_of(world, trial.judge.plan));
    for (const SelectedShare& share : trial.judge.plan.shares) {
      const ModelIndex receiver = trial.judge.plan.records[share.record].candidate.cut.receiver;
      EXPECT_TRUE(trial.judging.holds(receiver, trial.judge.in_file(receiver))) << "model " << receiver;
      EXPECT_EQ(share.max_gain, 0);
    }
    shares += trial.judge.plan.shares.size();
    settled += trial.judge.times_out_of_judgements > 0 ? 1 : 0;
    rewritten += trial.judge.written.size() > 1 ? 1 : 0;
  }
  // The rounds are not all of one kind.
  EXPECT_GT(shares, 100);
  EXPECT_GT(settled, 5);
  EXPECT_GT(rewritten, 5);
}

}  // namespace
}  // namespace repsim::planner
