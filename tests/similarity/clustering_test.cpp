// How alike models are, and their tree. The oracle takes every mean over all pairs of items anew.
#include "repsim/clustering.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/error_matcher.hpp"

namespace repsim::similarity {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Matrix matrix_of(std::size_t rows, std::size_t cols, const std::vector<double>& values) {
  return {"a", "b", std::vector<std::string>(rows, "r"), std::vector<std::string>(cols, "c"), values};
}

TEST(Likeness, IsTheMeanOfTheBestInBothDirections) {
  // rows: 0.9 and 0.5; columns: 0.9, 0.3, 0.5
  EXPECT_DOUBLE_EQ(likeness(matrix_of(2, 3, {0.9, 0.2, 0.4, 0.1, 0.3, 0.5})),
                   ((0.9 + 0.5) / 2 + (0.9 + 0.3 + 0.5) / 3) / 2);
}

TEST(Likeness, DoesNotDependOnTheDirection) {
  EXPECT_DOUBLE_EQ(likeness(matrix_of(2, 3, {0.9, 0.2, 0.4, 0.1, 0.3, 0.5})),
                   likeness(matrix_of(3, 2, {0.9, 0.1, 0.2, 0.3, 0.4, 0.5})));
}

TEST(Likeness, IsOneForEqualModels) { EXPECT_DOUBLE_EQ(likeness(matrix_of(2, 2, {1, 0.3, 0.3, 1})), 1); }

TEST(Likeness, LeavesUndefinedLayersOut) {
  EXPECT_DOUBLE_EQ(likeness(matrix_of(2, 2, {0.5, kNan, kNan, kNan})), 0.5);
  EXPECT_TRUE(std::isnan(likeness(matrix_of(1, 2, {kNan, kNan}))));
  EXPECT_TRUE(std::isnan(likeness(matrix_of(0, 2, {}))));
}

TEST(Likeness, IsNeverNegative) { EXPECT_DOUBLE_EQ(likeness(matrix_of(1, 2, {-0.25, -0.5})), 0); }

struct Step {
  std::vector<std::size_t> members;
  double distance;
};

/// The same clustering from its definition.
std::vector<Step> oracle(const std::vector<double>& distances, std::size_t items) {
  std::vector<std::vector<std::size_t>> clusters;
  for (std::size_t i = 0; i < items; ++i) clusters.push_back({i});
  std::vector<Step> steps;
  while (clusters.size() > 1) {
    double least = std::numeric_limits<double>::infinity();
    std::size_t left = 0, right = 0;
    for (std::size_t a = 0; a < clusters.size(); ++a) {
      for (std::size_t b = a + 1; b < clusters.size(); ++b) {
        double sum = 0;
        for (const std::size_t i : clusters[a]) {
          for (const std::size_t j : clusters[b]) sum += distances[i * items + j];
        }
        const double mean = sum / static_cast<double>(clusters[a].size() * clusters[b].size());
        if (mean < least) {
          least = mean;
          left = a;
          right = b;
        }
      }
    }
    std::vector<std::size_t> joined = clusters[left];
    joined.insert(joined.end(), clusters[right].begin(), clusters[right].end());
    std::sort(joined.begin(), joined.end());
    clusters.erase(clusters.begin() + static_cast<std::ptrdiff_t>(right));
    clusters.erase(clusters.begin() + static_cast<std::ptrdiff_t>(left));
    clusters.push_back(joined);
    steps.push_back({joined, least});
  }
  return steps;
}

std::vector<Step> steps_of(const std::vector<Merge>& merges, std::size_t items) {
  std::vector<std::vector<std::size_t>> clusters;
  for (std::size_t i = 0; i < items; ++i) clusters.push_back({i});
  std::vector<Step> steps;
  for (const Merge& merge : merges) {
    EXPECT_LT(merge.first, merge.second);
    EXPECT_LT(merge.second, clusters.size());
    std::vector<std::size_t> joined = clusters.at(merge.first);
    const std::vector<std::size_t>& other = clusters.at(merge.second);
    joined.insert(joined.end(), other.begin(), other.end());
    std::sort(joined.begin(), joined.end());
    clusters.push_back(joined);
    steps.push_back({joined, merge.distance});
  }
  return steps;
}

TEST(AverageLinkage, IsWhatItsDefinitionSays) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (std::size_t items = 2; items <= 14; ++items) {
    for (int round = 0; round < 20; ++round) {
      std::vector<double> distances(items * items, 0.0);
      for (std::size_t i = 0; i < items; ++i) {
        for (std::size_t j = i + 1; j < items; ++j)
          distances[i * items + j] = distances[j * items + i] = uniform(random);
      }
      const std::vector<Step> expected = oracle(distances, items);
      const std::vector<Step> steps = steps_of(average_linkage(distances, items), items);
      ASSERT_EQ(steps.size(), items - 1);
      for (std::size_t i = 0; i < steps.size(); ++i) {
        EXPECT_EQ(steps[i].members, expected[i].members);
        EXPECT_NEAR(steps[i].distance, expected[i].distance, 1e-12);  // sums in another order
      }
    }
  }
}

// scipy.cluster.hierarchy.linkage([2, 6, 10, 9, 5, 9, 8, 4, 5, 3], "average") of five items: 0-1 at 2, 3-4 at 3,
// 2 with 3-4 at 4.5, and these with 0-1 at the mean of six distances.
TEST(AverageLinkage, GivesTheTreeThatScipyGives) {
  const std::vector<double> distances{0, 2, 6, 10, 9, 2, 0, 5, 9, 8, 6, 5, 0, 4, 5, 10, 9, 4, 0, 3, 9, 8, 5, 3, 0};
  const std::vector<Merge> merges = average_linkage(distances, 5);
  ASSERT_EQ(merges.size(), 4U);
  const auto expect = [&](std::size_t i, std::size_t first, std::size_t second, double distance) {
    EXPECT_EQ(merges[i].first, first);
    EXPECT_EQ(merges[i].second, second);
    EXPECT_DOUBLE_EQ(merges[i].distance, distance);
  };
  expect(0, 0, 1, 2);
  expect(1, 3, 4, 3);
  expect(2, 2, 6, 4.5);
  expect(3, 5, 7, (6 + 10 + 9 + 5 + 9 + 8) / 6.0);
}

TEST(AverageLinkage, OfEqualDistancesTakesTheFirst) {
  const std::vector<Merge> merges = average_linkage(std::vector<double>(9, 1.0), 3);
  ASSERT_EQ(merges.size(), 2U);
  EXPECT_EQ(merges[0].first, 0U);
  EXPECT_EQ(merges[0].second, 1U);
}

TEST(AverageLinkage, OfLessThanTwoItemsIsEmpty) {
  EXPECT_TRUE(average_linkage({}, 0).empty());
  EXPECT_TRUE(average_linkage({0}, 1).empty());
  EXPECT_TRUE(test::error_of([] { (void)average_linkage({0, 1}, 2); }));
}

}  // namespace
}  // namespace repsim::similarity
