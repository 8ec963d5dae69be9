// What a measurement may still reach after its first frames: no outcome on the other frames is better.
#include <gtest/gtest.h>

#include <algorithm>

#include "plain/random_detections.hpp"
#include "repsim/base/error.hpp"

namespace repsim::verify {
namespace {

constexpr double kThreshold = 0.36;

TEST(BestPossiblePrecision, IsNoLessThanThatOfAnyOutcome) {
  int above = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Case made = random_case(seed);
    const std::vector<Detections> found = suppressed(made.found);
    const std::vector<Target> targets = targets_from_own(suppressed(made.own), kThreshold);
    const double outcome = average_precision(found, targets);
    double before = 1;
    for (std::size_t seen = 0; seen <= found.size(); ++seen) {
      const double best = best_possible_precision(std::span(found).first(seen), targets);
      EXPECT_GE(best, outcome);
      EXPECT_LE(best, before + 1e-12);  // what is seen rules out, it never makes more possible
      before = best;
    }
    EXPECT_EQ(before, outcome);  // all frames were seen
    above += best_possible_precision(std::span(found).first(found.size() / 2), targets) > outcome ? 1 : 0;
  }
  EXPECT_GT(above, 100);
}

TEST(BestPossiblePrecision, IsThatOfAModelThatFindsAllTheRestFirst) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const Case made = random_case(seed);
    std::vector<Detections> found = suppressed(made.found);
    const std::vector<Target> targets = targets_from_own(suppressed(made.own), kThreshold);
    const std::size_t seen = found.size() / 2;
    const double best = best_possible_precision(std::span(found).first(seen), targets);
    for (std::size_t frame = seen; frame < found.size(); ++frame) {
      found[frame] = targets[frame].sure;
      for (Detection& one : found[frame]) one.score += 10;
    }
    EXPECT_EQ(best, average_precision(found, targets)) << "seed " << seed;
  }
}

TEST(BestPossiblePrecision, TakesNoMoreFramesThanThereAre) {
  EXPECT_THROW((void)best_possible_precision(std::vector<Detections>(3), std::vector<Target>(2)), Error);
}

}  // namespace
}  // namespace repsim::verify
