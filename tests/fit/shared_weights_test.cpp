// Weights shared with a difference of low rank, against loops in float64 and against other factors of the same rank.
#include "repsim/fit/shared_weights.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/linalg_svd.h>

#include "fixtures/fixtures.hpp"
#include "fixtures/relatives.hpp"

namespace repsim::fit {
namespace {

using test::Opened;

const graph::StoredWeight& convolution_of(const std::vector<graph::StoredWeight>& all, int parameter) {
  return *std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.parameter == parameter; });
}

/// What a convolution reads on some frames, float64 [B,C,H,W].
at::Tensor input_of(const graph::Prepared& model, const graph::StoredWeight& one, const c10::IValue& image) {
  if (one.input.node < 0) return image.toTensor().to(at::kDouble);
  at::Tensor result;
  const std::vector<graph::Place> places{one.input};
  graph::Runner(*model.graph, model.parameters, places, false).run({image}, [&](int, const at::Tensor& value) {
    result = value.to(at::kDouble, false, /*copy=*/true);
  });
  return result;
}

/// A layer by loops, float64 [C_out, positions].
at::Tensor convolved(const at::Tensor& x, const at::Tensor& weight, const graph::StoredWeight& one) {
  if (one.is_linear) return weight.to(at::kDouble).mm(x.reshape({-1, x.size(-1)}).t());
  const auto &stride = one.geometry.stride, &padding = one.geometry.padding, &dilation = one.geometry.dilation;
  const std::int64_t kernel_h = weight.size(2), kernel_w = weight.size(3), inputs = weight.size(1);
  const std::int64_t height = (x.size(2) + 2 * padding[0] - dilation[0] * (kernel_h - 1) - 1) / stride[0] + 1,
                     width = (x.size(3) + 2 * padding[1] - dilation[1] * (kernel_w - 1) - 1) / stride[1] + 1;
  const std::int64_t per_group = weight.size(0) / one.groups;
  at::Tensor result = at::zeros({weight.size(0), x.size(0), height, width}, at::kDouble);
  const at::Tensor w = weight.to(at::kDouble);
  const auto from = x.accessor<double, 4>(), by = w.accessor<double, 4>();
  auto to = result.accessor<double, 4>();
  for (std::int64_t out = 0; out < weight.size(0); ++out)
    for (std::int64_t b = 0; b < x.size(0); ++b)
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t column = 0; column < width; ++column)
          for (std::int64_t c = 0; c < inputs; ++c)
            for (std::int64_t i = 0; i < kernel_h; ++i)
              for (std::int64_t j = 0; j < kernel_w; ++j) {
                const std::int64_t row = y * stride[0] - padding[0] + i * dilation[0],
                                   col = column * stride[1] - padding[1] + j * dilation[1];
                if (row < 0 || col < 0 || row >= x.size(2) || col >= x.size(3)) continue;
                to[out][b][y][column] += by[out][c][i][j] * from[b][out / per_group * inputs + c][row][col];
              }
  return result.flatten(1);
}

double variance_of(const at::Tensor& values) {  // of [C, n], all channels together
  return (values - values.mean(1, true)).square().mean(1).sum().item<double>();
}

double part_changed(const at::Tensor& change, double variance) {
  return change.square().mean(1).sum().item<double>() / variance;
}

class Relatives : public testing::TestWithParam<const char*> {
 protected:
  Opened opened_ = test::open_relatives(GetParam(), {0.5}, 0.2);
  capture::Stores stores_ = test::picture_stores(opened_.set, 3);
  SilentProgress silent_;

  std::vector<WeightDifference> differences() {
    return gather_differences(opened_.set, stores_, 1, paired_weights(opened_.set, 1, 0), silent_);
  }
  [[nodiscard]] c10::IValue image() const { return test::input_of(stores_[0], {0, 1, 2}); }
  [[nodiscard]] at::Tensor weight(int model, int parameter) const {
    return opened_.prepared[model].parameters[parameter].toTensor();
  }
};

