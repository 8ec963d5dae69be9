// Weighted rows, merged sums, and corrections of low rank, against solutions by other means.
#include <ATen/ops/arange.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/im2col.h>
#include <ATen/ops/remainder.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "../../src/fit/patches.hpp"
#include "../../src/fit/subsampling.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

TEST(WeightedRows, CountAsOftenAsTheirWeightSays) {
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

TEST(MergedSums, EqualThoseOfAllRows) {
  test::Random random(2);
  const at::Tensor x = random.tensor({90, 5}) + 40, y = random.tensor({90, 2}) - 7;
  NormalEquations all, first, second, empty;
  all.add(x, y);
  first.add(x.narrow(0, 0, 30), y.narrow(0, 0, 30));
  second.add(x.narrow(0, 30, 60), y.narrow(0, 30, 60));
  NormalEquations merged;
  for (const NormalEquations* one : {&first, &empty, &second}) merged.merge(*one);
  EXPECT_EQ(merged.rows(), 90);
  const auto one = merged.solve(1e-4), two = all.solve(1e-4);
  EXPECT_LT(largest(one.weight - two.weight), 1e-9);
  EXPECT_LT(largest(one.bias - two.bias), 1e-7);
  EXPECT_NEAR(one.r2(), two.r2(), 1e-10);
  first.add(x, y);  // what was merged is a copy
  EXPECT_LT(largest(merged.solve(1e-4).weight - one.weight), 1e-15);
}

/// What is left over of y ~ x[:, 0:3] explained by all of x, cut down to `rank` by a singular value decomposition of
/// the fitted rows: the same by another way (reduced-rank regression after Izenman 1975).
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

TEST(LowRank, EqualsASingularValueDecompositionOfTheFittedRows) {
  test::Random random(3);
  const at::Tensor x = random.tensor({300, 9}).to(at::kDouble);
  const at::Tensor y = (x.mm(random.tensor({9, 5}).to(at::kDouble)) + random.tensor({300, 5}, 0.3)) *
                       at::tensor({1.0, 10.0, 0.1, 3.0, 1.0}, at::kDouble);
  NormalEquations sums;
  sums.add(x, y);
  const at::Tensor columns = at::arange(3, at::kLong);
  double before = 0;
  for (const std::int64_t rank : {1, 2, 4}) {
    const NormalEquations::LowRank low = sums.solve_low_rank(columns, at::arange(9, at::kLong), rank, 1e-12, 1e-12);
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
      sums.solve_low_rank(at::arange(2, at::kLong), at::arange(6, at::kLong), 2, 1e-4, 1e-3);
  EXPECT_LT(largest(low.up.mm(low.down)), 1e-9);
  EXPECT_LT(largest(low.base.bias - 2.5), 1e-9);
}

// Also beside an offset, where float32 squares would have no digits left.
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

TEST(Subsampled, RowsOfConsecutiveFramesHaveEachPlaceOnceAndTheForegroundAlways) {
  constexpr std::int64_t kFrames = 12, kPlaces = 35, kNth = 4;
  const double floor = 0.1;
  at::Tensor weights = at::full({kFrames, kPlaces}, floor, at::kDouble);
  weights.select(1, 7).fill_(0.9);
  std::vector<std::int64_t> positions(kFrames);
  std::iota(positions.begin(), positions.end(), 5);
  const Subsampled thinned = subsample(weights, floor, kNth, positions);
  at::Tensor counts = at::zeros({kFrames * kPlaces}, at::kDouble);
  counts.index_add_(0, thinned.rows, thinned.weights);
  counts = counts.view({kFrames, kPlaces});
  EXPECT_TRUE(at::allclose(counts.sum(0), weights.sum(0)));
  EXPECT_TRUE(at::equal(counts.select(1, 7), weights.select(1, 7)));
  EXPECT_EQ(thinned.rows.numel(), kFrames + kFrames / kNth * (kPlaces - 1));
  EXPECT_FALSE(subsample(weights, floor, 1, positions).rows.defined());
}

TEST(Subsampled, OnlyWhereThereAreManyRowsForEachRegressor) {
  EXPECT_EQ(subsampling(1900, 100), 1);
  EXPECT_EQ(subsampling(100 * 10 * 3, 100), 3);
  EXPECT_EQ(subsampling(1000000, 100), 4);
}

TEST(Subsampled, RegressionIsThatOfAllRowsWhereAMapExplainsThem) {
  test::Random random(11);
  const at::Tensor x = random.tensor({400, 50, 6}), map = random.tensor({6, 3});
  const at::Tensor y = x.matmul(map) + random.tensor({400, 50, 3}, 0.1);
  at::Tensor weights = at::full({400, 50}, 0.1, at::kDouble);
  weights.narrow(1, 10, 5).fill_(0.8);
  std::vector<std::int64_t> positions(400);
  std::iota(positions.begin(), positions.end(), 0);
  const Subsampled thinned = subsample(weights, 0.1, 4, positions);
  NormalEquations all, some;
  all.add(x.reshape({-1, 6}), y.reshape({-1, 3}), weights.reshape({-1}));
  some.add(x.reshape({-1, 6}).index_select(0, thinned.rows), y.reshape({-1, 3}).index_select(0, thinned.rows),
           thinned.weights);
  EXPECT_LT((all.solve(1e-6).weight - some.solve(1e-6).weight).abs().max().item<double>(), 5e-3);
  EXPECT_LT(some.rows(), all.rows() / 2);
}

TEST(SampleWeights, CountABoxByThePartOfTheCell) {
  SampleWeights weights;
  weights.floor = 0;
  weights.boxes = {{{0.25, 0, 1, 1, 1, 0}}};
  const std::vector<std::int64_t> frames{0};
  EXPECT_NEAR(weights.of(frames, 1, 2)[0][0].item<double>(), 0.5, 1e-12);
  EXPECT_NEAR(weights.of(frames, 1, 2)[0][1].item<double>(), 1.0, 1e-12);
}

/// A whole pyramid of `small` from `wide`, refitted in one convolution, or with adapters.
struct Corrected : testing::TestWithParam<bool> {
  test::Opened opened = test::open_fixtures({"small", "wide"});
  capture::Stores stores = test::picture_stores(opened.set, 16);
  Cut cut{
      0,
      {replacement("backbone.stage2.2", "backbone.layer2.2"), replacement("backbone.stage3.2", "backbone.layer3.2")}};
  SilentProgress silent;

  Replacement replacement(const std::string& receiver, const std::string& donor) {
    return {graph::find_layer(opened.program(0), receiver), 1, graph::find_layer(opened.program(1), donor)};
  }
  static Options options(int rank) {
    Options result;
    result.refit = GetParam();
    result.rank = rank;
    return result;
  }
};

// Invariants 2 and 3 of docs/internals/contracts.md with corrections.
TEST_P(Corrected, ShareEqualsAnIndependentSpliceInThePromisedBytes) {
  const Attachment attachment = plan_attachment(opened.set, cut, options(3)),
                   plain = plan_attachment(opened.set, cut, options(0));
  ASSERT_EQ(attachment.rank, 3);
  ASSERT_EQ(attachment.refit_nodes.empty(), !GetParam());
  const std::vector<graph::Splice> splices{fit(opened.set, stores, {}, cut, attachment, options(3), silent).splice};
  const auto loaded = opened.pointers();
  const bundle::Written written = bundle::write(opened.set, loaded, splices, "{}");
  torch::jit::Module bundle = test::load_bytes(written.bytes);
  const auto images = test::images_of(stores, {3, 4});
  const c10::InferenceMode no_gradients;
  EXPECT_LT(test::difference(bundle.forward(images).toTupleRef().elements()[0],
                             test::spliced_output(opened, splices[0], images)),
            1e-5);
  EXPECT_EQ(written.parameter_bytes, test::expected_bytes(opened, splices));
  const std::int64_t separate = opened.prepared[0].model_bytes + opened.prepared[1].model_bytes -
                                opened.program(0).unused_parameter_bytes - opened.program(1).unused_parameter_bytes;
  const std::vector<LayerIndex> layers{cut.replacements[0].receiver_layer, cut.replacements[1].receiver_layer};
  EXPECT_EQ(written.parameter_bytes, separate - graph::removed_by(opened.program(0), layers).bytes +
                                         attachment.bytes_added - attachment.bytes_folded);
  EXPECT_GT(attachment.bytes_added, plain.bytes_added);
  EXPECT_GT(attachment.flops_added, plain.flops_added);
}

TEST_P(Corrected, ShareExplainsMoreTheHigherTheRank) {
  double before = 1;
  for (const int rank : {0, 2, 6}) {
    const Attachment attachment = plan_attachment(opened.set, cut, options(rank));
    const Fitted fitted = fit(opened.set, stores, {}, cut, attachment, options(rank), silent);
    const double worst = *std::max_element(fitted.residuals.begin(), fitted.residuals.end());
    EXPECT_LT(worst, before) << rank;
    before = worst;
  }
}

// What solving has in common for all ranks is done once, and changes no bit.
TEST_P(Corrected, SharesOfSeveralRanksAreSolvedTogetherAsAlone) {
  std::vector<Attachment> attachments;
  for (const int rank : {2, 4, 6}) attachments.push_back(plan_attachment(opened.set, cut, options(rank)));
  const Attachment without = plan_attachment(opened.set, cut, options(0));
  const std::vector<Gathered> plain = gather(opened.set, stores, {}, {&cut, 1}, {&without, 1}, silent);
  const Gathered gathered = gather_corrections(opened.set, stores, {}, cut, attachments[0], plain.front(), silent);
  const std::vector<Fitted> together = solve(gathered, attachments, options(0));
  ASSERT_EQ(together.size(), attachments.size());
  for (std::size_t i = 0; i < attachments.size(); ++i) {
    const Fitted alone = solve(gathered, attachments[i], options(0));
    EXPECT_EQ(together[i].residuals, alone.residuals);
    const auto same = [&](const graph::Correction& a, const graph::Correction& b) {
      ASSERT_EQ(a.defined(), b.defined());
      if (!a.defined()) return;
      EXPECT_EQ(a.down.size(0), attachments[i].rank);
      EXPECT_TRUE(at::equal(a.down, b.down));
      EXPECT_TRUE(at::equal(a.up, b.up));
    };
    ASSERT_EQ(together[i].splice.refits.size(), alone.splice.refits.size());
    for (std::size_t k = 0; k < alone.splice.refits.size(); ++k)
      same(together[i].splice.refits[k].correction, alone.splice.refits[k].correction);
    for (std::size_t k = 0; k < alone.splice.replacements.size(); ++k)
      same(together[i].splice.replacements[k].correction, alone.splice.replacements[k].correction);
  }
}

// With ridges that are given, rows in two parts are the same rows.
TEST_P(Corrected, PartsOfTheFramesFitAsAllOfThem) {
  const std::int64_t frames = stores.front().size();
  std::vector<std::int64_t> first_at, second_at;
  for (std::int64_t i = 0; i < frames; ++i) (i % 3 == 0 ? first_at : second_at).push_back(i);
  capture::Stores first, second;
  for (const video::FrameStore& store : stores) {
    first.push_back(store.some(first_at));
    second.push_back(store.some(second_at));
  }
  const SampleWeights alike;
  const std::vector<Part> parts{{first, alike}, {second, alike}};
  for (const int rank : {0, 4}) {
    Options given = options(rank);
    given.ridge = given.correction_ridge = 1e-3;
    const Attachment attachment = plan_attachment(opened.set, cut, given);
    const Fitted all = fit(opened.set, stores, {}, cut, attachment, given, silent),
                 in_parts = fit(opened.set, parts, {}, cut, attachment, given, silent);
    ASSERT_EQ(in_parts.residuals.size(), all.residuals.size());
    for (std::size_t k = 0; k < all.residuals.size(); ++k)
      EXPECT_NEAR(in_parts.residuals[k], all.residuals[k], 1e-6) << rank;
    for (std::size_t k = 0; k < all.splice.refits.size(); ++k) {
      const at::Tensor &a = in_parts.splice.refits[k].weight, &b = all.splice.refits[k].weight;
      EXPECT_LT(largest(a - b), 1e-5 * largest(b)) << rank;
    }
  }
}

// One pass for several cuts changes no bit of any: a plan is fitted so, and fitted again one by one.
TEST_P(Corrected, CutsAreGatheredTogetherAsAlone) {
  const std::vector<Cut> cuts{cut, {0, {cut.replacements[0]}}, {0, {cut.replacements[1]}}};
  std::vector<Attachment> attachments;
  for (const Cut& one : cuts) attachments.push_back(plan_attachment(opened.set, one, options(0)));
  const std::vector<Gathered> together = gather(opened.set, stores, {}, cuts, attachments, silent);
  ASSERT_EQ(together.size(), cuts.size());
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const Fitted one = solve(together[i], attachments[i], options(0)),
                 alone = fit(opened.set, stores, {}, cuts[i], attachments[i], options(0), silent);
    EXPECT_EQ(one.residuals, alone.residuals);
    ASSERT_EQ(one.splice.refits.size(), alone.splice.refits.size());
    for (std::size_t k = 0; k < one.splice.refits.size(); ++k)
      EXPECT_TRUE(at::equal(one.splice.refits[k].weight, alone.splice.refits[k].weight));
    for (std::size_t k = 0; k < one.splice.replacements.size(); ++k) {
      const at::Tensor &a = one.splice.replacements[k].weight, &b = alone.splice.replacements[k].weight;
      ASSERT_EQ(a.defined(), b.defined());
      EXPECT_TRUE(!a.defined() || at::equal(a, b));
    }
  }
}

TEST(Gather, TakesCutsOfTwoReceiversTogetherAsAlone) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const capture::Stores stores = test::picture_stores(opened.set, 20);
  const std::vector<Cut> cuts{{0, {{1, 1, 1}}}, {1, {{1, 0, 1}}}, {0, {{0, 1, 0}}}};
  WeightsOf weights;
  for (const ModelIndex receiver : {0, 1}) {
    for (int frame = 0; frame < 20; ++frame)
      weights[receiver].boxes.push_back({{0.2 + 0.3 * receiver, 0.1, 0.5 + 0.3 * receiver, 0.6, 0.9, 0}});
  }
  std::vector<Attachment> attachments;
  attachments.reserve(cuts.size());
  for (const Cut& one : cuts) attachments.push_back(plan_attachment(opened.set, one, {}));
  SilentProgress silent;
  Reuse reuse(std::int64_t{1} << 28, std::int64_t{1} << 28);
  for (Reuse* kept : {static_cast<Reuse*>(nullptr), &reuse}) {
    const std::vector<Gathered> together = gather(opened.set, stores, {}, cuts, attachments, silent, weights, kept);
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      const Fitted one = solve(together[i], attachments[i], {}),
                   alone =
                       fit(opened.set, stores, {}, cuts[i], attachments[i], {}, silent, weights.at(cuts[i].receiver)),
                   alike = fit(opened.set, stores, {}, cuts[i], attachments[i], {}, silent);
      EXPECT_EQ(one.residuals, alone.residuals);
      EXPECT_NE(one.residuals, alike.residuals);
    }
  }
}

