// Least squares, adapters and refits against solutions by other means.
#include "repsim/fit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error_matcher.hpp"
#include "fixtures/fixtures.hpp"
#include "repsim/optimised.hpp"

namespace repsim::fit {
namespace {

struct Solved {
  at::Tensor weight, bias;  // [q, p], [q] float64
  double r2 = 0;
};

/// Ridge regression with an intercept by a library least-squares solver: the penalty becomes further rows.
Solved reference(const at::Tensor& x, const at::Tensor& y, double ridge) {
  const at::Tensor left = x.to(at::kDouble), right = y.to(at::kDouble);
  const at::Tensor mean_x = left.mean(0), mean_y = right.mean(0);
  at::Tensor a = left - mean_x, b = right - mean_y;
  const auto n = static_cast<double>(x.size(0));
  const double strength = std::sqrt(ridge * a.square().mean().item<double>() * n);
  const at::Tensor rows = at::cat({a, strength * at::eye(a.size(1), at::kDouble)});
  const at::Tensor values = at::cat({b, at::zeros({a.size(1), b.size(1)}, at::kDouble)});
  const at::Tensor solution = std::get<0>(at::linalg_lstsq(rows, values, std::nullopt, "gelsd"));
  Solved solved;
  solved.weight = solution.t();
  solved.bias = mean_y - solved.weight.mv(mean_x);
  solved.r2 = 1 - (b - a.mm(solution)).square().sum().item<double>() / b.square().sum().item<double>();
  return solved;
}

NormalEquations added_in_pieces(const at::Tensor& x, const at::Tensor& y, std::int64_t rows) {
  NormalEquations sums;
  for (std::int64_t begin = 0; begin < x.size(0); begin += rows) {
    const std::int64_t count = std::min(rows, x.size(0) - begin);
    sums.add(x.narrow(0, begin, count), y.narrow(0, begin, count));
  }
  return sums;
}

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

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
TEST(NormalEquations, KeepTheirDigitsBesideALargeOffset) {
  Data data = noisy(2, 400, 5, 3);
  data.x = data.x.to(at::kDouble) + 1e5;
  data.y = data.y.to(at::kDouble) - 3e5;
  const auto solution = added_in_pieces(data.x, data.y, 50).solve(1e-6);
  const Solved expected = reference(data.x, data.y, 1e-6);
  EXPECT_LT(largest(solution.weight - expected.weight), 1e-7);
  EXPECT_NEAR(solution.r2(), expected.r2, 1e-7);
}

TEST(NormalEquations, DoNotDependOnHowRowsAreGrouped) {
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

TEST(NormalEquations, WithFewerRowsThanRegressorsStayFinite) {
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

TEST(NormalEquations, JudgeValuesAsTheyAre) {
  const Data data = noisy(8, 200, 3, 3);
  const at::Tensor x = data.y + test::Random(9).tensor({200, 3}, 0.3) + 0.1, y = data.y.to(at::kDouble);
  const double expected =
      1 - (x.to(at::kDouble) - y).square().sum().item<double>() / (y - y.mean(0)).square().sum().item<double>();
  EXPECT_NEAR(added_in_pieces(x, data.y, 40).r2_unchanged(), expected, 1e-9);
}

/// A module of 1x1 convolutions: `donor` gives relu(conv(x)), `receiver` the same layer times an exact linear map.
model::Loaded chain(const std::string& name, const at::Tensor& first, const at::Tensor& first_bias,
                    std::uint64_t seed) {
  test::Random random(seed);
  model::Loaded loaded;
  loaded.spec = {name, name + ".pt", test::fixture_input(), {}};
  torch::jit::Module module("__torch__." + name);
  module.register_parameter("w", first, false);
  module.register_parameter("b", first_bias, false);
  module.register_parameter("head", random.tensor({3, first.size(0), 3, 3}, 0.3), false);
  module.register_parameter("head_bias", random.tensor({3}), false);
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define(R"(
    def forward(self, x):
      y = torch.conv2d(x, self.w, self.b, [4, 4], [0, 0])
      return torch.conv2d(torch.max_pool2d(y, [2, 2], [2, 2]), self.head, self.head_bias, [1, 1], [1, 1])
  )");
  loaded.module = module;
  loaded.module.eval();
  return loaded;
}

/// Two models whose first layers are invertible linear maps of each other.
struct Twins : testing::Test {
  test::Opened opened;
  capture::Stores stores;
  Twins() {
    test::Random random(21);
    const at::Tensor weight = random.tensor({6, 3, 4, 4}), bias = random.tensor({6});
    const at::Tensor map = random.tensor({6, 6}) + 2 * at::eye(6), shift = random.tensor({6});
    const at::Tensor mapped = map.mm(weight.flatten(1)).view({6, 3, 4, 4});
    std::vector<model::Loaded> loaded;
    loaded.push_back(chain("receiver", mapped, map.mv(bias) + shift, 22));
    loaded.push_back(chain("donor", weight, bias, 23));
    opened = test::open_loaded(std::move(loaded));
    stores = test::picture_stores(opened.set, 32);
  }
  void SetUp() override {
    ASSERT_TRUE(opened.prepared[0].rewritable) << opened.prepared[0].opaque_reason;
    ASSERT_EQ(opened.program(0).layers.size(), 3U);
  }
  SilentProgress silent;
};

TEST_F(Twins, ScreenFindsAnExactLinearRelation) {
  const std::vector<Screening> asked{{0, 1, {{0, 0}}}};
  const auto r2 = screen(opened.set, stores, asked, {}, silent);
  ASSERT_EQ(r2.size(), 1U);
  ASSERT_EQ(r2[0].size(), 1U);
  EXPECT_GT(r2[0][0], 1 - 1e-4);  // the default ridge keeps it this far from 1
  Options exact;
  exact.ridge = 1e-9;
  EXPECT_GT(screen(opened.set, stores, asked, exact, silent)[0][0], 1 - 1e-6);
}

TEST_F(Twins, ScreenFindsTheSameInSeveralPasses) {
  const std::vector<Screening> asked{{0, 1, {{0, 0}, {1, 0}, {1, 1}, {2, 2}}}, {1, 0, {{0, 0}, {2, 1}}}};
  const auto at_once = screen(opened.set, stores, asked, {}, silent);
  EXPECT_EQ(screen(opened.set, stores, asked, {}, silent, /*most_bytes=*/0), at_once);
}

/// What screen() regresses of a layer, taken another way: 64 places per frame or somewhat more, evenly spaced.
at::Tensor screened_rows(const test::Opened& opened, const capture::Stores& stores, ModelIndex model,
                         LayerIndex layer) {
  const graph::Layer& wanted = opened.program(model).layers[layer];
  const std::vector<graph::Place> places{graph::place_of(wanted)};
  const graph::Prepared& prepared = opened.prepared[model];
  const graph::Runner runner(*prepared.graph, prepared.parameters, places, /*keep_output=*/false);
  std::vector<at::Tensor> rows;
  const auto& store = stores[opened.set.groups[model]];
  for (std::int64_t frame = 0; frame < store.size(); ++frame) {
    runner.run({test::input_of(store, {frame})}, [&](int, const at::Tensor& value) {
      const at::Tensor all = value.permute({0, 2, 3, 1}).reshape({-1, value.size(1)});
      const std::int64_t stride = std::max<std::int64_t>(1, all.size(0) / 64);
      rows.push_back(all.slice(0, stride / 2, all.size(0), stride).clone());
    });
  }
  return at::cat(rows);
}

TEST_F(Twins, ScreenEqualsALeastSquaresLibrary) {
  // Donor layers that explain several, and layers that stand on both sides.
  const std::vector<Screening> asked{{0, 1, {{0, 0}, {1, 1}, {2, 2}}}, {1, 0, {{0, 0}, {1, 2}, {2, 2}}}};
  Options options;
  options.ridge = 1e-3;
  const auto r2 = screen(opened.set, stores, asked, options, silent);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    for (std::size_t k = 0; k < asked[i].pairs.size(); ++k) {
      const at::Tensor x = screened_rows(opened, stores, asked[i].donor, asked[i].pairs[k].donor_layer),
                       y = screened_rows(opened, stores, asked[i].receiver, asked[i].pairs[k].receiver_layer);
      ASSERT_EQ(x.size(0), y.size(0));
      EXPECT_NEAR(r2[i][k], reference(x, y, 1e-3).r2, 1e-5) << i << " " << k;
    }
  }
}

// Each model's output once and in order, whatever memory allows; none of a model that its partner keeps from its own
// batches.
TEST(Screen, HandsOnWhatModelsReturn) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "one_frame"});
  ASSERT_FALSE(opened.prepared[2].batchable);
  const capture::Stores stores = test::picture_stores(opened.set, 20);
  const std::vector<Screening> asked{{0, 1, {{0, 0}, {1, 1}}}, {1, 2, {{0, 0}}}, {2, 0, {{0, 1}}}};
  SilentProgress silent;
  for (const std::int64_t most_bytes : {std::int64_t{0}, kUnlimited}) {
    std::map<int, std::vector<c10::IValue>> found;
    std::map<int, std::int64_t> frames;
    const Outputs outputs{{0, 2}, [&](ModelIndex model, const c10::IValue& output, std::int64_t count) {
                            found[model].push_back(output.deepcopy());
                            frames[model] += count;
                          }};
    const auto r2 = screen(opened.set, stores, asked, {}, silent, most_bytes, outputs);
    EXPECT_EQ(r2, screen(opened.set, stores, asked, {}, silent));
    ASSERT_EQ(found.size(), 2U);
    for (const ModelIndex model : {0, 2}) {
      EXPECT_EQ(frames[model], 20);
      const graph::Prepared& prepared = opened.prepared[model];
      const auto runs = capture::batches(20, opened.set.batch({&model, 1}));
      ASSERT_EQ(found[model].size(), runs.size());
      const auto inputs = [&](const std::vector<std::int64_t>& positions) {
        return capture::group_inputs(opened.set, stores, {&opened.set.groups[model], 1}, positions);
      };
      const graph::ProbeRunner alone = graph::layer_runner(prepared, inputs({0}), /*keep_output=*/true);
      for (std::size_t run = 0; run < runs.size(); ++run)
        EXPECT_TRUE(test::same_bits(found[model][run], alone.runner.run(inputs(runs[run])))) << model << " " << run;
    }
  }
}

