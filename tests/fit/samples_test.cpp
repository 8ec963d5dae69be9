// Which samples a fit takes, what stands in them, and how much they count.
#include <ATen/ops/arange.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/im2col.h>
#include <ATen/ops/remainder.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "../../src/fit/fitting/patches.hpp"
#include "../../src/fit/fitting/subsampling.hpp"
#include "fit_fixtures.hpp"

namespace repsim::fit {
namespace {

TEST(Patches, OfAKernelWithARingHoldThoseOfTheKernel) {
  test::Random random(5);
  const at::Tensor x = random.tensor({2, 3, 9, 11});
  for (const std::int64_t auxiliary : {1, 3}) {
    for (const std::int64_t stride : {1, 2}) {
      const graph::ConvGeometry geometry{
          {4, 3, auxiliary, auxiliary}, {stride, stride}, {auxiliary / 2, auxiliary / 2}, {1, 1}, -1, -1, true};
      // Every other output of both maps, from the last one on.
      const std::int64_t outputs = ((9 - 1) / stride + 1) * ((11 - 1) / stride + 1);
      const at::Tensor taken = at::arange(2 * outputs - 1, -1, -2, at::kLong);
      const Positions positions{taken.floor_divide(outputs), taken.remainder(outputs)};
      const at::Tensor inner = patches_at(x, geometry, positions),
                       outer = patches_at(x, with_ring(geometry), positions);
      EXPECT_EQ(outer.size(1), 3 * larger_kernel(geometry));
      EXPECT_TRUE(at::equal(outer.index_select(1, inner_values(geometry, 3)), inner))
          << auxiliary << " stride " << stride;
      // The library has channels first.
      const at::Tensor all =
          at::im2col(x, {auxiliary, auxiliary}, {1, 1}, {auxiliary / 2, auxiliary / 2}, {stride, stride});
      const at::Tensor expected =
          all.view({2, 3, auxiliary * auxiliary, outputs}).permute({0, 3, 2, 1}).reshape({2 * outputs, -1});
      EXPECT_TRUE(at::equal(inner, expected.index_select(0, taken))) << auxiliary << " stride " << stride;
    }
  }
}

TEST(SampleWeights, AreTheFloorAndTheScoreInsideABox) {
  SampleWeights weights;
  weights.floor = 0.25;
  // One box over the upper left quarter, one smaller than a cell within the last cell, one that is none.
  weights.boxes = {{}, {{0, 0, 0.5, 0.5, 0.5, 0}, {0.9, 0.9, 0.95, 0.95, 0.75, 0}, {0.2, 0.2, 0.2, 0.9, 1, 0}}};
  const std::vector<std::int64_t> frames{1, 0};
  const at::Tensor of = weights.of(frames, 4, 4);
  ASSERT_EQ(of.sizes(), (std::vector<std::int64_t>{2, 16}));
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      const double expected = i < 2 && j < 2 ? 0.75 : i == 3 && j == 3 ? 1.0 : 0.25;
      EXPECT_NEAR((of[0][4 * i + j].item<double>()), expected, 1e-12) << i << " " << j;
      EXPECT_EQ((of[1][4 * i + j].item<double>()), 0.25);
    }
  }
  EXPECT_EQ(SampleWeights().of(frames, 2, 2).min().item<double>(), 1.0);
}

TEST(Subsampled, SamplesOfConsecutiveFramesHaveEachPlaceOnceAndTheForegroundAlways) {
  constexpr std::int64_t kFrames = 12, kPlaces = 35, kNth = 4;
  const double floor = 0.1;
  at::Tensor weights = at::full({kFrames, kPlaces}, floor, at::kDouble);
  weights.select(1, 7).fill_(0.9);
  std::vector<std::int64_t> positions(kFrames);
  std::iota(positions.begin(), positions.end(), 5);
  const Subsampled subsampled = subsample(weights, floor, kNth, positions);
  at::Tensor counts = at::zeros({kFrames * kPlaces}, at::kDouble);
  counts.index_add_(0, subsampled.indices, subsampled.weights);
  counts = counts.view({kFrames, kPlaces});
  EXPECT_TRUE(at::allclose(counts.sum(0), weights.sum(0)));
  EXPECT_TRUE(at::equal(counts.select(1, 7), weights.select(1, 7)));
  EXPECT_EQ(subsampled.indices.numel(), kFrames + kFrames / kNth * (kPlaces - 1));
  EXPECT_FALSE(subsample(weights, floor, 1, positions).indices.defined());
}

TEST(Subsampled, OnlyWhereThereAreManySamplesForEachRegressor) {
  EXPECT_EQ(subsampling_step(1900, 100), 1);
  EXPECT_EQ(subsampling_step(100 * 10 * 3, 100), 3);
  EXPECT_EQ(subsampling_step(1000000, 100), 4);
}

TEST(Subsampled, RegressionIsThatOfAllSamplesWhereAMapExplainsThem) {
  test::Random random(11);
  const at::Tensor x = random.tensor({400, 50, 6}), map = random.tensor({6, 3});
  const at::Tensor y = x.matmul(map) + random.tensor({400, 50, 3}, 0.1);
  at::Tensor weights = at::full({400, 50}, 0.1, at::kDouble);
  weights.narrow(1, 10, 5).fill_(0.8);
  std::vector<std::int64_t> positions(400);
  std::iota(positions.begin(), positions.end(), 0);
  const Subsampled subsampled = subsample(weights, 0.1, 4, positions);
  NormalEquations all, some;
  all.add(x.reshape({-1, 6}), y.reshape({-1, 3}), weights.reshape({-1}));
  some.add(x.reshape({-1, 6}).index_select(0, subsampled.indices),
           y.reshape({-1, 3}).index_select(0, subsampled.indices), subsampled.weights);
  EXPECT_LT((all.solve(1e-6).weight - some.solve(1e-6).weight).abs().max().item<double>(), 5e-3);
  EXPECT_LT(some.samples(), all.samples() / 2);
}

TEST(SampleWeights, CountABoxByThePartOfTheCell) {
  SampleWeights weights;
  weights.floor = 0;
  weights.boxes = {{{0.25, 0, 1, 1, 1, 0}}};
  const std::vector<std::int64_t> frames{0};
  EXPECT_NEAR(weights.of(frames, 1, 2)[0][0].item<double>(), 0.5, 1e-12);
  EXPECT_NEAR(weights.of(frames, 1, 2)[0][1].item<double>(), 1.0, 1e-12);
}

}  // namespace
}  // namespace repsim::fit
