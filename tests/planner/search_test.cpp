// The search against brute force on made-up models, and how many measurements it spends. No model is run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "fake_evaluator.hpp"
#include "made_up_world.hpp"
#include "random_world.hpp"

namespace repsim::planner {
namespace {

using test::BruteForce;
using test::Difficulties;
using test::FakeEvaluator;
using test::FakeOption;
using test::FakeWorld;
using test::kinds;
using test::kSteps;
using test::kTarget;
using test::share_of;
using test::world_of;
using testing::ElementsAre;
using testing::IsEmpty;

std::int64_t count(const FakeEvaluator& evaluator, bool complete) {
  return std::count_if(evaluator.asked.begin(), evaluator.asked.end(),
                       [&](const FakeEvaluator::Question& one) { return one.complete == complete; });
}

/// The result is a selection that holds and saves as much as the best of all that hold. Every chain is measured once
/// (the fake evaluator checks that), and completed once; deferred trials come on top.
/// @return trials
std::int64_t expect_optimal(const FakeWorld& world, std::optional<std::int64_t> max_shares) {
  const auto chains = static_cast<std::int64_t>(test::possible_chains(world));
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.max_trials = chains;  // more than any group can use
  options.max_shares = max_shares;
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = test::settle(search, evaluator, world);
  const BruteForce oracle(world, max_shares);
  const std::vector<int> taken = test::taken_of(world, found);
  EXPECT_TRUE(test::allowed(oracle.choice, taken));
  for (const int option : taken) EXPECT_TRUE(option < 0 || oracle.holds(taken, static_cast<std::size_t>(option)));
  EXPECT_EQ(oracle.saving(taken), oracle.largest_saving());
  for (std::size_t i = world.options.size(); i < found.records.size(); ++i)
    EXPECT_TRUE(found.records[i].measured_fidelity) << "record " << i << " is of no trial";
  const auto trials = count(evaluator, false);
  EXPECT_LE(trials, chains + static_cast<std::int64_t>(evaluator.deferrals));
  EXPECT_LE(count(evaluator, true), chains);
  return trials;
}

std::int64_t expect_optimal_on_random_worlds(unsigned seed, int rounds, const Difficulties& with) {
  std::mt19937 random(seed);
  std::int64_t trials = 0;
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    const FakeWorld world = test::random_world(random, with);
    const std::optional<std::int64_t> max_shares =
        round % 3 == 0 ? std::optional<std::int64_t>(round % 4) : std::nullopt;
    SCOPED_TRACE("round " + std::to_string(round));
    trials += expect_optimal(world, max_shares);
  }
  return trials;
}

// Trials of all worlds of a family are bounded too. Their possible chains are 2.5 to 3.1 times as many, so a search
// that tries them all fails. The bounds are 3 % above today's counts: the chances come from std::erfc(), whose last
// digit differs between C libraries and may decide between equal options.
TEST(PlainSearch, FindsTheLargestSavingOfAllThatHold) { EXPECT_LE(expect_optimal_on_random_worlds(1, 150, {}), 400); }

TEST(PlainSearch, FindsItWhereDonorsThatTakeCostFidelity) {
  EXPECT_LE(expect_optimal_on_random_worlds(2, 150, {.penalties = true}), 414);
}

TEST(PlainSearch, FindsItWhereTrialsMeasureLessThanCompleteFits) {
  EXPECT_LE(expect_optimal_on_random_worlds(3, 150, {.penalties = true, .noise = true}), 437);
}

TEST(PlainSearch, FindsItWhereCorrectionsBuyFidelity) {
  EXPECT_LE(expect_optimal_on_random_worlds(10, 150, {.corrections = true}), 378);
}

// A share may need corrections on donors that take layers, and none on donors that take nothing.
TEST(PlainSearch, FindsItWhereDonorsThatTakeCostFidelityAndCorrectionsBuyIt) {
  EXPECT_LE(expect_optimal_on_random_worlds(102, 150, {.penalties = true, .corrections = true}), 396);
}

TEST(PlainSearch, FindsItWhereTheTestFramesRefuse) {
  EXPECT_LE(expect_optimal_on_random_worlds(5, 150, {.penalties = true, .noise = true, .test_frames = true}), 471);
}

TEST(PlainSearch, FindsItWhereTheTestFramesRefuseAndCorrectionsBuyFidelity) {
  EXPECT_LE(expect_optimal_on_random_worlds(6, 150, {.corrections = true, .test_frames = true}), 449);
}

using Kind = Reason::Kind;
using Question = FakeEvaluator::Question;

TEST(PlainSearch, CorrectionsCountOnceWhereACandidateIsTriedOnOtherDonors) {
  // Option 0 reads model 1, for which two shares hold. It needs corrections on both.
  FakeWorld world = world_of(
      3, {share_of(2, 1, 40, 0.9, kTarget - 1), share_of(1, 0, 20, 0.9, kTarget), share_of(1, 0, 25, 0.1, kTarget)});
  world.options[0].correction_gain = 1 / kSteps;
  world.options[0].correction_bytes = 10;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{1}}, Question{{1, 0}}, Question{{2}}, Question{{2, 0}}));
  EXPECT_THAT(kinds(found),
              ElementsAre(Kind::kHolds, Kind::kHolds, Kind::kChosenLargestSaving, Kind::kChosenLargestSaving));
  EXPECT_EQ(found.records[0].candidate.savings.bytes, 30);
  EXPECT_EQ(found.records[3].candidate.savings.bytes, 30);
}

