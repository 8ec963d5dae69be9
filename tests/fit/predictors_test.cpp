// Predictors of pairs of layers, against values computed in float64 from the activations themselves.
#include <gtest/gtest.h>

#include <cmath>

#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "repsim/fit/predictors.hpp"

namespace repsim::fit {
namespace {

/// y = conv(x) on maps of 6 x 8 cells, then `code` with y and the 1x1 weights `head`.
model::Loaded probe(const std::string& name, std::int64_t channels, const at::Tensor& head, std::uint64_t seed,
                    const std::string& code) {
  test::Random random(seed);
  model::Loaded loaded;
  loaded.spec = {name, name + ".pt", test::fixture_input(), {}};
  torch::jit::Module module("__torch__." + name);
  module.register_parameter("w", random.tensor({channels, 3, 8, 8}, 0.2), false);
  module.register_parameter("head", head, false);
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define("def forward(self, x):\n  y = torch.relu(torch.conv2d(x, self.w, None, [8, 8]))\n  return " + code +
                "\n");
  loaded.module = std::move(module);
  loaded.module.eval();
  return loaded;
}

struct Probes {
  test::Opened opened;
  capture::Stores stores;
  std::vector<at::Tensor> values;  // of the first layer of each model, float64 [n, C], samples of all frames

  explicit Probes(std::vector<model::Loaded> models, std::int64_t frames = 32) {
    opened = test::open_loaded(std::move(models));
    stores = test::picture_stores(opened.set, frames);
    std::vector<std::int64_t> positions;
    for (std::int64_t i = 0; i < frames; ++i) positions.push_back(i);
    const c10::InferenceMode no_gradients;
    for (const model::Loaded& model : opened.loaded) {
      const at::Tensor image = test::frames_of(stores[0], positions);
      const at::Tensor value = at::conv2d(image, model.module.attr("w").toTensor(), {}, 8).relu().to(at::kDouble);
      values.push_back(value.permute({0, 2, 3, 1}).flatten(0, 2));
    }
  }
  PredictorsOfPairs predictors(const SampleWeights& weights, const std::vector<std::int64_t>& positions) {
    SilentProgress silent;
    const std::vector<LayerPair> pairs{{0, 0}};
    return fit::predictors({opened.set, stores, 0, 1, pairs, weights, positions, 3}, silent);
  }
};

const char* const kHead = "torch.conv2d(y, self.head)";

/// Ridge regression by an explicit inverse; weights per sample.
struct Ridge {
  at::Tensor weight, bias;  // [p, q], [q]
  Ridge(const at::Tensor& x, const at::Tensor& y, const at::Tensor& rows, double ridge) {
    const at::Tensor w = (rows / rows.sum()).unsqueeze(1);
    const at::Tensor mx = (w * x).sum(0), my = (w * y).sum(0), a = x - mx, b = y - my;
    at::Tensor cov = a.t().mm(w * a);
    cov = cov + ridge * cov.diagonal().mean() * at::eye(cov.size(0), at::kDouble);
    weight = at::linalg_inv(cov).mm(a.t().mm(w * b));
    bias = my - mx.unsqueeze(0).mm(weight).squeeze(0);
  }
  double r2(const at::Tensor& x, const at::Tensor& y, const at::Tensor& rows) const {
    const at::Tensor w = (rows / rows.sum()).unsqueeze(1);
    const at::Tensor error = y - x.mm(weight) - bias, spread = y - (w * y).sum(0);
    return 1 - (w * error.square()).sum().item<double>() / (w * spread.square()).sum().item<double>();
  }
};

TEST(PairPredictors, OfOnePairEqualTheirDefinitions) {
  test::Random random(5);
  std::vector<model::Loaded> models;
  models.push_back(probe("receiver", 5, random.tensor({2, 5, 1, 1}), 1, kHead));
  models.push_back(probe("donor", 7, random.tensor({2, 7, 1, 1}), 2, kHead));
  Probes probes(std::move(models));
  SampleWeights weights;
  weights.boxes.resize(32);
  for (std::size_t i = 0; i < 32; ++i)
    weights.boxes[i].push_back({0.1, 0.2, 0.1 + 0.02 * static_cast<double>(i), 0.9, 0.7, 0});
  const PairPredictors found = probes.predictors(weights, {0, 7, 21}).pairs.at(0);

  const at::Tensor y = probes.values[0], x = probes.values[1];
  const at::Tensor even = at::ones({y.size(0)}, at::kDouble);
  EXPECT_NEAR(found.r2, Ridge(x, y, even, 1e-4).r2(x, y, even), 1e-5);
  std::vector<std::int64_t> all(32);
  for (std::int64_t i = 0; i < 32; ++i) all[i] = i;
  const at::Tensor rows = weights.of(all, 6, 8).flatten();
  EXPECT_NEAR(found.r2_weighted, Ridge(x, y, rows, 1e-4).r2(x, y, rows), 1e-5);
  EXPECT_GT(std::abs(found.r2 - found.r2_weighted), 1e-4);  // or the weights would not be tested

  // CKA by centred Gram matrices of all positions.
  const auto gram = [](const at::Tensor& value) {
    const at::Tensor centred = value - value.mean(0);
    return centred.mm(centred.t());
  };
  const at::Tensor k = gram(x), l = gram(y);
  const double cka =
      (k * l).sum().item<double>() / std::sqrt(k.square().sum().item<double>() * l.square().sum().item<double>());
  EXPECT_NEAR(found.spatial_cka, cka, 1e-5);
}

TEST(PairPredictors, OutputErrorOfOneLinearOutputIsExact) {
  // One output, linear in the layer: whatever the sign of its projection, the square of what an error changes is the
  // same.
  test::Random random(6);
  const at::Tensor head = random.tensor({1, 5, 1, 1});
  std::vector<model::Loaded> models;
  models.push_back(probe("receiver", 5, head, 1, kHead));
  models.push_back(probe("donor", 4, random.tensor({1, 4, 1, 1}), 2, kHead));
  Probes probes(std::move(models));
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < 16; ++i) positions.push_back(i);
  const PredictorsOfPairs found = probes.predictors({}, positions);
  EXPECT_EQ(found.not_differentiable, "");

