// What the search does where frames cannot judge a model, and what it tells while it runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

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
using test::world_of;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Reason::Kind;
using Question = FakeEvaluator::Question;

TEST(SearchEvidence, IsEnoughWhereItIsCountedAcceptedOrNotToBeCounted) {
  EXPECT_FALSE((ModelEvidence{.detections = 9, .wanted = 10}.is_enough()));
  EXPECT_TRUE((ModelEvidence{.detections = 10, .wanted = 10}.is_enough()));
  EXPECT_TRUE((ModelEvidence{.wanted = 10, .accepted = true}.is_enough()));
  EXPECT_TRUE((ModelEvidence{.wanted = 10, .is_raw = true}.is_enough()));
}

TEST(SearchEvidence, AReceiverWithoutEnoughIsNeitherPreparedNorMeasuredAndMayStillGive) {
  FakeWorld world = world_of(
      3, {share_of(1, 0, 90, 0.99, kTarget + 4), share_of(0, 1, 20, 0.9, kTarget), share_of(2, 1, 10, 0.9, kTarget)});
  world.evidence = {{.detections = 10, .wanted = 10}, {.detections = 8, .wanted = 10}, {.wanted = 10, .is_raw = true}};
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  EXPECT_THAT(search.choose_by_prediction().options, IsEmpty());  // the only one whose R2 reaches its target
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{1}}, Question{{2}}));
  EXPECT_THAT(evaluator.prepared_together, ElementsAre(ElementsAre(1), ElementsAre(2)));
  EXPECT_THAT(kinds(found),
              ElementsAre(Kind::kTooLittleEvidence, Kind::kChosenLargestSaving, Kind::kChosenLargestSaving));
  EXPECT_EQ(found.records[0].reason.detections, 8);
  EXPECT_EQ(found.records[0].reason.wanted, 10);
}

TEST(SearchEvidence, AReceiverWithoutEnoughTakesNothingWithinABudgetEither) {
  FakeWorld world = world_of(2, {share_of(1, 0, 90, 0.99, kTarget + 4), share_of(0, 1, 20, 0.9, kTarget)});
  world.evidence = {{.detections = 10, .wanted = 10}, {.detections = 8, .wanted = 10}};
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.bytes_to_save = 20;
  Search search(world.input(), options, evaluator, observer);
  EXPECT_THAT(kinds(search.run()), ElementsAre(Kind::kTooLittleEvidence, Kind::kChosenBestFidelity));
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{1}}));
}

/// What a search gets if the user accepts that nothing can be measured of any model.
SearchInput accepting(const FakeWorld& world) {
  SearchInput input = world.input();
  input.evidence.assign(input.targets.size(), {.accepted = true});
  return input;
}

/// Options 0 and 1 of model 1 cannot be compared. The R2 of option 1 alone reaches the target of 0.9375.
FakeWorld world_without_comparison() {
  FakeWorld world = world_of(2, {share_of(1, 0, 30, 0.93, kTarget + 4), share_of(1, 0, 20, 0.9375, kTarget - 20)});
  world.options[0].is_measured = world.options[1].is_measured = false;
  return world;
}

TEST(SearchEvidence, NothingIsSharedWithoutAComparisonUnlessTheUserAcceptsIt) {
  const FakeWorld world = world_without_comparison();
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  EXPECT_THAT(kinds(search.run()), ElementsAre(Kind::kNotMeasured, Kind::kNotMeasured));
}

TEST(SearchEvidence, WithoutAComparisonR2Decides) {
  const FakeWorld world = world_without_comparison();
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(accepting(world), {}, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kNotMeasured, Kind::kChosenLargestSaving));
  EXPECT_EQ(found.records[0].reason.r2, 0.93);
  EXPECT_EQ(found.records[0].reason.target, kTarget / kSteps);
  EXPECT_FALSE(found.records[0].measured_fidelity);
  EXPECT_FALSE(found.records[1].measured_fidelity);
}