TEST(PlainSearch, CorrectionsOnOtherDonorsDeferNoCandidate) {
  // On the share of model 1, option 0 misses its target with corrections too. Alone it saves 55, more than option 1.
  FakeWorld world = world_of(3, {share_of(2, 1, 60, 0.9, kTarget - 1), share_of(1, 0, 50, 0.9, kTarget)});
  world.options[0].correction_gain = 2 / kSteps;
  world.options[0].correction_bytes = 5;
  world.penalties[{1, 0}] = 5 / kSteps;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{1}}, Question{{1, 0}}, Question{{0}}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kBelow, Kind::kHolds, Kind::kChosenLargestSaving));
  EXPECT_EQ(found.records[2].candidate.savings.bytes, 55);
}

/// Option 0 of model 1 is near its target, and a complete fit finds it below. Model 2 first tries option 1 of model 0,
/// which misses; then option 2, which reads model 1.
FakeWorld world_of_a_refuted_donor() {
  FakeWorld world = world_of(3, {share_of(1, 0, 50, 0.9, kTarget - 1), share_of(2, 0, 40, 0.9, kTarget - 20),
                                 share_of(2, 1, 30, 0.1, kTarget)});
  world.max_gain = 4 / kSteps;
  return world;
}

TEST(PlainSearch, AShareThatItsCompleteFitRefutesLeavesTheBestCombination) {
  const FakeWorld world = world_of_a_refuted_donor();
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}, Question{{1}}, Question{{0}, true}, Question{{2}}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kBelow, Kind::kBelow, Kind::kChosenLargestSaving));
}

TEST(PlainSearch, AShareThatItsCompleteFitRefutesLeavesTheBestCombinationWithinABudget) {
  // The trial of option 0 finds two steps too much. Option 2, which reads model 1, promises more than option 1.
  FakeWorld world = world_of(3, {share_of(1, 0, 50, 0.9, kTarget - 1), share_of(2, 0, 40, 0.9, kTarget),
                                 share_of(2, 1, 30, 0.97, kTarget + 3), share_of(1, 0, 45, 0.3, kTarget + 2)});
  world.options[0].trial_loss = -2 / kSteps;
  world.max_gain = 4 / kSteps;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.bytes_to_save = 70;
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}, Question{{1}}, Question{{0}, true}, Question{{3}},
                                           Question{{3}, true}, Question{{3, 2}}));
  EXPECT_THAT(kinds(found),
              ElementsAre(Kind::kBelow, Kind::kHolds, Kind::kChosenBestFidelity, Kind::kChosenBestFidelity));
}