TEST_F(Twins, AdapterRecoversAnExactLinearRelation) {
  Options options;
  options.refit = false;
  options.ridge = 1e-9;
  const Cut cut{0, {{0, 1, 0}}};
  const Attachment attachment = plan_attachment(opened.set, cut, options);
  const Fitted fitted = fit(opened.set, stores, {}, cut, attachment, options, silent);
  ASSERT_EQ(fitted.residuals.size(), 1U);
  EXPECT_LT(fitted.residuals[0], 1e-6);
  const c10::IValue image = test::input_of(stores[0], {0, 5});
  const auto own = opened.loaded[0].module.forward({image});
  EXPECT_LT(test::difference(own, test::spliced_output(opened, fitted.splice, {image})), 1e-3);
}

TEST_F(Twins, RefitRecoversAConvolutionBehindAnExactLinearRelation) {
  // Cut where pooling does not stand between: the maximum of a linear map is not linear.
  Options options;
  options.ridge = 1e-9;
  const Cut cut{0, {{0, 1, 0}}};
  const Attachment attachment = plan_attachment(opened.set, cut, options);
  ASSERT_EQ(attachment.refit_nodes.size(), 1U);
  const Fitted fitted = fit(opened.set, stores, {}, cut, attachment, options, silent);
  EXPECT_EQ(fitted.splice.refits.size(), 1U);
  EXPECT_LT(fitted.residuals[0], 1.0);
}