TEST_P(Relatives, PairEachConvolutionWithItself) {
  for (const graph::SharedWeight& one : paired_weights(opened_.set, 1, 0)) {
    EXPECT_EQ(opened_.program(1).parameters[one.parameter].path,
              opened_.program(0).parameters[one.donor_parameter].path);
    EXPECT_EQ(one.donor, 0);
  }
  const auto all = graph::stored_weights(opened_.prepared[1]);
  const auto alone = std::count_if(all.begin(), all.end(), [](const auto& one) { return one.sole_reader; });
  EXPECT_EQ(std::ssize(paired_weights(opened_.set, 1, 0)), alone);
  EXPECT_GT(alone, 2);
}

TEST_P(Relatives, HaveTheSumsOfLoopsInFloat64) {
  const auto all = graph::stored_weights(opened_.prepared[1]);
  for (const WeightDifference& one : differences()) {
    const graph::StoredWeight& convolution = convolution_of(all, one.weight.parameter);
    const at::Tensor x = input_of(opened_.prepared[1], convolution, image()), own = weight(1, one.weight.parameter);
    const at::Tensor change =
        convolved(x, own.to(at::kDouble) - weight(0, one.weight.donor_parameter).to(at::kDouble), convolution);
    const double variance = variance_of(convolved(x, own, convolution));
    EXPECT_EQ(one.samples, change.size(1));
    EXPECT_NEAR(one.variance(), variance, 1e-4 * variance);
    EXPECT_NEAR(one.left_over().front(), part_changed(change, variance), 1e-4 * one.left_over().front());
    const at::Tensor products = change.mm(change.t()), found = one.products;
    const at::Tensor expected = convolution.groups == 1 ? products : products.diagonal();
    EXPECT_LT((found - expected).abs().max().item<double>(), 1e-4 * expected.abs().max().item<double>());
  }
}

TEST_P(Relatives, DifferencesChangeAsMuchAsTheySay) {
  const auto all = graph::stored_weights(opened_.prepared[1]);
  for (const WeightDifference& one : differences()) {
    const graph::StoredWeight& convolution = convolution_of(all, one.weight.parameter);
    const std::vector<double> left = one.left_over();
    if (convolution.groups > 1) {
      EXPECT_EQ(left.size(), 1U);
      EXPECT_THROW((void)solve_weight(opened_.set, 1, one, 1), Error);
      continue;
    }
    ASSERT_EQ(std::ssize(left), convolution.channels() + 1);
    EXPECT_TRUE(std::is_sorted(left.rbegin(), left.rend()));
    EXPECT_EQ(left.back(), 0);
    const at::Tensor x = input_of(opened_.prepared[1], convolution, image()), own = weight(1, one.weight.parameter);
    const double variance = variance_of(convolved(x, own, convolution));
    for (const int rank : {0, 1, 2, static_cast<int>(convolution.channels())}) {
      const SolvedWeight solved = solve_weight(opened_.set, 1, one, rank);
      // Eigenvalues of 0 may come out below 0, since the sums of a frame are in float32; left_over() counts none below
      // 0.
      EXPECT_NEAR(solved.output_variance, left[rank], 1e-7 * left.front() + 1e-9);
      at::Tensor changed = own.to(at::kDouble) - weight(0, one.weight.donor_parameter).to(at::kDouble);
      if (rank > 0) {
        const at::Tensor product =
            solved.fitted.up.flatten(1).to(at::kDouble).mm(solved.fitted.down.flatten(1).to(at::kDouble));
        changed = changed - product.view_as(changed);
      }
      EXPECT_NEAR(part_changed(convolved(x, changed, convolution), variance), left[rank], 1e-4 * left.front() + 1e-9);
    }
  }
}

