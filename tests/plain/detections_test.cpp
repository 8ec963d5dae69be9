#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "plain/random_detections.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::verify {
namespace {

MATCHER_P(Is, expected, "") { return same(arg, expected); }

/// Repeated choice of the best that is left, sharing nothing with what it judges.
Detections naive_suppress(const Detections& raw) {
  std::set<std::int64_t> labels;
  for (const Detection& d : raw) labels.insert(d.label);
  Detections kept;
  for (const std::int64_t label : labels) {
    std::vector<bool> gone(raw.size(), false);
    Detections kept_here;
    for (int round = 0; round < 300; ++round) {
      int best = -1;
      for (int i = 0; i < static_cast<int>(raw.size()); ++i) {
        const Detection& d = raw[static_cast<std::size_t>(i)];
        if (d.label != label || gone[static_cast<std::size_t>(i)] || d.score < 0.01) continue;
        if (best < 0 || d.score > raw[static_cast<std::size_t>(best)].score) best = i;
      }
      if (best < 0) break;
      gone[static_cast<std::size_t>(best)] = true;
      const Detection& chosen = raw[static_cast<std::size_t>(best)];
      bool free = true;
      for (const Detection& other : kept_here) free = free && naive_iou(other, chosen) <= 0.45;
      if (free) kept_here.push_back(chosen);
    }
    kept.insert(kept.end(), kept_here.begin(), kept_here.end());
  }
  return kept;
}

TEST(Suppress, EqualsRepeatedSelectionOnRandomDetections) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    for (const Detections& frame : random_case(seed).found) {
      const Detections kept = suppress(frame), expected = naive_suppress(frame);
      ASSERT_EQ(kept.size(), expected.size());
      for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_TRUE(same(kept[i], expected[i])) << i;
    }
  }
}

TEST(Suppress, DropsABoxOnlyAboveTheOverlapAndWithinItsClass) {
  const Detection best = box(0, 0, 1, 1, 0.9), inside = box(0, 0, 1, 0.5, 0.8), less = box(0, 0, 1, 0.4, 0.7);
  const Detection other_class = box(0, 0, 1, 1, 0.6, 1);
  EXPECT_THAT(suppress({other_class, less, inside, best}), testing::ElementsAre(Is(best), Is(less), Is(other_class)));
}

TEST(Suppress, ASuppressedBoxSuppressesNothing) {
  // Each overlaps its neighbour by more than 0.45 (0.54), the outer two do not (0.25).
  const Detection a = box(0, 0, 1, 1, 0.9), b = box(0.3, 0, 1.3, 1, 0.8), c = box(0.6, 0, 1.6, 1, 0.7);
  EXPECT_THAT(suppress({a, b, c}), testing::ElementsAre(Is(a), Is(c)));
}

TEST(Suppress, OnlyThe300BestOfAClassEnter) {
  Detections raw;
  for (int i = 0; i < 310; ++i) raw.push_back(box(i, 0, i + 0.5, 1, 0.5));
  raw.push_back(box(1000, 0, 1001, 1, 0.9));
  raw.push_back(box(0, 5, 1, 6, 0.02, 3));
  const Detections kept = suppress(raw);
  ASSERT_EQ(kept.size(), 301U);
  EXPECT_EQ(kept[0].score, 0.9);
  EXPECT_EQ(kept[299].x1, 298);  // ties keep their order: the last ones go
  EXPECT_EQ(kept[300].label, 3);
}

TEST(Suppress, ComparesScoresInFloat32) {
  const double as_returned = static_cast<double>(0.01F);  // below 0.01 in double
  EXPECT_EQ(suppress({box(0, 0, 1, 1, as_returned)}).size(), 1U);
  EXPECT_EQ(suppress({box(0, 0, 1, 1, 0.0099)}).size(), 0U);
}

TEST(Suppress, TakesNotANumberWithoutHarm) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Detection fine = box(0, 0, 1, 1, 0.5);
  EXPECT_THAT(suppress({box(0, 0, 1, 1, nan), fine}), testing::ElementsAre(Is(fine)));
  EXPECT_EQ(suppress({box(nan, 0, 1, 1, 0.9), fine}).size(), 2U);
}

TEST(Targets, AreSureFromTheThresholdAndIgnoredFromAFifthOfIt) {
  const std::vector<Detections> own{{box(0, 0, 1, 1, static_cast<double>(0.35F)), box(2, 0, 3, 1, 0.3499),
                                     box(4, 0, 5, 1, static_cast<double>(0.07F)), box(6, 0, 7, 1, 0.0699)}};
  const std::vector<Target> targets = targets_from_own(own, 0.35);
  EXPECT_THAT(targets[0].sure, testing::ElementsAre(Is(own[0][0])));
  EXPECT_THAT(targets[0].ignored, testing::ElementsAre(Is(own[0][1]), Is(own[0][2])));
}

TEST(OnlyLabels, KeepsFramesAndOrder) {
  const std::vector<Detections> found{{box(0, 0, 1, 1, 0.9, 1), box(0, 0, 2, 2, 0.8, 0), box(0, 0, 3, 3, 0.7, 4)}, {}};
  const std::vector<std::int64_t> labels{1, 4};
  const std::vector<Detections> selected = only_labels(found, labels);
  ASSERT_EQ(selected.size(), 2U);
  EXPECT_THAT(selected[0], testing::ElementsAre(Is(found[0][0]), Is(found[0][2])));
}

}  // namespace
}  // namespace repsim::verify
