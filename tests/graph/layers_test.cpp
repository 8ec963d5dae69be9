// Which values are layers, and their names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "models.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

using testing::ElementsAre;

// One run shows one way through a branch; on another picture the write hits the other value.
TEST(Layers, LeaveOutWhatABranchMayOverwrite) {
  const auto layers_of = [](const std::string& scaled) {
    model::Loaded loaded = defined_as("def forward(self, x):\n  return x\n");
    loaded.module = torch::jit::Module("__torch__.M");
    for (const char* name : {"u", "v", "w"}) loaded.module.register_parameter(name, at::ones({3, 3, 1, 1}), false);
    loaded.module.define(
        "def forward(self, x):\n  a = torch.conv2d(x, self.u)\n  b = torch.conv2d(x, self.v)\n"
        "  if bool(x.sum() > 0.0):\n    y = a\n  else:\n    y = b\n  " +
        scaled + "\n  return torch.conv2d(a, self.w), torch.conv2d(b, self.w), y\n");
    std::vector<std::string> names;
    for (const Layer& layer : prepare(loaded, trace_run(loaded)).program.layers) names.push_back(layer.name);
    return names;
  };
  EXPECT_THAT(layers_of("y = y * 2.0"), testing::IsSupersetOf({"forward:conv2d", "forward:conv2d@2"}));
  EXPECT_THAT(layers_of("y.mul_(2.0)"),
              testing::Not(testing::Contains(testing::AnyOf("forward:conv2d", "forward:conv2d@2"))));
}

TEST(Layers, AreNamedAfterModulesAndOps) {
  EXPECT_THAT(layer_names(test::open_fixtures({"small"}).program(0)),
              ElementsAre("backbone.stem.2", "backbone.stage1.2", "backbone.stage2.2", "backbone.stage3.2",
                          "forward:upsample_nearest2d", "forward:cat", "neck.2", "head"));
}

TEST(Layers, HaveUniqueNames) {
  for (const std::string& name : kRewritable) {
    const auto names = layer_names(test::open_fixtures({name}).program(0));
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size()) << name;
    EXPECT_FALSE(names.empty()) << name;
  }
}

TEST(Layers, HaveTheSameNamesInEveryRun) {
  for (const std::string& name : kRewritable) {
    EXPECT_EQ(layer_names(test::open_fixtures({name}).program(0)), layer_names(test::open_fixtures({name}).program(0)))
        << name;
  }
}

TEST(Layers, HaveTheSameNamesScriptedAndTraced) {
  for (const std::string name : {"small", "shuffle"}) {
    EXPECT_EQ(layer_names(test::open_fixtures({name}).program(0)),
              layer_names(test::open_fixtures({name + std::string(".traced")}).program(0)))
        << name;
  }
}

TEST(Layers, OfAConvolutionCalledTwiceAreTwo) {
  // Both calls end in activations of forward's own code, which also serves `a`: the convolutions name them.
  EXPECT_THAT(layer_names(test::open_fixtures({"tied"}).program(0)),
              ElementsAre("stem.2", "twice", "twice@2", "a", "b"));
}

TEST(Layers, LeaveOutWhatIsOverwrittenLater) {
  // `left` of the fixture is multiplied in place after it was read.
  const test::Opened opened = test::open_fixtures({"inplace"});
  for (const std::string& name : layer_names(opened.program(0))) {
    const LayerIndex layer = find_layer(opened.program(0), name);
    const c10::IValue image = test::input_of(test::picture_store(opened.set.specs[0], 1), {0});
    // What a probe behind the producer sees must still be there when the model ends: replacing it is then exact.
    const std::vector<Place> places{place_of(opened.program(0).layers[layer])};
    at::Tensor kept, then;
    const Runner runner(*opened.prepared[0].graph, opened.prepared[0].parameters, places, true);
    (void)runner.run({image}, [&](int, const at::Tensor& value) {
      kept = value;
      then = value.clone();
    });
    EXPECT_TRUE(at::equal(kept, then)) << name;
  }
}

TEST(Layers, HaveTheShapesThatRunsShow) {
  for (const std::string& name : kRewritable) {
    const test::Opened opened = test::open_fixtures({name});
    const c10::IValue image = test::input_of(test::picture_store(opened.set.specs[0], 1), {0});
    for (std::size_t i = 0; i < opened.program(0).layers.size(); ++i) {
      const Layer& layer = opened.program(0).layers[i];
      const auto sizes = test::layer_value(opened.prepared[0], static_cast<int>(i), image).sizes().vec();
      EXPECT_EQ(std::vector<std::int64_t>(sizes.begin() + 1, sizes.end()), layer.shape) << name << " " << layer.name;
    }
  }
}

TEST(Flops, OfAConvolutionAreTwoPerMultiplyAdd) {
  const test::Opened opened = test::open_fixtures({"small"});
  const Program& program = opened.program(0);
  const Layer& head = program.layers[find_layer(program, "head")];
  EXPECT_EQ(head.flops, 2 * 6 * 8 * 6 * 16 * 9);
}

}  // namespace
}  // namespace repsim::graph