// Eckart and Young: no other difference of the rank changes the outputs less, the best one of the weights themselves
// included.
TEST_P(Relatives, DifferencesAreTheBestOfTheirRank) {
  const auto all = graph::stored_weights(opened_.prepared[1]);
  test::Random random(5);
  int compared = 0;
  for (const WeightDifference& one : differences()) {
    const graph::StoredWeight& convolution = convolution_of(all, one.weight.parameter);
    if (convolution.groups > 1) continue;
    const at::Tensor x = input_of(opened_.prepared[1], convolution, image());
    const at::Tensor difference =
        weight(1, one.weight.parameter).to(at::kDouble) - weight(0, one.weight.donor_parameter).to(at::kDouble);
    const double variance = one.variance();
    const int rank = 2;
    const auto changed_by = [&](const at::Tensor& product) {
      return part_changed(convolved(x, difference - product.view_as(difference), convolution), variance);
    };
    const SolvedWeight solved = solve_weight(opened_.set, 1, one, rank);
    const at::Tensor up = solved.fitted.up.flatten(1).to(at::kDouble),
                     down = solved.fitted.down.flatten(1).to(at::kDouble);
    const double best = changed_by(up.mm(down));
    const auto [u, s, v] = at::linalg_svd(difference.flatten(1), false);
    EXPECT_LE(best, changed_by(u.narrow(1, 0, rank).mul(s.narrow(0, 0, rank)).mm(v.narrow(0, 0, rank))) + 1e-7);
    for (const double size : {1e-3, 1e-2, 1e-1}) {
      const auto moved = [&](const at::Tensor& factor) {
        return factor + size * factor.abs().max() * random.tensor(factor.sizes().vec()).to(at::kDouble);
      };
      EXPECT_LE(best, changed_by(moved(up).mm(moved(down))) + 1e-7);
    }
    ++compared;
  }
  EXPECT_GT(compared, 2);
}

// A pass may gather any set of weights, over any number of parts of the frames.
TEST_P(Relatives, SumsDoNotDependOnWhatElseIsGathered) {
  const std::vector<WeightDifference> all = differences();
  const std::vector<graph::SharedWeight> last{all.back().weight};
  const std::vector<WeightDifference> alone = gather_differences(opened_.set, stores_, 1, last, silent_);
  EXPECT_TRUE(alone.front().products.equal(all.back().products));
  EXPECT_TRUE(alone.front().squares.equal(all.back().squares));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Relatives, testing::Values("small", "wide", "shuffle", "mixer"));

TEST(WeightDifference, OfPartsOfTheFramesAddUp) {
  const Opened opened = test::open_relatives("small", {0.5});
  const capture::Stores all = test::picture_stores(opened.set, 4);
  capture::Stores first, rest;
  first.push_back(all[0].some(std::vector<std::int64_t>{0, 1}));
  rest.push_back(all[0].some(std::vector<std::int64_t>{2, 3}));
  SilentProgress silent;
  const auto weights = paired_weights(opened.set, 1, 0);
  const auto whole = gather_differences(opened.set, all, 1, weights, silent),
             more = gather_differences(opened.set, rest, 1, weights, silent);
  auto sums = gather_differences(opened.set, first, 1, weights, silent);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    sums[i].add(more[i]);
    EXPECT_EQ(sums[i].samples, whole[i].samples);
    EXPECT_TRUE(sums[i].products.allclose(whole[i].products, 1e-5));
    EXPECT_NEAR(sums[i].variance(), whole[i].variance(), 1e-6 * whole[i].variance());
  }
}

TEST(WeightDifferences, AreTheSameKeptOrNot) {
  const Opened opened = test::open_relatives("small", {0.5, 0.2});
  const capture::Stores stores = test::picture_stores(opened.set, 2);
  SilentProgress silent;
  WeightDifferences keeps(opened.set, stores, std::int64_t{1} << 30, silent), forgets(opened.set, stores, 0, silent);
  const std::vector<ModelIndex> donors{0, 2};
  EXPECT_EQ(keeps.prepare(1, donors), 2U);
  EXPECT_EQ(forgets.prepare(1, donors), 1U);
  for (const ModelIndex donor : {0, 2, 0}) {
    const std::vector<WeightDifference>&kept = keeps.between(1, donor), &again = forgets.between(1, donor);
    ASSERT_EQ(kept.size(), again.size());
    for (std::size_t i = 0; i < kept.size(); ++i) {
      EXPECT_EQ(kept[i].weight, again[i].weight);
      EXPECT_TRUE(kept[i].products.equal(again[i].products));
    }
  }
}