TEST(PlainSearch, WithoutCandidatesMeasuresNothing) {
  const FakeWorld world = world_of(2, {});
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, IsEmpty());
  EXPECT_THAT(found.shares, IsEmpty());
  EXPECT_THAT(found.records, IsEmpty());
}

TEST(PlainSearch, EndsWithTheOnlyCandidateThatHolds) {
  const FakeWorld world = world_of(2, {share_of(1, 0, 10, 0.5, kTarget)});
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kChosenLargestSaving));
}

TEST(PlainSearch, MeasuresAChainDonorsFirstAndCompletesTheDonorBefore) {
  FakeWorld world = world_of(3, {share_of(2, 1, 10, 0.5, kTarget), share_of(1, 0, 10, 0.5, kTarget)});
  world.max_gain = 1 / kSteps;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  const SearchResult found = test::settle(search, evaluator, world);
  EXPECT_THAT(evaluator.asked,
              ElementsAre(Question{{1}}, Question{{1}, true}, Question{{1, 0}}, Question{{1, 0}, true}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kChosenLargestSaving, Kind::kChosenLargestSaving));
}

TEST(PlainSearch, MeasuresNothingWhereTheModelsFitIntoTheBudget) {
  const FakeWorld world = world_of(2, {share_of(1, 0, 10, 0.5, kTarget)});
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.bytes_to_save = 0;
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, IsEmpty());
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kModelsFit));
}

TEST(PlainSearch, WithinABudgetTakesTheBestFidelityNotTheLargestSaving) {
  const FakeWorld world = world_of(
      2, {share_of(1, 0, 30, 0.5, kTarget), share_of(1, 0, 20, 0.9, kTarget + 2), share_of(1, 0, 10, 1, kTarget + 4)});
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.bytes_to_save = 20;
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{1}}));
  EXPECT_THAT(kinds(found),
              ElementsAre(Kind::kReceiverTakesAnother, Kind::kChosenBestFidelity, Kind::kReceiverTakesAnother));
}

TEST(PlainSearch, WithinABudgetCountsTheCorrectionsThatAShareNeedsOnItsDonorsShare) {
  // Option 0 reads model 1 and saves 40 on option 2. On option 1 it keeps more, with corrections: it saves 30, and
  // both together too little.
  FakeWorld world = world_of(4, {share_of(2, 1, 40, 0.95, kTarget + 2), share_of(1, 3, 20, 0.9, kTarget + 4),
                                 share_of(1, 0, 21, 0.9, kTarget)});
  world.options[0].correction_gain = 4 / kSteps;
  world.options[0].correction_bytes = 10;
  world.penalties[{1, 0}] = 3 / kSteps;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.bytes_to_save = 55;
  Search search(world.input(), options, evaluator, observer);
  EXPECT_THAT(test::taken_of(world, search.run()), ElementsAre(-1, 2, 0, -1));
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{2}}, Question{{2, 0}}, Question{{1}}, Question{{1, 0}}));
}

TEST(PlainSearch, EndsWhereAPairHasNoTrialLeft) {
  const FakeWorld world = world_of(2, {share_of(1, 0, 20, 0.9, kTarget - 1), share_of(1, 0, 10, 0.5, kTarget)});
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.max_trials = 1;
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kBelow, Kind::kOutOfTrials));
  EXPECT_EQ(found.records[1].reason.max_trials, 1);
}