  const at::Tensor y = probes.values[0], x = probes.values[1];
  const at::Tensor even = at::ones({y.size(0)}, at::kDouble);
  const Ridge ridge(x, y, even, 1e-4);
  const at::Tensor w = head.flatten().to(at::kDouble);
  const at::Tensor first = y.narrow(0, 0, 16 * 48), error = (y - x.mm(ridge.weight) - ridge.bias).narrow(0, 0, 16 * 48);
  const double spread = first.mv(w).std(/*unbiased=*/false).item<double>();
  const double expected = error.mv(w).square().mean().item<double>() / (spread * spread);
  EXPECT_NEAR(found.pairs.at(0).output_error, expected, 1e-4 * expected);
}

TEST(PairPredictors, SayWhyAModelCannotBeDifferentiated) {
  test::Random random(7);
  std::vector<model::Loaded> models;
  models.push_back(probe("receiver", 5, random.tensor({2, 5, 1, 1}), 1, "(torch.conv2d(y, self.head) > 0).float()"));
  models.push_back(probe("donor", 5, random.tensor({2, 5, 1, 1}), 2, kHead));
  Probes probes(std::move(models));
  const PredictorsOfPairs found = probes.predictors({}, {0, 1, 2});
  EXPECT_NE(found.not_differentiable.find("smoothly"), std::string::npos) << found.not_differentiable;
  EXPECT_TRUE(std::isnan(found.pairs.at(0).output_error));
  EXPECT_FALSE(std::isnan(found.pairs.at(0).r2));
}

TEST(PairPredictors, OfATwinArePerfect) {
  test::Random random(8);
  const at::Tensor head = random.tensor({2, 5, 1, 1});
  std::vector<model::Loaded> models;
  models.push_back(probe("receiver", 5, head, 1, kHead));
  models.push_back(probe("donor", 5, head, 1, kHead));
  Probes probes(std::move(models));
  const PairPredictors found = probes.predictors({}, {0, 9}).pairs.at(0);
  EXPECT_NEAR(found.spatial_cka, 1, 1e-9);
  EXPECT_NEAR(found.r2, 1, 1e-3);  // the ridge keeps it this far from 1
  EXPECT_NEAR(found.output_error, 0, 1e-3);
}

TEST(AgreementBehind, IsTheUnfittedR2OfTheLastLayers) {
  test::Random random(9);
  std::vector<model::Loaded> models;
  models.push_back(probe("receiver", 5, random.tensor({2, 5, 1, 1}), 1, kHead));
  models.push_back(probe("donor", 5, random.tensor({2, 5, 1, 1}), 2, kHead));
  Probes probes(std::move(models));
  const graph::Program& program = probes.opened.program(0);
  ASSERT_EQ(last_layers(program), std::vector<int>{1});  // what the head returns
  graph::Splice splice;
  splice.receiver = 0;
  graph::FittedReplacement one;
  one.receiver_layer = 0;
  one.donor = 1;
  one.donor_layer = 0;
  splice.replacements.push_back(one);
  SilentProgress silent;
  std::vector<std::int64_t> all(32);
  for (std::int64_t i = 0; i < 32; ++i) all[i] = i;
  const double found = agreement_behind(probes.opened.set, probes.stores, splice, {}, all, silent);
  const c10::InferenceMode no_gradients;
  const at::Tensor image = test::frames_of(probes.stores[0], all);
  const at::Tensor head = probes.opened.loaded[0].module.attr("head").toTensor();
  const auto result_from = [&](std::size_t model) {
    const at::Tensor weight = probes.opened.loaded[model].module.attr("w").toTensor();
    return at::conv2d(at::conv2d(image, weight, {}, 8).relu(), head).to(at::kDouble);
  };
  const at::Tensor own = result_from(0), merged = result_from(1);
  const double expected =
      1 - (own - merged).square().sum().item<double>() /
              (own - own.mean(at::IntArrayRef{0, 2, 3}, /*keepdim=*/true)).square().sum().item<double>();
  EXPECT_NEAR(found, expected, 1e-5 * std::abs(expected));
}

}  // namespace
}  // namespace repsim::fit