/// The most elements of any pairing that keeps both orders, by trying all.
std::int64_t most_in_common(const std::vector<graph::StoredWeight>& a, std::size_t i,
                            const std::vector<graph::StoredWeight>& b, std::size_t from) {
  if (i == a.size()) return 0;
  std::int64_t best = most_in_common(a, i + 1, b, from);
  for (std::size_t j = from; j < b.size(); ++j) {
    if (!a[i].sole_reader || !same_structure(a[i], b[j])) continue;
    best = std::max(best, a[i].channels() * a[i].taps() + most_in_common(a, i + 1, b, j + 1));
  }
  return best;
}

TEST(PairedWeights, HaveTheMostElementsOfAllPairings) {
  const Opened opened = test::open_fixtures({"small", "wide", "shuffle", "mixer", "tied", "control", "list"});
  int pairs = 0;
  for (ModelIndex receiver = 0; receiver < std::ssize(opened.prepared); ++receiver) {
    for (ModelIndex donor = 0; donor < std::ssize(opened.prepared); ++donor) {
      if (!opened.prepared[receiver].rewritable || !opened.prepared[donor].rewritable) continue;
      const auto taking = graph::stored_weights(opened.prepared[receiver]),
                 giving = graph::stored_weights(opened.prepared[donor]);
      std::int64_t found = 0;
      std::size_t last_taking = 0, last_giving = 0;
      for (const graph::SharedWeight& one : paired_weights(opened.set, receiver, donor)) {
        const graph::Parameter& parameter = opened.program(receiver).parameters[one.parameter];
        EXPECT_EQ(parameter.shape, opened.program(donor).parameters[one.donor_parameter].shape);
        found += parameter.elements;
        while (taking.at(last_taking).parameter != one.parameter) ++last_taking;  // at(): the order is kept
        while (giving.at(last_giving).parameter != one.donor_parameter) ++last_giving;
        ++last_taking;
        ++last_giving;
        pairs += receiver == donor ? 0 : 1;
      }
      EXPECT_EQ(found, most_in_common(taking, 0, giving, 0)) << receiver << " <- " << donor;
    }
  }
  EXPECT_GT(pairs, 5);
}

// A weight that the model reads twice is not gone when one of its readers runs with another one.
TEST(PairedWeights, LeaveWeightsWithSeveralReadersAlone) {
  const Opened opened = test::open_relatives("tied", {0.1});
  const auto all = graph::stored_weights(opened.prepared[1]);
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const auto& one) { return !one.sole_reader; }));
  for (const graph::SharedWeight& one : paired_weights(opened.set, 1, 0))
    EXPECT_TRUE(convolution_of(all, one.parameter).sole_reader);
}

// 0 of 0: a convolution whose outputs are constant can share only a weight that changes nothing.
TEST(WeightDifference, OfAConstantOutputIsAllOrNothing) {
  WeightDifference constant;
  constant.samples = 4;
  constant.outputs = at::full({2}, 8.0, at::kDouble);
  constant.squares = at::full({2}, 16.0, at::kDouble);
  constant.products = at::zeros({2, 2}, at::kDouble);
  EXPECT_THAT(constant.left_over(), testing::ElementsAre(0, 0, 0));
  constant.products = at::eye(2, at::kDouble);
  EXPECT_TRUE(std::isinf(constant.left_over().front()));
  constant.products.fill_(std::nan(""));
  EXPECT_TRUE(std::isinf(constant.left_over().front()));
}

}  // namespace
}  // namespace repsim::fit
