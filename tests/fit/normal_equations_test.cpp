// Least squares from sums against a library solver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fit_fixtures.hpp"
#include "repsim/fit/regression.hpp"

namespace repsim::fit {
namespace {

NormalEquations added_in_pieces(const at::Tensor& x, const at::Tensor& y, std::int64_t rows) {
  NormalEquations sums;
  for (std::int64_t begin = 0; begin < x.size(0); begin += rows) {
    const std::int64_t count = std::min(rows, x.size(0) - begin);
    sums.add(x.narrow(0, begin, count), y.narrow(0, begin, count));
  }
  return sums;
}

struct Data {
  at::Tensor x, y;
};

/// y is a linear map of x and noise.
Data noisy(std::uint64_t seed, std::int64_t rows, std::int64_t p, std::int64_t q) {
  test::Random random(seed);
  const at::Tensor x = random.tensor({rows, p}), map = random.tensor({p, q});
  return {x, x.mm(map) + random.tensor({rows, q}, 0.5) + 2.0};
}

TEST(NormalEquations, SolveLikeALeastSquaresLibrary) {
  const Data data = noisy(1, 500, 7, 4);
  const auto solution = added_in_pieces(data.x, data.y, 64).solve(1e-3);
  const Solved expected = reference(data.x, data.y, 1e-3);
  EXPECT_LT(largest(solution.weight - expected.weight), 1e-9);
  EXPECT_LT(largest(solution.bias - expected.bias), 1e-9);
  EXPECT_NEAR(solution.r2(), expected.r2, 1e-9);
}

// Cov = E[xx'] - mm' would lose ten digits here: the sums are taken about a shift.
TEST(NormalEquations, KeepTheirDigitsWithALargeOffset) {
  Data data = noisy(2, 400, 5, 3);
  data.x = data.x.to(at::kDouble) + 1e5;
  data.y = data.y.to(at::kDouble) - 3e5;
  const auto solution = added_in_pieces(data.x, data.y, 50).solve(1e-6);
  const Solved expected = reference(data.x, data.y, 1e-6);
  EXPECT_LT(largest(solution.weight - expected.weight), 1e-7);
  EXPECT_NEAR(solution.r2(), expected.r2, 1e-7);
}

TEST(NormalEquations, DoNotDependOnHowSamplesAreGrouped) {
  const Data data = noisy(3, 300, 6, 2);
  const auto whole = added_in_pieces(data.x, data.y, 300).solve(1e-4),
             pieces = added_in_pieces(data.x, data.y, 7).solve(1e-4);
  EXPECT_LT(largest(whole.weight - pieces.weight), 1e-10);
}

// Two equal regressors and no ridge: the shortest of all solutions, which gives both the same weight.
TEST(NormalEquations, OfMoreRegressorsThanABlockAreSymmetricAndWhole) {
  test::Random random(9);
  const at::Tensor x = random.tensor({700, 600}), y = random.tensor({700, 3});
  const at::Tensor weights = random.tensor({700}).abs().to(at::kDouble);
  for (const auto products : {NormalEquations::Products::kDouble, NormalEquations::Products::kFloat}) {
    NormalEquations sums(products);
    sums.add(x, y, weights);
    const at::Tensor left = x.to(at::kDouble), share = (weights / weights.sum()).unsqueeze(1);
    const at::Tensor mean = (left * share).sum(0), expected = (left * share).t().mm(left) - at::outer(mean, mean);
    const at::Tensor found = sums.moments().xx;
    EXPECT_LT(largest(found - expected), 1e-5);
    EXPECT_LT(largest(found - found.t()), 1e-6);
  }
}

TEST(NormalEquations, TakeTheShortestSolutionOfASingularSystem) {
  const Data data = noisy(4, 200, 3, 2);
  const at::Tensor x = at::cat({data.x, data.x.narrow(1, 0, 1)}, 1);
  const auto solution = added_in_pieces(x, data.y, 50).solve(0);
  const Solved expected = reference(data.x, data.y, 0);
  EXPECT_NEAR(solution.r2(), expected.r2, 1e-6);
  EXPECT_LT(largest(solution.weight.select(1, 0) - solution.weight.select(1, 3)), 1e-4);
}

TEST(NormalEquations, WithFewerSamplesThanRegressorsStayFinite) {
  const Data data = noisy(5, 4, 9, 2);
  const auto solution = added_in_pieces(data.x, data.y, 4).solve(1e-4);
  EXPECT_TRUE(at::isfinite(solution.weight).all().item<bool>());
  EXPECT_GT(solution.r2(), 0.99);
}

TEST(NormalEquations, OfAConstantOutputExplainNothing) {
  const Data data = noisy(6, 100, 3, 2);
  const auto solution = added_in_pieces(data.x, at::full({100, 2}, 3.5), 30).solve(1e-4);
  EXPECT_EQ(solution.r2(), 0);
  EXPECT_LT(largest(solution.weight), 1e-9);
  EXPECT_LT(largest(solution.bias - 3.5), 1e-9);
}

TEST(NormalEquations, OfAConstantInputGiveTheMean) {
  const Data data = noisy(7, 100, 3, 2);
  const auto solution = added_in_pieces(at::full({100, 3}, 2.0), data.y, 30).solve(1e-4);
  EXPECT_LT(largest(solution.weight), 1e-9);
  EXPECT_LT(largest(solution.bias - data.y.to(at::kDouble).mean(0)), 1e-9);
}

TEST(NormalEquations, RateValuesAsTheyAre) {
  const Data data = noisy(8, 200, 3, 3);
  const at::Tensor x = data.y + test::Random(9).tensor({200, 3}, 0.3) + 0.1, y = data.y.to(at::kDouble);
  const double expected =
      1 - (x.to(at::kDouble) - y).square().sum().item<double>() / (y - y.mean(0)).square().sum().item<double>();
  EXPECT_NEAR(added_in_pieces(x, data.y, 40).r2_unchanged(), expected, 1e-9);
}

}  // namespace
}  // namespace repsim::fit
