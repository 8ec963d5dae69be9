// The private copy that capture runs: every layer's values are those of the model as it is, and what cannot be copied
// so runs as it is.
#include "repsim/optimised.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fixtures/fixtures.hpp"

namespace repsim::graph {
namespace {

namespace fs = std::filesystem;

/// Copies of what the probes of all layers see.
std::vector<at::Tensor> layers_of(const Prepared& model, const Runner& runner, const c10::IValue& input) {
  std::vector<at::Tensor> values(model.program.layers.size());
  runner.run({input}, [&](LayerIndex layer, const at::Tensor& value) {
    values[layer] = value.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  });
  return values;
}

Runner as_it_is(const Prepared& model) {
  std::vector<Place> places;
  for (const Layer& layer : model.program.layers) places.push_back(place_of(layer));
  return {*model.graph, model.parameters, places, /*keep_output=*/false};
}

/// On other frames, and more of them, than the runner was chosen with.
void expect_the_layers_of(const Prepared& model, const model::InputSpec& spec, const Runner& runner) {
  const video::FrameStore store = test::picture_store(spec, 16, 7);
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < (model.batchable ? 16 : 1); ++i) positions.push_back(i);
  const c10::IValue input = test::input_of(store, positions);
  const std::vector<at::Tensor> own = layers_of(model, as_it_is(model), input), fast = layers_of(model, runner, input);
  for (std::size_t i = 0; i < own.size(); ++i) {
    const std::string& name = model.program.layers[i].name;
    ASSERT_EQ(own[i].defined(), fast[i].defined()) << model.name << ": " << name;
    if (!own[i].defined() || own[i].numel() == 0) continue;
    ASSERT_EQ(own[i].sizes(), fast[i].sizes()) << model.name << ": " << name;
    EXPECT_LE((own[i] - fast[i]).abs().max().item<double>(), 1e-4 * own[i].abs().max().item<double>())
        << model.name << ": " << name;
  }
}

ProbeRunner choose(const Prepared& model, const model::InputSpec& spec) {
  const video::FrameStore store = test::picture_store(spec, 2, 3);
  return layer_runner(
      model, {test::input_of(store, model.batchable ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{0})});
}

TEST(Optimise, KeepsTheLayersOfOrdinaryModels) {
  for (const char* name : {"small", "small.traced", "wide", "tied", "shuffle", "shuffle.traced", "inplace", "dict",
                           "list", "bytes", "one_frame", "frozen_a", "yolov8"}) {
    const test::Opened opened = test::open_fixtures({name});
    const ProbeRunner chosen = choose(opened.prepared[0], opened.set.specs[0]);
    EXPECT_EQ(chosen.reason, "") << name;
    expect_the_layers_of(opened.prepared[0], opened.set.specs[0], chosen.runner);
  }
}

// Whatever becomes of them, optimised or not: what the probes see is right.
TEST(Optimise, OrTheModelAsItIsForEveryWayOfWriting) {
  int optimised = 0, animals = 0;
  for (const auto& entry : fs::recursive_directory_iterator(test::fixture_path("zoo").replace_extension())) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() != ".pt" || name == "mobile" || name == "optimised") continue;  // those do not load
    std::vector<model::Loaded> loaded;
    loaded.push_back(model::load({name, entry.path().string(), test::fixture_input(), {}}, ""));
    const test::Opened opened = test::open_loaded(std::move(loaded));
    if (!opened.prepared[0].rewritable) continue;
    const ProbeRunner chosen = choose(opened.prepared[0], opened.set.specs[0]);
    ++animals;
    optimised += chosen.reason.empty() ? 1 : 0;
    expect_the_layers_of(opened.prepared[0], opened.set.specs[0], chosen.runner);
  }
  EXPECT_GT(animals, 30);
  EXPECT_GT(optimised, animals / 2);
}

TEST(Optimise, FoldsPacksAndFuses) {
  const test::Opened opened = test::open_fixtures({"small"});
  const Optimised optimised = optimise(opened.prepared[0]);
  EXPECT_GT(optimised.convolutions, 0);
  EXPECT_GT(optimised.normalisations, 0);
  EXPECT_GT(optimised.activations, 0);
  for (const torch::jit::Node* node : optimised.graph->nodes()) EXPECT_NE(node->kind(), c10::aten::batch_norm);
}