/// What the normalisation behind the neck of `small` makes of the neck's result [rows, C]: the least squares of that
/// are the weights of both in one, since a ridge relative to the regressors does not see how large the results are.
at::Tensor normalised(const test::Opened& opened, const at::Tensor& rows) {
  const torch::jit::Module norm = opened.loaded[0].module.attr("neck").toModule().attr("1").toModule();
  const auto of = [&](const char* name) { return norm.attr(name).toTensor().to(at::kDouble); };
  return (rows.to(at::kDouble) - of("running_mean")) / (of("running_var") + 1e-5).sqrt() * of("weight") + of("bias");
}

/// What fit() returns for a refit, recomputed by gathering every row and a library solver.
TEST(Refit, EqualsALeastSquaresLibraryOnPatches) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const capture::Stores stores = test::picture_stores(opened.set, 16);
  const graph::Program &receiver = opened.program(0), &donor = opened.program(1);
  const auto layer = [](const graph::Program& program, const std::string& name) {
    const int found = graph::find_layer(program, name);
    EXPECT_GE(found, 0) << name;
    return found;
  };
  const Cut cut{0,
                {{layer(receiver, "backbone.stage2.2"), 1, layer(donor, "backbone.layer2.2")},
                 {layer(receiver, "backbone.stage3.2"), 1, layer(donor, "backbone.layer3.2")}}};
  SilentProgress silent;
  const Options options;
  const Attachment attachment = plan_attachment(opened.set, cut, options);
  ASSERT_EQ(attachment.refit_nodes.size(), 1U);
  const Fitted fitted = fit(opened.set, stores, {}, cut, attachment, options, silent);

  // The neck is a 1x1 convolution on cat(fine, upsampled coarse).
  std::vector<std::int64_t> all(16);
  for (std::size_t i = 0; i < 16; ++i) all[i] = static_cast<std::int64_t>(i);
  const c10::IValue image = test::input_of(stores[0], all);
  const auto rows = [](const at::Tensor& map) { return map.permute({0, 2, 3, 1}).reshape({-1, map.size(1)}); };
  const auto level = [&](ModelIndex model, int index) {
    return test::layer_value(opened.prepared[model], index, image);
  };
  const auto seen = [&](const at::Tensor& fine, const at::Tensor& coarse) {
    return at::cat({fine, at::upsample_nearest2d(coarse, {6, 8})}, 1);
  };
  const at::Tensor x = seen(level(1, cut.replacements[0].donor_layer), level(1, cut.replacements[1].donor_layer));
  const at::Tensor own =
      seen(level(0, cut.replacements[0].receiver_layer), level(0, cut.replacements[1].receiver_layer));
  const at::Tensor y =
      at::conv2d(own, opened.loaded[0].module.attr("neck").toModule().attr("0").toModule().attr("weight").toTensor());
  const Solved expected = reference(rows(x), normalised(opened, rows(y)), kRidge);
  const graph::ConvRefit& refit = fitted.splice.refits.at(0);
  ASSERT_GE(refit.normalisation, 0);
  // float32 weights of a solution in float64.
  EXPECT_LT(largest(refit.weight.flatten(1).to(at::kDouble) - expected.weight), 1e-5);
  EXPECT_LT(largest(refit.bias.to(at::kDouble) - expected.bias), 1e-5);
  EXPECT_NEAR(fitted.residuals[0], 1 - reference(rows(x), rows(y), kRidge).r2, 1e-6);
}

