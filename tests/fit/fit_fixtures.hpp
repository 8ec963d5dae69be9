#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fixtures/fits.hpp"
#include "fixtures/fixtures.hpp"

/// Models, cuts and solutions by other means that several tests of fits use.
namespace repsim::fit {

struct Solved {
  at::Tensor weight, bias;  // [q, p], [q] float64
  double r2 = 0;
};

/// Ridge regression with an intercept by a library least-squares solver: the penalty becomes further rows.
inline Solved reference(const at::Tensor& x, const at::Tensor& y, double ridge) {
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

inline double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

/// A module of 1x1 convolutions: `donor` gives relu(conv(x)), `receiver` the same layer times an exact linear map.
inline model::Loaded chain(const std::string& name, const at::Tensor& first, const at::Tensor& first_bias,
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
  loaded.module = std::move(module);
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

/// The fine level from one donor, the coarse one from another that is of another size.
inline Cut mixed_cut(const test::Opened& opened) {
  const auto layer = [&](ModelIndex model, const std::string& name) {
    const int found = graph::find_layer(opened.program(model), name);
    EXPECT_GE(found, 0) << name;
    return found;
  };
  return {0,
          {{layer(0, "backbone.stage2.2"), 1, layer(1, "backbone.layer2.2")},
           {layer(0, "backbone.stage3.2"), 2, layer(2, "branches.1.2")}}};
}

}  // namespace repsim::fit
