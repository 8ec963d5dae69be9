// Weighted samples, merged sums, and corrections of low rank, against solutions by other means.
#include <ATen/ops/arange.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fit_fixtures.hpp"
#include "repsim/fit/regression.hpp"

namespace repsim::fit {
namespace {

TEST(WeightedSamples, CountAsOftenAsTheirWeightSays) {
  test::Random random(1);
  const at::Tensor x = random.tensor({60, 4}), y = random.tensor({60, 3});
  at::Tensor weights = at::empty({60}, at::kDouble);
  NormalEquations weighted, repeated;
  for (std::int64_t i = 0; i < 60; ++i) {
    const std::int64_t times = random.below(4);
    weights[i] = static_cast<double>(times);
    for (std::int64_t k = 0; k < times; ++k) repeated.add(x.narrow(0, i, 1), y.narrow(0, i, 1));
  }
  for (std::int64_t begin = 0; begin < 60; begin += 20)
    weighted.add(x.narrow(0, begin, 20), y.narrow(0, begin, 20), weights.narrow(0, begin, 20));
  const auto one = weighted.solve(1e-3), two = repeated.solve(1e-3);
  EXPECT_LT(largest(one.weight - two.weight), 1e-10);
  EXPECT_LT(largest(one.bias - two.bias), 1e-10);
  EXPECT_NEAR(one.r2(), two.r2(), 1e-10);
}

TEST(MergedSums, EqualThoseOfAllSamples) {
  test::Random random(2);
  const at::Tensor x = random.tensor({90, 5}) + 40, y = random.tensor({90, 2}) - 7;
  NormalEquations all, first, second, empty;
  all.add(x, y);
  first.add(x.narrow(0, 0, 30), y.narrow(0, 0, 30));
  second.add(x.narrow(0, 30, 60), y.narrow(0, 30, 60));
  NormalEquations merged;
  for (const NormalEquations* one : {&first, &empty, &second}) merged.merge(*one);
  EXPECT_EQ(merged.samples(), 90);
  const auto one = merged.solve(1e-4), two = all.solve(1e-4);
  EXPECT_LT(largest(one.weight - two.weight), 1e-9);
  EXPECT_LT(largest(one.bias - two.bias), 1e-7);
  EXPECT_NEAR(one.r2(), two.r2(), 1e-10);
  first.add(x, y);  // what was merged is a copy
  EXPECT_LT(largest(merged.solve(1e-4).weight - one.weight), 1e-15);
}

/// Reduced-rank regression (Izenman 1975) another way: the residual of y ~ x[:, 0:3], explained by all of x and cut
/// down to `rank` by a singular value decomposition of the fitted samples.
at::Tensor fitted_by_svd(const at::Tensor& x, const at::Tensor& y, std::int64_t rank) {
  const at::Tensor left = x - x.mean(0), right = y - y.mean(0);
  const auto solve = [](const at::Tensor& a, const at::Tensor& b) {
    return std::get<0>(at::linalg_lstsq(a, b, std::nullopt, "gelsd"));
  };
  const at::Tensor some = left.narrow(1, 0, 3), base = some.mm(solve(some, right));
  const at::Tensor rest = left.mm(solve(left, right - base));
  const auto [u, s, v] = at::linalg_svd(rest, /*full_matrices=*/false);
  const at::Tensor top = v.narrow(0, 0, rank);
  return base + rest.mm(top.t()).mm(top) + y.mean(0);
}

TEST(LowRank, EqualsASingularValueDecompositionOfTheFittedSamples) {
  test::Random random(3);
  const at::Tensor x = random.tensor({300, 9}).to(at::kDouble);
  const at::Tensor y = (x.mm(random.tensor({9, 5}).to(at::kDouble)) + random.tensor({300, 5}, 0.3)) *
                       at::tensor({1.0, 10.0, 0.1, 3.0, 1.0}, at::kDouble);
  NormalEquations sums;
  sums.add(x, y);
  const LowRankRegressors regressors{at::arange(3, at::kLong), at::arange(9, at::kLong)};
  double before = 0;
  for (const std::int64_t rank : {1, 2, 4}) {
    const NormalEquations::LowRank low = sums.solve_low_rank(regressors, rank, {1e-12, 1e-12});
    EXPECT_EQ(low.down.size(0), rank);
    const at::Tensor found =
        x.narrow(1, 0, 3).mm(low.base.weight.t()) + x.mm(low.down.t()).mm(low.up.t()) + low.base.bias;
    EXPECT_LT(largest(found - fitted_by_svd(x, y, rank)), 1e-6);
    const double r2 = 1 - (y - found).square().sum().item<double>() / (y - y.mean(0)).square().sum().item<double>();
    EXPECT_NEAR(low.base.r2(), r2, 1e-9);
    EXPECT_GT(r2, before);
    before = r2;
  }
}

TEST(LowRank, OfAConstantOutputAddsNothing) {
  test::Random random(4);
  NormalEquations sums;
  sums.add(random.tensor({50, 6}), at::full({50, 3}, 2.5));
  const NormalEquations::LowRank low =
      sums.solve_low_rank({at::arange(2, at::kLong), at::arange(6, at::kLong)}, 2, {1e-4, 1e-3});
  EXPECT_LT(largest(low.up.mm(low.down)), 1e-9);
  EXPECT_LT(largest(low.base.bias - 2.5), 1e-9);
}

// Also with an offset, where float32 squares would have no digits left.
TEST(FloatProducts, GiveTheSolutionOfDoubleOnes) {
  test::Random random(7);
  const at::Tensor x = random.tensor({5000, 12}) + 300, map = random.tensor({12, 5});
  const at::Tensor y = x.mm(map) + random.tensor({5000, 5}, 0.2), weights = random.tensor({5000}).abs().to(at::kDouble);
  NormalEquations exact, quick(NormalEquations::Products::kFloat);
  for (std::int64_t begin = 0; begin < 5000; begin += 2500) {
    for (NormalEquations* one : {&exact, &quick})
      one->add(x.narrow(0, begin, 2500), y.narrow(0, begin, 2500), weights.narrow(0, begin, 2500));
  }
  const auto one = exact.solve(1e-3), two = quick.solve(1e-3);
  EXPECT_LT(largest(one.weight - two.weight), 1e-5);
  EXPECT_NEAR(one.r2(), two.r2(), 1e-5);
}

TEST(PrincipalDirections, AreThoseOfASingularValueDecomposition) {
  test::Random random(6);
  const at::Tensor x = random.tensor({200, 7}).to(at::kDouble).mm(random.tensor({7, 7}).to(at::kDouble)) + 3;
  NormalEquations sums;
  sums.add(x, random.tensor({200, 2}));
  const at::Tensor columns = at::tensor({1, 2, 4, 6}, at::kLong);
  const at::Tensor found = sums.principal_directions(columns, 2);
  const at::Tensor some = x.index_select(1, columns);
  const at::Tensor v = std::get<2>(at::linalg_svd(some - some.mean(0), /*full_matrices=*/false)).narrow(0, 0, 2);
  EXPECT_LT(largest(found.mm(v.t()).abs() - at::eye(2, at::kDouble)), 1e-9);  // up to signs
}

}  // namespace
}  // namespace repsim::fit