/// The fine level from one donor, the coarse one from another that is of another size.
Cut mixed_cut(const test::Opened& opened) {
  const auto layer = [&](ModelIndex model, const std::string& name) {
    const int found = graph::find_layer(opened.program(model), name);
    EXPECT_GE(found, 0) << name;
    return found;
  };
  return {0,
          {{layer(0, "backbone.stage2.2"), 1, layer(1, "backbone.layer2.2")},
           {layer(0, "backbone.stage3.2"), 2, layer(2, "branches.1.2")}}};
}

TEST(MixedCut, IsRefittedJointlyOverAllDonors) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "shuffle"});
  const capture::Stores stores = test::picture_stores(opened.set, 16);
  const Cut cut = mixed_cut(opened);
  EXPECT_THAT(cut.donors(), testing::ElementsAre(1, 2));
  SilentProgress silent;
  const Options options;
  const Attachment attachment = plan_attachment(opened.set, cut, options);
  ASSERT_EQ(attachment.refit_nodes.size(), 1U);
  EXPECT_EQ(attachment.elements_added, 16 * (14 + 8 - 16 - 20) + 16);  // channels of both donors, and a bias
  const Fitted fitted = fit(opened.set, stores, {}, cut, attachment, options, silent);

  // The neck is a 1x1 convolution on cat(fine, upsampled coarse).
  std::vector<std::int64_t> all(16);
  for (std::size_t i = 0; i < 16; ++i) all[i] = static_cast<std::int64_t>(i);
  const c10::IValue image = test::input_of(stores[0], all);
  const auto level = [&](ModelIndex model, int index) {
    return test::layer_value(opened.prepared[model], index, image);
  };
  const auto seen = [](const at::Tensor& fine, const at::Tensor& coarse) {
    return at::cat({fine, at::upsample_nearest2d(coarse, {6, 8})}, 1).permute({0, 2, 3, 1});
  };
  const at::Tensor x = seen(level(1, cut.replacements[0].donor_layer),
                            at::adaptive_avg_pool2d(level(2, cut.replacements[1].donor_layer), {3, 4}));
  const at::Tensor own =
      seen(level(0, cut.replacements[0].receiver_layer), level(0, cut.replacements[1].receiver_layer));
  const at::Tensor neck =
      opened.loaded[0].module.attr("neck").toModule().attr("0").toModule().attr("weight").toTensor();
  const at::Tensor y = own.reshape({-1, own.size(3)}).mm(neck.flatten(1).t());
  const Solved expected = reference(x.reshape({-1, x.size(3)}), normalised(opened, y), kRidge);
  const graph::ConvRefit& refit = fitted.splice.refits.at(0);
  // float32 weights of a solution in float64.
  EXPECT_LT(largest(refit.weight.flatten(1).to(at::kDouble) - expected.weight), 1e-5);
  EXPECT_LT(largest(refit.bias.to(at::kDouble) - expected.bias), 1e-5);
  EXPECT_NEAR(fitted.residuals[0], 1 - reference(x.reshape({-1, x.size(3)}), y, kRidge).r2, 1e-6);
}

