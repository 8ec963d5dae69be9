// Correlations against their definitions, and the cuts that a study draws.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "repsim/planner.hpp"
#include "repsim/predictor.hpp"

namespace repsim::planner {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> noise(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 engine(seed);
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<double>(engine() >> 11) / 9007199254740992.0);
  return values;
}

/// Over all pairs of elements, in extended precision: sum (xi - xj)(yi - yj) is proportional to the covariance.
double pairwise_pearson(const std::vector<double>& x, const std::vector<double>& y) {
  long double xx = 0, xy = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const long double a = static_cast<long double>(x[i]) - x[j], b = static_cast<long double>(y[i]) - y[j];
      xx += a * a;
      xy += a * b;
      yy += b * b;
    }
  }
  return static_cast<double>(xy / std::sqrt(xx * yy));
}

/// Rank by counting: how many are smaller, and half of those that are equal.
std::vector<double> counted_ranks(const std::vector<double>& values) {
  std::vector<double> ranks;
  for (const double one : values) {
    double rank = 0;
    for (const double other : values) rank += other < one ? 1 : other == one ? 0.5 : 0;
    ranks.push_back(rank);
  }
  return ranks;
}

TEST(Correlation, EqualsItsDefinitionOverAllPairs) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector<double> x = noise(seed, 5 + seed);
    std::vector<double> y = noise(100 + seed, 5 + seed);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = 1e6 + y[i] + static_cast<double>(seed % 3) * x[i];
    EXPECT_NEAR(pearson(x, y), pairwise_pearson(x, y), 1e-9);
    EXPECT_NEAR(spearman(x, y), pairwise_pearson(counted_ranks(x), counted_ranks(y)), 1e-12);
  }
}

TEST(Correlation, GivesEqualValuesTheirMeanRank) {
  const std::vector<double> x{1, 2, 2, 2, 5, 0, 0}, y{3, 3, 1, 4, 4, 4, 0};
  EXPECT_NEAR(spearman(x, y), pairwise_pearson(counted_ranks(x), counted_ranks(y)), 1e-12);
}

TEST(Correlation, LeavesPairsOutThatAreUndefined) {
  const std::vector<double> x{1, kNaN, 2, 3, 4}, y{1, 100, 4, kNaN, 5};
  EXPECT_NEAR(pearson(x, y), pairwise_pearson({1, 2, 4}, {1, 4, 5}), 1e-12);
  EXPECT_NEAR(spearman(x, y), 1, 1e-12);
}

TEST(Correlation, IsUndefinedForConstantsAndFewPairs) {
  const std::vector<double> x{0.1, 0.1, 0.1, 0.1}, y{1, 2, 3, 4};
  EXPECT_TRUE(std::isnan(pearson(x, y)));
  EXPECT_TRUE(std::isnan(spearman(x, y)));
  EXPECT_TRUE(std::isnan(pearson(std::vector<double>{1, 2}, std::vector<double>{2, 1})));
  EXPECT_TRUE(std::isnan(correlated(x, y, pearson, 0).low));
}

TEST(Correlation, IntervalHoldsTheTrueValueAboutNineTimesInTen) {
  // y = x + independent noise of the same spread: the true coefficient is sqrt(1/2).
  int inside = 0;
  constexpr int kSamples = 200;
  for (std::uint64_t seed = 0; seed < kSamples; ++seed) {
    const std::vector<double> x = noise(2 * seed + 1, 60), other = noise(2 * seed + 2, 60);
    std::vector<double> y;
    for (std::size_t i = 0; i < x.size(); ++i) y.push_back(x[i] + other[i]);
    const Correlation one = correlated(x, y, pearson, seed, 200);
    EXPECT_LE(one.low, one.value);
    EXPECT_GE(one.high, one.value);
    inside += one.low <= std::sqrt(0.5) && std::sqrt(0.5) <= one.high ? 1 : 0;
  }
  // 180 are expected with a standard deviation of 4; percentile intervals are a little narrow at 60 pairs.
  EXPECT_GE(inside, 164);
  EXPECT_LE(inside, 195);
}

TEST(Correlation, IntervalDependsOnTheSeedOnly) {
  const std::vector<double> x = noise(1, 30), y = noise(2, 30);
  EXPECT_EQ(correlated(x, y, pearson, 7).low, correlated(x, y, pearson, 7).low);
  EXPECT_NE(correlated(x, y, pearson, 7).low, correlated(x, y, pearson, 8).low);
}

