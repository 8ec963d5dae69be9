// When the frames support a share: the rule of docs/internals/planner.md#the-rule, number by number.
#include <gtest/gtest.h>

#include <cmath>

#include "repsim/judgement.hpp"

namespace repsim::planner {
namespace {

constexpr double kAsked = 0.9;

/// A share that just holds by default: its fidelity is the target, the lower end of its interval 0.02 less, and its
/// original finds as much as is wanted.
Judged just_enough() { return {.fidelity = 0.9, .low = 0.88, .detections = 30}; }

TEST(JudgingRule, HoldsAtTheVeryEdgeOfEachCondition) { EXPECT_TRUE(JudgingRule{}.holds(just_enough(), kAsked, false)); }

TEST(JudgingRule, NeedsTheFidelityToReachTheTarget) {
  Judged judged = just_enough();
  judged.fidelity = std::nextafter(0.9, 0);
  EXPECT_FALSE(JudgingRule{}.holds(judged, kAsked, false));
}

TEST(JudgingRule, NeedsTheLowerEndWithinTheToleranceOfTheTarget) {
  Judged judged = just_enough();
  judged.fidelity = 1;
  judged.low = 0.8799;
  EXPECT_FALSE(JudgingRule{}.holds(judged, kAsked, false));
  EXPECT_TRUE((JudgingRule{.tolerance = 0.021}.holds(judged, kAsked, false)));
  judged.low = 0.9;
  EXPECT_TRUE((JudgingRule{.tolerance = 0}.holds(judged, kAsked, false)));
}

TEST(JudgingRule, AllowsLessBelowTheTargetWhereSelectionFramesCountToo) {
  Judged judged = just_enough();
  judged.fidelity = 1;
  judged.is_pooled = true;
  EXPECT_FALSE(JudgingRule{}.holds(judged, kAsked, false));
  judged.low = 0.89;
  EXPECT_TRUE(JudgingRule{}.holds(judged, kAsked, false));
  EXPECT_DOUBLE_EQ(JudgingRule{}.supported(judged, false), 0.9);
}

TEST(JudgingRule, JudgesTheTestFramesAloneWithAnIntervalOfTheUsersChoice) {
  EXPECT_TRUE(JudgingRule{}.pools());
  EXPECT_FALSE((JudgingRule{.confidence = 0.9}.pools()));
}

TEST(JudgingRule, NeedsEnoughOwnDetections) {
  Judged judged = just_enough();
  judged.detections = 29;
  EXPECT_FALSE(JudgingRule{}.holds(judged, kAsked, false));
  EXPECT_TRUE((JudgingRule{.min_evidence = 29}.holds(judged, kAsked, false)));
  judged.detections = 0;
  EXPECT_FALSE((JudgingRule{.min_evidence = 1}.holds(judged, kAsked, false)));
}

TEST(JudgingRule, NeedsNoDetectionsOfRawOutputs) {
  Judged judged = just_enough();
  judged.detections = 0;
  judged.is_raw = true;
  EXPECT_TRUE(JudgingRule{}.holds(judged, kAsked, false));
  judged.low = 0.87;
  EXPECT_FALSE(JudgingRule{}.holds(judged, kAsked, false));
}

TEST(JudgingRule, ComparesTheFidelityAloneOfAModelThatTheUserAccepts) {
  const Judged judged{.fidelity = 0.9, .low = 0.1, .detections = 1};
  EXPECT_FALSE(JudgingRule{}.holds(judged, kAsked, false));
  EXPECT_TRUE(JudgingRule{}.holds(judged, kAsked, true));
  EXPECT_TRUE((JudgingRule{.confidence = 0.9}.holds(judged, kAsked, true)));
  EXPECT_FALSE(JudgingRule{}.holds({.fidelity = 0.8999, .low = 0.8999, .detections = 100}, kAsked, true));
}

TEST(JudgingRule, KnowsNothingOfAnUndefinedFidelity) {
  const Judged judged{.fidelity = {}, .low = 0, .detections = 0};
  EXPECT_FALSE(JudgingRule{}.holds(judged, kAsked, false));
  EXPECT_FALSE(JudgingRule{}.holds(judged, 0, false));  // no target is low enough
  EXPECT_TRUE(JudgingRule{}.holds(judged, kAsked, true));
  EXPECT_EQ(JudgingRule{}.supported(judged, false), 0);
  EXPECT_EQ(JudgingRule{}.supported(judged, true), 0);
}

TEST(JudgingRule, TakesEqualBitsAsProofWhateverWasFound) {
  EXPECT_TRUE(JudgingRule{}.holds({.fidelity = {}, .is_bit_identical = true}, 1, false));
  EXPECT_TRUE(JudgingRule{}.holds({.fidelity = 1, .low = 0.2, .detections = 1, .is_bit_identical = true}, 1, false));
  EXPECT_TRUE((JudgingRule{.confidence = 0.9}.holds({.fidelity = {}, .is_bit_identical = true}, 1, false)));
}

TEST(JudgingRule, WithAConfidenceComparesTheLowerEndWithTheTargetItself) {
  const JudgingRule rule{.confidence = 0.9};
  EXPECT_TRUE(rule.holds({.fidelity = 0.95, .low = 0.9, .detections = 30}, kAsked, false));
  EXPECT_FALSE(rule.holds({.fidelity = 0.95, .low = 0.8999, .detections = 30}, kAsked, false));
  EXPECT_FALSE(rule.holds({.fidelity = 0.95, .low = 0.9, .detections = 29}, kAsked, false));
}

TEST(JudgingRule, AsksForTheIntervalThatItCompares) {
  EXPECT_EQ(JudgingRule{}.interval(), 0.8);
  EXPECT_EQ(JudgingRule{.confidence = 0.95}.interval(), 0.95);
}

/// Wilson's score interval (1927), the lower end for a share of 1 among n.
double lower_end_of_all(double n, double z) { return n / (n + z * z); }

TEST(JudgingRule, WantsAsManyDetectionsAsAShareWithoutErrorsNeeds) {
  constexpr double kZ = 1.2815515655446004;  // central 80 %
  const JudgingRule rule{.min_evidence = 1};
  for (const std::int64_t block : {1, 3, 5}) {
    for (const double target : {0.5, 0.8, 0.9, 0.95, 0.99}) {
      std::int64_t least = 1;
      while (lower_end_of_all(static_cast<double>(least) / static_cast<double>(block), kZ) < target - 0.02) ++least;
      EXPECT_EQ(rule.wanted(target, block), least) << target << " in blocks of " << block;
    }
  }
  EXPECT_EQ(JudgingRule{}.wanted(0.9, 3), 37);
  EXPECT_EQ(JudgingRule{}.wanted(0.95, 3), 66);
  EXPECT_EQ(JudgingRule{}.wanted(0.8, 3), 30) << "min_evidence";
  EXPECT_EQ(JudgingRule{}.wanted(0.01, 3), 30);
}

TEST(JudgingRule, WantsMoreForAConfidenceAndNoNumberForCertainty) {
  EXPECT_GT((JudgingRule{.confidence = 0.9}.wanted(0.9, 3)), 37);
  EXPECT_EQ((JudgingRule{.confidence = 0.9}.wanted(1, 3)), JudgingRule::kNoNumber);
  EXPECT_LT(JudgingRule{}.wanted(1, 3), 1000);
}

TEST(JudgingRule, SupportsTheFidelityOrLess) {
  EXPECT_EQ(JudgingRule{}.supported({.fidelity = 0.93, .low = 0.92}, false), 0.93);
  EXPECT_NEAR(JudgingRule{}.supported({.fidelity = 0.93, .low = 0.85}, false), 0.87, 1e-12);
  EXPECT_EQ(JudgingRule{}.supported({.fidelity = 0.93, .low = 0.85}, true), 0.93);
  EXPECT_EQ(JudgingRule{.confidence = 0.5}.supported({.fidelity = 0.93, .low = 0.92}, false), 0.92);
}

}  // namespace
}  // namespace repsim::planner