TEST(MixedCut, OfAModelThatTakesFromSeveralCountsTheirAdapters) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "shuffle"});
  Options options;
  options.refit = false;
  const Attachment attachment = plan_attachment(opened.set, mixed_cut(opened), options);
  EXPECT_EQ(attachment.elements_added, (16 * 14 + 16) + (20 * 8 + 20));
  EXPECT_THAT(attachment.resize, testing::ElementsAre(false, true));
}

TEST(Attachment, CountsTheBytesOfARefitByItsChannels) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const int fine = graph::find_layer(opened.program(0), "backbone.stage2.2"),
            coarse = graph::find_layer(opened.program(0), "backbone.stage3.2");
  const int first = graph::find_layer(opened.program(1), "backbone.layer2.2"),
            second = graph::find_layer(opened.program(1), "backbone.layer3.2");
  const Attachment attachment = plan_attachment(opened.set, {0, {{fine, 1, first}, {coarse, 1, second}}}, {});
  // 1x1 convolution to 16 channels: 32 inputs instead of 36, and a bias that it did not have.
  EXPECT_EQ(attachment.elements_added, 16 * (14 + 18 - 16 - 20) + 16);
  EXPECT_EQ(attachment.bytes_added, 4 * attachment.elements_added);
  EXPECT_EQ(attachment.bytes_folded, 4 * 4 * 16);  // mean, variance, scale and shift of the normalisation behind it
  EXPECT_GT(attachment.flops_folded, 0);
}

/// A convolution behind `x`, a normalisation, and `code` with what they give: y and z.
model::Loaded normalised_model(const std::string& name, const std::string& code, bool training = false) {
  test::Random random(11);
  model::Loaded loaded;
  loaded.spec = {name, name + ".pt", test::fixture_input(), {}};
  torch::jit::Module module("__torch__." + name);
  module.register_parameter("stem", random.tensor({6, 3, 4, 4}), false);
  module.register_parameter("w", random.tensor({5, 6, 1, 1}), false);
  for (const char* each : {"scale", "shift", "mean"}) module.register_parameter(each, random.tensor({5}), false);
  module.register_parameter("variance", random.tensor({5}).abs() + 0.1, false);
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define("def forward(self, x):\n  a = torch.relu(torch.conv2d(x, self.stem, None, [4, 4]))\n" +
                std::string("  y = torch.conv2d(a, self.w)\n  z = torch.batch_norm(y, self.scale, self.shift, ") +
                (training ? "None, None, True" : "self.mean, self.variance, False") +
                ", 0.1, 0.001, False)\n  return " + code + "\n");
  loaded.module = module;
  loaded.module.eval();
  return loaded;
}
std::optional<graph::Normalisation> behind_the_second(const test::Opened& opened) {
  const std::vector<int> nodes = graph::refit_convolutions(opened.prepared[0], {0});
  EXPECT_EQ(nodes.size(), 1U);
  return graph::normalisation_behind(opened.prepared[0], nodes.at(0));
}
test::Opened opened_with(const std::string& code, bool training = false) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(normalised_model("normalised", code, training));
  return test::open_loaded(std::move(loaded));
}