// The trials of candidates that share weights are counted per receiver, over all its donors, and apart from the others.
TEST(PlainSearch, CountsTheTrialsOfSharedWeightsApart) {
  FakeWorld world = world_of(3, {share_of(1, 0, 40, 0.9, kTarget - 1), share_of(1, 0, 30, 0.8, kTarget - 1),
                                 share_of(1, 2, 25, 0.7, kTarget - 1), share_of(1, 0, 20, 0.6, kTarget - 1),
                                 share_of(1, 0, 10, 0.5, kTarget)});
  for (const std::size_t weights : {1, 2}) world.options[weights].weights = true;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.max_trials = 1;
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, testing::UnorderedElementsAre(Question{{0}}, Question{{1}}));
  EXPECT_THAT(kinds(found),
              ElementsAre(Kind::kBelow, Kind::kBelow, Kind::kOutOfTrials, Kind::kOutOfTrials, Kind::kOutOfTrials));
}

/// The trials of the first two candidates hold, but the test frames refuse them: the second one loses more.
FakeWorld world_refused_twice() {
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.9, kTarget), share_of(1, 0, 20, 0.8, kTarget + 1),
                                 share_of(1, 0, 10, 0.7, kTarget + 2)});
  world.options[0].test_shift = -1 / kSteps;
  world.options[1].test_shift = -2 / kSteps;
  return world;
}

TEST(PlainSearch, TriesTheNextCandidateWhereTheTestFramesRefuseTwo) {
  const FakeWorld world = world_refused_twice();
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.max_trials = 2;  // two more for those that the test frames refuse
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = test::settle(search, evaluator, world);
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}, Question{{1}}, Question{{2}}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kRefused, Kind::kRefused, Kind::kChosenLargestSaving));
}

TEST(PlainSearch, GetsNoMoreTrialsBackThanMaxTrials) {
  const FakeWorld world = world_refused_twice();
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.max_trials = 1;
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = test::settle(search, evaluator, world);
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}, Question{{1}}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kRefused, Kind::kRefused, Kind::kOutOfTrials));
}

TEST(PlainSearch, MeasuresNoNewCandidateFromTheDeadlineOn) {
  const FakeWorld world = world_of(2, {share_of(1, 0, 20, 0.9, kTarget - 1), share_of(1, 0, 10, 0.5, kTarget)});
  FakeEvaluator evaluator(world);
  SearchOptions::Clock::time_point now;
  evaluator.before_measuring = [&] { now += std::chrono::minutes(1); };
  struct Observer : SearchObserver {
    int times_out_of_time = 0;
    void out_of_time() override { ++times_out_of_time; }
  } observer;
  SearchOptions options;
  options.now = [&] { return now; };
  options.deadline = now + std::chrono::minutes(1);
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kBelow, Kind::kOutOfTime));
  EXPECT_EQ(observer.times_out_of_time, 1);
}

/// Option 0 holds and saves 100; option 1 saves 110, or 90 with the corrections that it needs.
FakeWorld world_of_a_deferral() {
  FakeWorld world = world_of(2, {share_of(1, 0, 100, 0.9, kTarget), share_of(1, 0, 110, 0.5, kTarget - 1)});
  world.options[1].correction_gain = 2 / kSteps;
  world.options[1].correction_bytes = 20;
  return world;
}

TEST(PlainSearch, DefersACandidateWhoseCorrectionsLeaveTooLittle) {
  const FakeWorld world = world_of_a_deferral();
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  const SearchResult found = test::settle(search, evaluator, world);
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}, Question{{1}}));
  EXPECT_EQ(evaluator.deferrals, 1);
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kChosenLargestSaving, Kind::kDeferred));
}

TEST(PlainSearch, TriesADeferredCandidateAgainOnceTheTestFramesRefuseTheBetterOne) {
  FakeWorld world = world_of_a_deferral();
  world.options[0].test_shift = -1 / kSteps;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  const SearchResult found = test::settle(search, evaluator, world);
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}, Question{{1}}, Question{{1}}));
  EXPECT_EQ(evaluator.deferrals, 1);
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kRefused, Kind::kChosenLargestSaving));
  EXPECT_EQ(found.records[1].candidate.savings.bytes, 90);
}

}  // namespace
}  // namespace repsim::planner