TEST(SearchEvidence, WithoutAComparisonR2IsTheWorstFidelityWithinABudget) {
  // Either share fits alone. That of model 1 promises more and is tried first; that of model 2 keeps more than its R2.
  FakeWorld world = world_of(3, {share_of(1, 0, 30, 0.95, 0), share_of(2, 0, 30, 0.92, kTarget + 2)});
  world.options[0].is_measured = false;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  SearchOptions options;
  options.bytes_to_save = 30;
  options.max_shares = 1;
  Search search(world.input(), options, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}, Question{{1}}));
  EXPECT_THAT(kinds(found), ElementsAre(Kind::kNotMeasured, Kind::kChosenBestFidelity));
}

TEST(SearchEvidence, NothingIsPredictedFromTrialsWithoutAComparison) {
  FakeWorld world = world_of(2, {});
  for (int i = 0; i < 9; ++i) {
    world.options.push_back(share_of(1, 0, 10 + i, 0.5 + 0.02 * i, 0));
    world.options.back().is_measured = false;
  }
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(world.input(), {}, evaluator, observer);
  for (const CandidateRecord& one : search.run().records) EXPECT_FALSE(one.candidate.predicted_interval);
}

TEST(SearchEvidence, EveryTrialHasARecordThoughNothingWasCompared) {
  // Option 0 reads model 1, for which two shares hold.
  FakeWorld world = world_of(
      3, {share_of(2, 1, 40, 0.99, kTarget), share_of(1, 0, 20, 0.9, kTarget), share_of(1, 0, 25, 0.1, kTarget)});
  world.options[0].is_measured = false;
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(accepting(world), {}, evaluator, observer);
  const SearchResult found = search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{1}}, Question{{1, 0}}, Question{{2}}, Question{{2, 0}}));
  EXPECT_THAT(kinds(found),
              ElementsAre(Kind::kNotMeasured, Kind::kHolds, Kind::kChosenLargestSaving, Kind::kChosenLargestSaving));
}

TEST(SearchEvidence, ARefusalWithoutAComparisonTellsNoLoss) {
  FakeWorld world = world_without_comparison();
  world.options.push_back(share_of(1, 0, 10, 0.5, kTarget));
  FakeEvaluator evaluator(world);
  SearchObserver observer;
  Search search(accepting(world), {}, evaluator, observer);
  (void)search.run();
  search.refuse(1, {0.5});
  EXPECT_THAT(kinds(search.run()), ElementsAre(Kind::kNotMeasured, Kind::kRefused, Kind::kChosenLargestSaving));
}

TEST(SearchEvidence, ProgressTellsTrialsDoneLeftAndTheBestSaving) {
  // Of the four candidates of model 1, three may be tried; the one of model 2 is the only one of its pair.
  FakeWorld world = world_of(
      3, {share_of(1, 0, 40, 0.9, kTarget - 1), share_of(1, 0, 30, 0.8, kTarget - 1), share_of(1, 0, 20, 0.7, kTarget),
          share_of(1, 0, 10, 0.6, kTarget), share_of(2, 0, 50, 0.9, kTarget)});
  FakeEvaluator evaluator(world);
  struct Observer : SearchObserver {
    std::vector<std::vector<double>> heard;
    void progress(const SearchProgress& progress) override {
      heard.push_back(
          {static_cast<double>(progress.trials), static_cast<double>(progress.left_at_most), progress.best_saving});
    }
  } observer;
  SearchOptions options;
  options.max_trials = 3;
  Search search(world.input(), options, evaluator, observer);
  (void)search.run();
  EXPECT_THAT(evaluator.asked, ElementsAre(Question{{0}}, Question{{4}}, Question{{1}}, Question{{2}}));
  EXPECT_THAT(observer.heard,
              ElementsAre(ElementsAre(1, 3, 0), ElementsAre(2, 2, 0), ElementsAre(3, 1, 50), ElementsAre(4, 0, 50)));
}

}  // namespace
}  // namespace repsim::planner