TEST(Normalisation, IsTheAffineMapThatItComputes) {
  const test::Opened opened = opened_with("torch.relu(z)");
  const auto found = behind_the_second(opened);
  ASSERT_TRUE(found);
  const auto of = [&](const char* name) { return opened.loaded[0].module.attr(name).toTensor().to(at::kDouble); };
  const at::Tensor scale = of("scale") / (of("variance") + 1e-3).sqrt();
  EXPECT_LT(largest(found->scale - scale), 1e-12);
  EXPECT_LT(largest(found->shift - (of("shift") - of("mean") * scale)), 1e-12);
  EXPECT_EQ(found->parameters.size(), 4U);
  EXPECT_EQ(opened.program(0).ops.at(found->op).kind, "aten::batch_norm");
}

TEST(Normalisation, KeepsParametersThatSomethingElseReads) {
  const auto found = behind_the_second(opened_with("z + self.shift.view(1, 5, 1, 1)"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->parameters.size(), 3U);
}

TEST(Normalisation, OfAValueThatIsReadElsewhereStays) { EXPECT_FALSE(behind_the_second(opened_with("z + y.relu()"))); }

TEST(Normalisation, ByStatisticsOfThePictureStays) { EXPECT_FALSE(behind_the_second(opened_with("z", true))); }

// Two heads, one level each: 14 and 18 channels become 16 and 16, so that the changes cancel out and yet both matter.
TEST(Attachment, RefitsNoSeveralConvolutionsOnOtherChannels) {
  const test::Opened opened = test::open_fixtures({"wide", "small"});
  const int fine = graph::find_layer(opened.program(0), "backbone.layer2.2"),
            coarse = graph::find_layer(opened.program(0), "backbone.layer3.2"),
            given = graph::find_layer(opened.program(1), "backbone.stage2.2");
  ASSERT_EQ(graph::refit_convolutions(opened.prepared[0], {fine, coarse}).size(), 2U);
  const Attachment attachment = plan_attachment(opened.set, {0, {{fine, 1, given}, {coarse, 1, given}}}, {});
  EXPECT_TRUE(attachment.refit_nodes.empty());
  EXPECT_TRUE(attachment.linear.at(0) && attachment.linear.at(1));
  EXPECT_EQ(attachment.elements_added, 14 * 16 + 14 + 18 * 16 + 18);
}

TEST(Attachment, CountsTheBytesOfAdapters) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const int fine = graph::find_layer(opened.program(0), "backbone.stage1.2"),
            given = graph::find_layer(opened.program(1), "backbone.layer2.2");
  Options options;
  options.refit = false;
  const Attachment attachment = plan_attachment(opened.set, {0, {{fine, 1, given}}}, options);
  EXPECT_TRUE(attachment.possible && attachment.linear.at(0) && attachment.resize.at(0));
  EXPECT_EQ(attachment.elements_added, 12 * 14 + 12);
}

TEST(Attachment, WithoutAdaptersOrRefitNeedsTheSameChannels) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "frozen_a"});
  Options options;
  options.refit = options.linear = false;
  const LayerIndex layer = graph::find_layer(opened.program(0), "backbone.stage1.2");
  EXPECT_FALSE(
      plan_attachment(opened.set, {0, {{layer, 1, graph::find_layer(opened.program(1), "backbone.layer2.2")}}}, options)
          .possible);
  EXPECT_TRUE(plan_attachment(opened.set, {0, {{layer, 2, layer}}}, options).possible);
}

TEST(Fit, IsTheSameInEveryRun) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const capture::Stores stores = test::picture_stores(opened.set, 16);
  SilentProgress silent;
  for (const bool refit : {true, false}) {
    Options options;
    options.refit = refit;
    const Cut cut{1, {{1, 0, 1}}};
    const Attachment attachment = plan_attachment(opened.set, cut, options);
    const Fitted one = fit(opened.set, stores, {}, cut, attachment, options, silent),
                 two = fit(opened.set, stores, {}, cut, attachment, options, silent);
    ASSERT_EQ(one.splice.refits.size(), two.splice.refits.size());
    for (std::size_t i = 0; i < one.splice.refits.size(); ++i)
      EXPECT_TRUE(at::equal(one.splice.refits[i].weight, two.splice.refits[i].weight));
    for (std::size_t i = 0; i < one.splice.replacements.size(); ++i) {
      if (!one.splice.replacements[i].weight.defined()) continue;
      EXPECT_TRUE(at::equal(one.splice.replacements[i].weight, two.splice.replacements[i].weight));
    }
  }
}

}  // namespace
}  // namespace repsim::fit