// Values between a convolution and what is fused into it are read as well: whoever asks for what, a value's bits are
// the same, and those of the model as it is to 1e-4.
TEST(Optimise, BitsOfAValueDoNotDependOnWhatElseIsRead) {
  for (const char* name : {"small", "wide", "shuffle", "inplace", "yolov8"}) {
    const test::Opened opened = test::open_fixtures({name});
    const Prepared& model = opened.prepared[0];
    const std::vector<ModelIndex> wanted{0};
    std::vector<PlaceRequest> requests;
    int node = 0;
    for (const torch::jit::Node* one : model.graph->nodes()) {
      const std::string kind = one->kind().toUnqualString();
      if (kind == "conv2d" || kind == "_convolution" || kind == "batch_norm") requests.push_back({0, {node, 0}, false});
      ++node;
    }
    for (const Layer& layer : model.program.layers) requests.push_back({0, place_of(layer), false});
    Assembly assembly = assemble(opened.set.models, opened.set.groups, {}, wanted, requests);
    const video::FrameStore store = test::picture_store(opened.set.specs[0], 2, 9);
    const std::vector<c10::IValue> input{
        test::input_of(store, model.batchable ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{0})};
    const auto values_of = [&](const std::vector<Place>& places) {
      const ProbeRunner chosen = merged_runner(assembly, places, input);
      EXPECT_EQ(chosen.reason, "") << name;
      std::vector<at::Tensor> values(places.size());
      chosen.runner.run(input, [&](int place, const at::Tensor& value) {
        values[place] = value.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
      });
      return values;
    };
    const std::vector<at::Tensor> all = values_of(assembly.places);
    test::Random random(3);
    for (int draw = 0; draw < 4; ++draw) {
      std::vector<Place> some = assembly.places;
      for (Place& place : some) {
        if (random.below(2) == 0) place = Place{};
      }
      const std::vector<at::Tensor> values = values_of(some);
      for (std::size_t i = 0; i < some.size(); ++i) {
        EXPECT_TRUE(some[i].node < 0 || at::equal(values[i], all[i])) << name << ", value " << i;
      }
    }
  }
}

TEST(Optimise, LeavesTheModelAsItIs) {
  const test::Opened opened = test::open_fixtures({"small"});
  const Prepared& model = opened.prepared[0];
  const std::string before = model.graph->toString(false);
  const at::Tensor weight = model.parameters.at(0).toTensor().clone();
  (void)optimise(model);
  EXPECT_EQ(model.graph->toString(false), before);
  EXPECT_TRUE(at::equal(model.parameters.at(0).toTensor(), weight));
}

/// A model of the code `forward` with three 3x3 convolutions w1 (3 to 8 channels), w2, w3 (8 to 8).
test::Opened written(const std::string& forward) {
  torch::jit::Module module("m");
  test::Random random(5);
  module.register_parameter("w1", random.tensor({8, 3, 3, 3}), false);
  module.register_parameter("w2", random.tensor({8, 8, 3, 3}), false);
  module.register_parameter("w3", random.tensor({8, 8, 3, 3}), false);
  module.define(forward);
  module.eval();
  model::Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), {}};
  loaded.module = std::move(module);
  std::vector<model::Loaded> all;
  all.push_back(std::move(loaded));
  return test::open_loaded(std::move(all));
}

// Reads memory by strides, so that another order of the channels gives other values.
TEST(Optimise, FallsBackWhereValuesDiffer) {
  const test::Opened opened = written(R"(
    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(torch.conv2d(x, self.w1, None, [1, 1], [1, 1]))
        z = torch.as_strided(y, [y.size(0), 8, 48, 64], [24576, 3072, 64, 1])
        a = torch.relu(torch.conv2d(z, self.w2, None, [1, 1], [1, 1]))
        return torch.conv2d(a, self.w3, None, [1, 1], [1, 1])
  )");
  ASSERT_TRUE(opened.prepared[0].rewritable) << opened.prepared[0].opaque_reason;
  const ProbeRunner chosen = choose(opened.prepared[0], opened.set.specs[0]);
  EXPECT_THAT(chosen.reason, testing::HasSubstr("differs by"));
  expect_the_layers_of(opened.prepared[0], opened.set.specs[0], chosen.runner);
}

TEST(Optimise, FallsBackWhereValuesAreNotFinite) {
  test::Opened opened = test::open_fixtures({"small"});
  Prepared& model = opened.prepared[0];
  for (std::size_t i = 0; i < model.parameters.size(); ++i) {
    if (model.program.parameters[i].shape.size() != 4) continue;
    model.parameters[i] = at::full_like(model.parameters[i].toTensor(), std::numeric_limits<float>::quiet_NaN());
    break;
  }
  EXPECT_NE(choose(model, opened.set.specs[0]).reason, "");
}

TEST(Optimise, KeepsEveryActivationThatItFuses) {
  for (const char* activation :
       {"torch.relu(y)", "torch.leaky_relu(y, 0.1)", "torch.sigmoid(y)", "torch.tanh(y)", "torch.silu(y)",
        "torch.hardswish(y)", "torch.hardsigmoid(y)", "torch.hardtanh(y, -0.5, 2.5)", "torch.clamp(y, 0.0, 6.0)",
        "torch.clamp(y, 0.0)", "torch.gelu(y)", "y"}) {
    const test::Opened opened = written(std::string(R"(
    def forward(self, x: Tensor) -> Tensor:
        y = torch.conv2d(x, self.w1, None, [2, 2], [1, 1])
        z = )") + activation + R"(
        a = torch.relu(torch.conv2d(z, self.w2, None, [1, 1], [1, 1]))
        return torch.conv2d(a, self.w3, None, [1, 1], [1, 1])
    )");
    ASSERT_TRUE(opened.prepared[0].rewritable) << activation << ": " << opened.prepared[0].opaque_reason;
    const ProbeRunner chosen = choose(opened.prepared[0], opened.set.specs[0]);
    EXPECT_EQ(chosen.reason, "") << activation;
    expect_the_layers_of(opened.prepared[0], opened.set.specs[0], chosen.runner);
  }
}

}  // namespace
}  // namespace repsim::graph