/// Two models with so many channels at the cut that a correction sees combinations of them.
model::Loaded broad(const std::string& name, std::uint64_t seed) {
  test::Random random(seed);
  model::Loaded loaded;
  loaded.spec = {name, name + ".pt", test::fixture_input(), {}};
  torch::jit::Module module("__torch__." + name);
  module.register_parameter("w", random.tensor({130, 3, 4, 4}), false);
  module.register_parameter("head", random.tensor({3, 130, 3, 3}, 0.1), false);
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define(R"(
    def forward(self, x):
      y = torch.relu(torch.conv2d(x, self.w, None, [4, 4], [0, 0]))
      return torch.conv2d(y, self.head, None, [1, 1], [1, 1])
  )");
  loaded.module = module;
  loaded.module.eval();
  return loaded;
}

TEST(Projection, MakesACorrectionOfManyChannelsOneOfFew) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(broad("receiver", 31));
  loaded.push_back(broad("donor", 32));
  const test::Opened opened = test::open_loaded(std::move(loaded));
  ASSERT_TRUE(opened.prepared[0].rewritable) << opened.prepared[0].opaque_reason;
  const capture::Stores stores = test::picture_stores(opened.set, 32);
  SilentProgress silent;
  const Cut cut{0, {{0, 1, 0}}};
  Options options;
  options.refit = false;
  options.rank = 4;
  const Attachment attachment = plan_attachment(opened.set, cut, options);
  const std::vector<Gathered> plain = gather(opened.set, stores, {}, {&cut, 1}, {&attachment, 1}, silent);
  const auto seeing = [&](std::int64_t most_regressors) {
    return gather_corrections(opened.set, stores, {}, cut, attachment, plain.front(), silent, {}, nullptr,
                              most_regressors);
  };
  const Gathered gathered = seeing(kMostRegressorsTried), all = seeing(kMostRegressors);
  EXPECT_TRUE(sees_more(plain.front(), kMostRegressorsTried, kMostRegressors));
  EXPECT_FALSE(sees_more(plain.front(), 130 * 9, kMostRegressors));
  EXPECT_FALSE(all.maps[0].projection.defined());
  EXPECT_LE(solve(all, attachment, options).residuals[0], solve(gathered, attachment, options).residuals[0] + 1e-3);
  ASSERT_TRUE(gathered.maps[0].projection.defined());
  EXPECT_LT(gathered.maps[0].projection.size(0), 130);
  const Fitted fitted = solve(gathered, attachment, options);
  const graph::FittedReplacement& one = fitted.splice.replacements[0];
  EXPECT_EQ(one.correction.down.sizes(), (std::vector<std::int64_t>{4, 130, 3, 3}));
  // The residual is that of the map as the bundle will compute it, on the rows that fitted.
  Options without = options;
  without.rank = 0;
  const Fitted base = solve(plain.front(), plan_attachment(opened.set, cut, without), without);
  EXPECT_LT(fitted.residuals[0], base.residuals[0]);
  const std::vector<graph::Splice> splices{fitted.splice};
  const auto pointers = opened.pointers();
  const bundle::Written written = bundle::write(opened.set, pointers, splices, "{}");
  torch::jit::Module bundle = test::load_bytes(written.bytes);
  const auto images = test::images_of(stores, {3, 4});
  const c10::InferenceMode no_gradients;
  EXPECT_LT(test::difference(bundle.forward(images).toTupleRef().elements()[0],
                             test::spliced_output(opened, splices[0], images)),
            1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, Corrected, testing::Bool(),
                         [](const auto& info) { return info.param ? "refit" : "adapters"; });

}  // namespace
}  // namespace repsim::fit
