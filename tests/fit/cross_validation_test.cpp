// Choosing the strength of a ridge on blocks that did not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "fixtures/fixtures.hpp"
#include "repsim/fit/regression.hpp"

namespace repsim::fit {
namespace {

struct Samples {
  at::Tensor x, y;
};

/// y is a linear map of the first two regressors and noise.
Samples samples(std::uint64_t seed, std::int64_t count, std::int64_t regressors, double noise) {
  test::Random random(seed);
  const at::Tensor x = random.tensor({count, regressors}).to(at::kDouble) + 2;
  const at::Tensor map = test::Random(99).tensor({2, 3}).to(at::kDouble);
  return {x, x.narrow(1, 0, 2).mm(map) + random.tensor({count, 3}, noise).to(at::kDouble) - 5};
}

std::vector<NormalEquations> blocks_of(const std::vector<Samples>& all) {
  std::vector<NormalEquations> blocks(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) blocks[i].add(all[i].x, all[i].y);
  return blocks;
}

TEST(ErrorOf, IsThatOfAllSamples) {
  const Samples one = samples(1, 80, 6, 0.3);
  test::Random random(2);
  const at::Tensor weight = random.tensor({3, 6}).to(at::kDouble), bias = random.tensor({3}).to(at::kDouble);
  const at::Tensor weights = random.tensor({80}).abs().to(at::kDouble);
  NormalEquations sums;
  sums.add(one.x.narrow(0, 0, 30), one.y.narrow(0, 0, 30), weights.narrow(0, 0, 30));
  sums.add(one.x.narrow(0, 30, 50), one.y.narrow(0, 30, 50), weights.narrow(0, 30, 50));
  const at::Tensor left = one.y - one.x.mm(weight.t()) - bias;
  const double expected = (left.square() * weights.unsqueeze(1)).sum().item<double>();
  EXPECT_NEAR(sums.error_of(weight, bias), expected, 1e-9 * expected);
}

TEST(ErrorOf, AMapOfLowRankIsThatOfItsProduct) {
  const Samples fitted = samples(3, 60, 8, 0.5), judged = samples(4, 40, 8, 0.5);
  const LowRankRegressors regressors{at::tensor({0, 3}, at::kLong), at::tensor({1, 2, 3, 5, 7}, at::kLong)};
  NormalEquations sums, others;
  sums.add(fitted.x, fitted.y);
  others.add(judged.x, judged.y);
  const std::vector<double> ridges{1e-4, 1e-1};
  const std::vector<NormalEquations::LowRank> maps = sums.solve_correction_ridges(regressors, 2, 1e-3, ridges);
  ASSERT_EQ(maps.size(), ridges.size());
  for (std::size_t i = 0; i < maps.size(); ++i) {
    const NormalEquations::LowRank alone = sums.solve_low_rank(regressors, 2, {1e-3, ridges[i]});
    // Not bit by bit: on some processors MKL rounds the same product differently, by where its operands lie.
    EXPECT_TRUE(at::allclose(maps[i].combined, alone.combined, 1e-12, 1e-12));
    EXPECT_TRUE(at::allclose(maps[i].base.bias, alone.base.bias, 1e-12, 1e-12));
    const double expected = others.error_of(maps[i].combined, maps[i].base.bias);
    EXPECT_NEAR(others.error_of(maps[i], regressors), expected, 1e-9 * expected);
  }
}

/// The errors of all ridges, by fitting on samples rather than sums.
std::map<double, double> errors_by_samples(const std::vector<Samples>& all, const std::vector<double>& ridges) {
  std::map<double, double> errors;
  for (const double ridge : ridges) {
    for (std::size_t left_out = 0; left_out < all.size(); ++left_out) {
      NormalEquations rest;
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (i != left_out) rest.add(all[i].x, all[i].y);
      }
      const auto solution = rest.solve(ridge);
      const at::Tensor left = all[left_out].y - all[left_out].x.mm(solution.weight.t()) - solution.bias;
      errors[ridge] += left.square().sum().item<double>();
    }
  }
  return errors;
}

TEST(BestRidge, IsTheStrongestThatIsAsGoodAsTheBest) {
  const std::vector<double> ridges{1e-5, 1e-3, 1e-1, 1, 10};
  for (const double noise : {0.01, 1.0, 8.0}) {
    std::vector<Samples> all;
    for (std::uint64_t i = 0; i < 3; ++i) all.push_back(samples(10 + i, 12, 9, noise));
    const std::map<double, double> errors = errors_by_samples(all, ridges);
    double least = errors.begin()->second, expected = 0;
    for (const auto& [ridge, error] : errors) least = std::min(least, error);
    for (const auto& [ridge, error] : errors) {
      if (error <= 1.001 * least) expected = ridge;
    }
    EXPECT_EQ(best_ridge(blocks_of(all), ridges), expected) << noise;
  }
}

TEST(BestRidge, IsStrongerForNoiseThanForAnExactMap) {
  const std::vector<double> ridges{1e-5, 1e-3, 1e-1, 1, 10};
  std::vector<Samples> exact, noisy;
  for (std::uint64_t i = 0; i < 4; ++i) {
    exact.push_back(samples(20 + i, 40, 12, 0));
    noisy.push_back(samples(20 + i, 10, 20, 20));
  }
  EXPECT_EQ(best_ridge(blocks_of(exact), ridges), 1e-5);
  EXPECT_GE(best_ridge(blocks_of(noisy), ridges), 1);
}

TEST(BestRidge, NeedsTwoBlocksWithSamples) {
  std::vector<NormalEquations> blocks = blocks_of({samples(30, 20, 3, 1)});
  blocks.resize(4);
  EXPECT_FALSE(best_ridge(blocks, std::vector<double>{1e-3, 1.0}).has_value());
}

TEST(BestCorrectionRidge, IsStrongerForRegressorsThatSayNothing) {
  const std::vector<double> ridges{1e-5, 1e-1, 10};
  const auto of = [&](std::int64_t count, std::int64_t regressors, double noise) {
    std::vector<Samples> all;
    for (std::uint64_t i = 0; i < 3; ++i) all.push_back(samples(40 + i, count, regressors, noise));
    return best_correction_ridge(blocks_of(all), {at::tensor({0}, at::kLong), at::arange(regressors, at::kLong)}, 1e-4,
                                 ridges);
  };
  EXPECT_EQ(of(40, 8, 0.01), 1e-5);  // the second regressor is needed
  EXPECT_EQ(of(12, 24, 20), 10);
}

}  // namespace
}  // namespace repsim::fit