/// A chain of convolutions whose maps halve after `half` layers.
graph::Program chain(int layers, int half) {
  graph::Program program;
  for (int i = 0; i < layers; ++i) {
    const std::int64_t auxiliary = i < half ? 16 : 8;
    graph::Op op;
    op.kind = "aten::conv2d";
    if (i > 0) op.inputs = {i - 1};
    op.layer = i;
    op.parameters = {i};
    graph::Layer layer;
    layer.name = "l" + std::to_string(i);
    layer.kind = "conv";
    layer.shape = {4, auxiliary, auxiliary};
    layer.dtype = "Float";
    layer.op = i;
    if (i > 0) layer.inputs = {i - 1};
    program.parameters.push_back({layer.name, "Float", {10}, 10, 40, layer.name});
    program.ops.push_back(op);
    program.layers.push_back(layer);
  }
  program.results = {layers - 1};
  return program;
}

std::vector<bool> all(const graph::Program& program) { return std::vector<bool>(program.layers.size(), true); }
bool anything(int, int) { return true; }

TEST(StudyCuts, TakeDonorLayersOfTheSameSizeAtEqualDepthAndElsewhere) {
  const graph::Program receiver = chain(8, 4), donor = chain(16, 8);
  const auto cuts = study_cuts({receiver, donor, all(receiver), all(donor), anything}, 24, 1);
  ASSERT_EQ(cuts.size(), 24U);
  std::set<std::pair<std::vector<int>, std::vector<int>>> distinct;
  int equal = 0;
  for (const StudyCut& cut : cuts) {
    distinct.insert({cut.layers, cut.donor_layers});
    ASSERT_EQ(cut.layers.size(), 1U);
    const LayerIndex layer = cut.layers[0], given = cut.donor_layers[0];
    EXPECT_EQ(receiver.layers[layer].shape, donor.layers[given].shape);
    // Twice as many layers of each size: layer k lies between 2k and 2k + 1.
    EXPECT_EQ(cut.equal_depth, given == 2 * layer);
    equal += cut.equal_depth ? 1 : 0;
  }
  EXPECT_EQ(distinct.size(), cuts.size());
  EXPECT_EQ(equal, 8);  // one cut along the depth per layer
}

TEST(StudyCuts, SpreadThoseOfEqualDepthWhereThereAreTooMany) {
  const graph::Program receiver = chain(40, 20), donor = chain(40, 20);
  const auto cuts = study_cuts({receiver, donor, all(receiver), all(donor), anything}, 10, 1);
  std::vector<int> equal;
  for (const StudyCut& cut : cuts) {
    if (cut.equal_depth) equal.push_back(cut.layers[0]);
  }
  EXPECT_THAT(equal, testing::ElementsAre(0, 8, 16, 24, 32));
}

TEST(StudyCuts, FallBackOnTheNearestSize) {
  const graph::Program receiver = chain(4, 4), donor = chain(4, 0);
  const auto cuts = study_cuts({receiver, donor, all(receiver), all(donor), anything}, 8, 1);
  ASSERT_FALSE(cuts.empty());
  for (const StudyCut& cut : cuts) EXPECT_EQ(donor.layers[cut.donor_layers[0]].shape[1], 8);
}

TEST(StudyCuts, HoldOnlyWhatFits) {
  const graph::Program receiver = chain(6, 6), donor = chain(6, 6);
  const auto odd_only = [](int, int given) { return given % 2 == 1; };
  for (const StudyCut& cut : study_cuts({receiver, donor, all(receiver), all(donor), odd_only}, 20, 3))
    EXPECT_EQ(cut.donor_layers[0] % 2, 1);
  EXPECT_TRUE(study_cuts({receiver, donor, all(receiver), all(donor), [](int, int) { return false; }}, 20, 3).empty());
}

TEST(StudyCuts, DependOnTheSeedOnly) {
  const graph::Program receiver = chain(12, 6), donor = chain(30, 15);
  const auto drawn = [&](std::uint64_t seed) {
    std::vector<std::vector<int>> result;
    for (const StudyCut& cut : study_cuts({receiver, donor, all(receiver), all(donor), anything}, 30, seed))
      result.push_back(cut.donor_layers);
    return result;
  };
  EXPECT_EQ(drawn(5), drawn(5));
  EXPECT_NE(drawn(5), drawn(6));
}

}  // namespace
}  // namespace repsim::planner
