// Preparing models, naming layers, and joining models into one graph.
#include "repsim/graph.hpp"

#include <ATen/ops/allclose.h>
#include <ATen/ops/max_pool2d.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/ir/irparser.h>

#include <limits>
#include <set>

#include "base/error_matcher.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::graph {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kTransparent{"small",     "wide",         "dict",           "list", "images",
                                            "control",   "inplace",      "shuffle",        "tied", "frozen_a",
                                            "one_frame", "small.traced", "shuffle.traced", "bytes"};

std::vector<std::string> layer_names(const Program& program) {
  std::vector<std::string> names;
  for (const Layer& layer : program.layers) names.push_back(layer.name);
  return names;
}

TEST(Prepare, MakesEveryOrdinaryModelTransparent) {
  for (const std::string& name : kTransparent) {
    EXPECT_EQ(test::open_fixtures({name}).prepared[0].opaque_reason, "") << name;
  }
}

TEST(Prepare, ReturnsTheBitsOfTheOriginalOnFramesItHasNotSeen) {
  for (const std::string& name : kTransparent) {
    const test::Opened opened = test::open_fixtures({name});
    const Prepared& prepared = opened.prepared[0];
    ASSERT_TRUE(prepared.rewritable) << name;
    const capture::Stores stores = test::picture_stores(opened.set, 3, 7);
    const Runner runner(*prepared.graph, prepared.parameters, {}, true);
    std::vector<std::vector<std::int64_t>> batches{{0}, {2}};
    if (prepared.batchable) batches.push_back({0, 1, 2});
    for (const auto& positions : batches) {
      const c10::IValue image = test::input_of(stores[0], positions);
      EXPECT_TRUE(test::same_bits(runner.run({image}), test::run_file(test::fixture_path(name).string(), image)))
          << name << ", " << positions.size() << " frames";
    }
  }
}

TEST(Prepare, DoesNotChangeTheLoadedModel) {
  for (const std::string name : {"inplace", "control"}) {
    const test::Opened opened = test::open_fixtures({name});
    const c10::IValue image = test::input_of(test::picture_store(opened.set.specs[0], 1), {0});
    torch::jit::Module module = opened.loaded[0].module;
    EXPECT_TRUE(test::same_bits(module.forward({image}), test::run_file(test::fixture_path(name).string(), image)))
        << name;
  }
}

TEST(Prepare, KeepsAModelThatWritesItsOwnBufferWhole) {
  const test::Opened opened = test::open_fixtures({"counter"});
  EXPECT_FALSE(opened.prepared[0].rewritable);
  EXPECT_NE(opened.prepared[0].opaque_reason, "");
  EXPECT_THAT(opened.program(0).ops, testing::IsEmpty());
}

TEST(Prepare, KeepsAModelThatHoldsASparseTensorWhole) {
  model::Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), {}};
  loaded.module = torch::jit::Module("__torch__.M");
  loaded.module.register_buffer("mask", at::eye(3).to_sparse());
  loaded.module.define("def forward(self, x):\n  return torch.matmul(self.mask.to_dense(), x.flatten(2))\n");
  const Prepared prepared = prepare(loaded, dry_run(loaded));
  EXPECT_FALSE(prepared.rewritable);
  EXPECT_EQ(prepared.opaque_reason, "holds the sparse tensor mask");
  EXPECT_EQ(prepared.model_elements, 3);
  EXPECT_EQ(prepared.model_bytes, 3 * 4 + 2 * 3 * 8);  // values, and their rows and columns
}

model::Loaded defined_as(const std::string& forward) {
  model::Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), {}};
  loaded.module = torch::jit::Module("__torch__.M");
  loaded.module.define(forward);
  return loaded;
}

// Where the loop runs no round, y is a: whichever of them is doubled behind it, both are.
TEST(Prepare, KeepsAModelThatWritesBehindALoopOfNoRoundWhole) {
  for (const std::string written : {"y", "a"}) {
    const auto forward = [&](const std::string& rounds) {
      return "def forward(self, x):\n  a = torch.relu(x)\n  y = a\n  for i in range(" + rounds +
             "):\n    y = torch.neg(y)\n  " + written + ".mul_(2.0)\n  return torch.max_pool2d(a, [2, 2]), y\n";
    };
    const model::Loaded steered = defined_as(forward("int(x.max() * 0.5)")), fixed = defined_as(forward("2"));
    const Prepared whole = prepare(steered, dry_run(steered));
    EXPECT_FALSE(whole.rewritable) << written;
    EXPECT_EQ(whole.opaque_reason, "writes into memory that is another value's where a loop runs no round");
    EXPECT_TRUE(prepare(fixed, dry_run(fixed)).rewritable) << written;
  }
}

// Boxes are scaled in place in the dicts of a list, as torchvision's detectors do it: the results need that.
TEST(Ops, ThatWriteIntoWhatResultsHoldAreNeeded) {
  model::Loaded loaded = defined_as("def forward(self, x):\n  return x\n");
  loaded.module = torch::jit::Module("__torch__.M");
  for (const char* name : {"v", "w"}) loaded.module.register_parameter(name, at::ones({3, 3, 1, 1}), false);
  loaded.module.define(
      "def forward(self, x):\n  found = [{'boxes': torch.conv2d(torch.conv2d(x, self.v), self.w)}]\n"
      "  for i in range(int(x.size(0))):\n    one = found[i]\n    one['boxes'] = one['boxes'] * 2.0\n  return found\n");
  const Prepared prepared = prepare(loaded, dry_run(loaded));
  ASSERT_TRUE(prepared.rewritable) << prepared.opaque_reason;
  const Program& program = prepared.program;
  ASSERT_FALSE(program.layers.empty());
  const std::vector<bool> live = live_ops(program, {0});
  std::size_t writing = 0;
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (program.ops[op].kind != "prim::Loop" && program.ops[op].kind != "aten::_set_item") continue;
    EXPECT_TRUE(live[op]) << program.ops[op].kind;
    ++writing;
  }
  EXPECT_GE(writing, 1U);
}

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
    for (const Layer& layer : prepare(loaded, dry_run(loaded)).program.layers) names.push_back(layer.name);
    return names;
  };
  EXPECT_THAT(layers_of("y = y * 2.0"), testing::IsSupersetOf({"forward:conv2d", "forward:conv2d@2"}));
  EXPECT_THAT(layers_of("y.mul_(2.0)"),
              testing::Not(testing::Contains(testing::AnyOf("forward:conv2d", "forward:conv2d@2"))));
}

TEST(Prepare, KnowsWhichModelsTakeOneFrameAtATime) {
  EXPECT_TRUE(test::open_fixtures({"small"}).prepared[0].batchable);
  EXPECT_TRUE(test::open_fixtures({"small.traced"}).prepared[0].batchable);
  EXPECT_FALSE(test::open_fixtures({"one_frame"}).prepared[0].batchable);
  EXPECT_FALSE(test::open_fixtures({"images"}).prepared[0].batchable);
}

TEST(Prepare, CountsAWeightOfTwoModulesOnce) {
  const test::Opened opened = test::open_fixtures({"tied"});
  // stem 8*27 and its normalisation 4*8+1 (a counter), three convolutions of which two share 8*8*9 weights, three
  // biases.
  EXPECT_EQ(opened.prepared[0].model_elements, 8 * 27 + 33 + 2 * 576 + 3 * 8);
}

TEST(TraceRun, ReportsTheModelsOwnMessage) {
  EXPECT_THAT(test::error_text([] { (void)test::open_fixtures({"raises"}); }),
              AllOf(testing::StartsWith("input: "), HasSubstr("this model wants a width of 31"), HasSubstr("64x48"),
                    HasSubstr("--input")));
}

TEST(TraceRun, LeavesAModelThatCountsItsCallsAsItWas) {
  const model::Loaded loaded = test::load_fixture("counter");
  (void)dry_run(loaded);
  EXPECT_EQ(loaded.module.attr("calls").toTensor().item<float>(), 0);
}

TEST(Layers, AreNamedAfterModulesAndOps) {
  EXPECT_THAT(layer_names(test::open_fixtures({"small"}).program(0)),
              ElementsAre("backbone.stem.2", "backbone.stage1.2", "backbone.stage2.2", "backbone.stage3.2",
                          "forward:upsample_nearest2d", "forward:cat", "neck.2", "head"));
}

TEST(Layers, HaveUniqueNames) {
  for (const std::string& name : kTransparent) {
    const auto names = layer_names(test::open_fixtures({name}).program(0));
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size()) << name;
    EXPECT_FALSE(names.empty()) << name;
  }
}

TEST(Layers, HaveTheSameNamesInEveryRun) {
  for (const std::string& name : kTransparent) {
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
  for (const std::string& name : kTransparent) {
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

/// Cuts of `receiver`, one third of them, with seeded donors: enough to meet every kind of layer.
struct Pair {
  std::string receiver, donor;
};

class Splices : public testing::TestWithParam<Pair> {};

// Invariant 2 of docs/internals/contracts.md, the merged graph. 1e-5: einsum and convolution add in another order.
TEST_P(Splices, EqualAnIndependentSplice) {
  const test::Opened opened = test::open_fixtures({GetParam().receiver, GetParam().donor});
  const capture::Stores stores = test::picture_stores(opened.set, 2, 3);
  std::vector<c10::IValue> images;
  for (const video::FrameStore& store : stores) images.push_back(test::input_of(store, {1}));
  const auto cuts = test::map_cuts(opened.program(0));
  ASSERT_FALSE(cuts.empty());
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const std::vector<Splice> splices{test::random_splice(opened, 0, 1, cuts[i].layers, i + 1)};
    const std::vector<ModelIndex> wanted{0, 1};
    const Assembly assembly = assemble(opened.set.models, opened.set.groups, splices, wanted);
    std::vector<c10::IValue> read;  // a receiver that takes everything from its donor reads no picture of its own
    for (const int group : assembly.input_groups) read.push_back(images[group]);
    const c10::IValue both = Runner(*assembly.graph, assembly.parameter_values(), {}, true).run(read);
    const auto& outputs = both.toTupleRef().elements();
    EXPECT_LT(test::difference(test::spliced_output(opened, splices[0], images), outputs[0]), 1e-5) << "cut " << i;
    const c10::IValue donor = test::run_file(opened.loaded[1].spec.path, images[opened.set.groups[1]]);
    EXPECT_TRUE(test::same_bits(outputs[1], donor)) << "cut " << i << ": the donor changed";
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Splices,
                         testing::Values(Pair{"small", "wide"}, Pair{"wide", "small.traced"}, Pair{"list", "shuffle"},
                                         Pair{"inplace", "wide"}, Pair{"control", "inplace"},
                                         Pair{"shuffle.traced", "control"}, Pair{"tied", "small"},
                                         Pair{"images", "small"}, Pair{"one_frame", "list"}, Pair{"bytes", "wide"}),
                         [](const auto& info) {
                           std::string name = info.param.receiver + "_from_" + info.param.donor;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

// The length of its last loop is read from the first frame of a batch, which speaks for one frame only.
TEST(Prepare, TakesOneFrameAtATimeWhereValuesSteer) {
  EXPECT_FALSE(test::open_fixtures({"control"}).prepared[0].batchable);
  EXPECT_TRUE(test::open_fixtures({"shuffle"}).prepared[0].batchable);
}

// The value goes over as it is: neither resize nor convolution stands between the donor's tensor and the receiver's
// writes.
TEST(Assemble, LetsNoWriteOfTheReceiverReachTheDonor) {
  const test::Opened opened = test::open_fixtures({"inplace", "frozen_a"});
  const test::Opened twins = test::open_fixtures({"inplace", "inplace"});
  const capture::Stores stores = test::picture_stores(twins.set, 1);
  const c10::IValue image = test::input_of(stores[0], {0});
  const c10::IValue own = test::run_file(twins.loaded[1].spec.path, image);
  for (LayerIndex layer = 0; layer < static_cast<int>(twins.program(0).layers.size()); ++layer) {
    Splice splice;
    splice.receiver = 0;
    FittedReplacement one;
    one.receiver_layer = one.donor_layer = layer;
    one.donor = 1;
    splice.replacements.push_back(one);
    const std::vector<Splice> splices{splice};
    const std::vector<ModelIndex> wanted{0, 1};
    const Assembly assembly = assemble(twins.set.models, twins.set.groups, splices, wanted);
    const c10::IValue both = Runner(*assembly.graph, assembly.parameter_values(), {}, true).run({image});
    EXPECT_TRUE(test::same_bits(both.toTupleRef().elements()[0], own)) << twins.program(0).layers[layer].name;
    EXPECT_TRUE(test::same_bits(both.toTupleRef().elements()[1], own)) << twins.program(0).layers[layer].name;
  }
}

TEST(Runner, PoolsAsTorchDoesToTheBit) {
  torch::jit::Graph graph;
  torch::jit::parseIR(R"IR(
    graph(%x : Tensor):
      %false : bool = prim::Constant[value=0]()
      %true : bool = prim::Constant[value=1]()
      %a : int = prim::Constant[value=1]()
      %b : int = prim::Constant[value=2]()
      %c : int = prim::Constant[value=3]()
      %one : int[] = prim::ListConstruct(%a, %a)
      %two : int[] = prim::ListConstruct(%b, %b)
      %three : int[] = prim::ListConstruct(%c, %c)
      %no : int[] = prim::ListConstruct()
      %p : Tensor = aten::max_pool2d(%x, %three, %two, %one, %one, %false)
      %q : Tensor = aten::max_pool2d(%p, %two, %no, %one, %one, %true)
      return (%p, %q))IR",
                      &graph);
  const Runner runner(graph, {}, {}, true);
  test::Random random(4);
  at::Tensor x = random.tensor({2, 5, 23, 31});
  x[0][1][3][4] = std::numeric_limits<float>::quiet_NaN();
  for (const at::Tensor& input :
       {x, x.contiguous(at::MemoryFormat::ChannelsLast), x.transpose(2, 3), x.slice(1, 1, 4)}) {
    const c10::IValue results = runner.run({input});
    const at::Tensor p = at::max_pool2d(input, {3, 3}, {2, 2}, {1, 1}),
                     q = at::max_pool2d(p, {2, 2}, {}, {1, 1}, {1, 1}, true);
    const auto& elements = results.toTupleRef().elements();
    EXPECT_TRUE(at::allclose(elements[0].toTensor(), p, 0, 0, /*equal_nan=*/true));
    EXPECT_TRUE(at::allclose(elements[1].toTensor(), q, 0, 0, /*equal_nan=*/true));
    EXPECT_EQ(elements[0].toTensor().strides(), p.strides());
  }
}

TEST(Assemble, ComputesWhatIsIdenticalOnce) {
  const test::Opened opened = test::open_fixtures({"frozen_a", "frozen_b"});
  const std::vector<ModelIndex> wanted{0, 1};
  const Assembly assembly = assemble(opened.set.models, opened.set.groups, {}, wanted);
  std::int64_t convolutions = 0;
  for (torch::jit::Node* node : assembly.graph->nodes()) convolutions += node->kind() == c10::aten::conv2d ? 1 : 0;
  EXPECT_EQ(convolutions, 4 + 2 * 2);  // one backbone, two necks and heads
}

TEST(Assemble, HoldsExactlyTheParametersThatTheRemovalLeaves) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  for (const planner::DepthCut& cut : test::map_cuts(opened.program(0))) {
    const std::vector<Splice> splices{test::random_splice(opened, 0, 1, cut.layers, 5)};
    const std::vector<ModelIndex> wanted{0, 1};
    const Assembly assembly = assemble(opened.set.models, opened.set.groups, splices, wanted);
    std::set<std::string> left, expected;
    for (const AssembledParameter& parameter : assembly.parameters) {
      if (parameter.model == 0 && !parameter.added) left.insert(parameter.path);
    }
    const Removal removal = removed_by(opened.program(0), cut.layers);
    for (std::size_t i = 0; i < opened.program(0).parameters.size(); ++i) {
      if (std::find(removal.parameters.begin(), removal.parameters.end(), static_cast<int>(i)) ==
          removal.parameters.end()) {
        expected.insert(opened.program(0).parameters[i].path);
      }
    }
    EXPECT_EQ(left, expected) << "cut of " << cut.layers.size() << " layers";
  }
}

TEST(Assemble, RefusesACycle) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const std::vector<Splice> splices{test::random_splice(opened, 0, 1, {1}, 1),
                                    test::random_splice(opened, 1, 0, {1}, 2)};
  const std::vector<ModelIndex> wanted{0, 1};
  const auto error = test::error_of([&] { (void)assemble(opened.set.models, opened.set.groups, splices, wanted); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kInternal);
}

TEST(DescribeJoint, AgreesWithThePrograms) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const std::vector<ModelIndex> wanted{0, 1};
  const Assembly assembly = assemble(opened.set.models, opened.set.groups, {}, wanted);
  const Program merged = describe_merged(assembly, {test::input_of(test::picture_store(opened.set.specs[0], 1), {0})});
  EXPECT_EQ(total_parameter_bytes(merged),
            total_parameter_bytes(opened.program(0)) + total_parameter_bytes(opened.program(1)));
  // Both decode the boxes of their grids; what is equal there is computed once, which only takes away.
  EXPECT_LE(total_flops(merged), total_flops(opened.program(0)) + total_flops(opened.program(1)));
  EXPECT_GT(total_flops(merged), (total_flops(opened.program(0)) + total_flops(opened.program(1))) * 98 / 100);
}

TEST(RefitConvolutions, AreTheFirstOnesAfterThePyramid) {
  const test::Opened opened = test::open_fixtures({"small"});
  const Program& program = opened.program(0);
  const auto nodes = refit_convolutions(
      opened.prepared[0], {find_layer(program, "backbone.stage2.2"), find_layer(program, "backbone.stage3.2")});
  ASSERT_EQ(nodes.size(), 1U);
  EXPECT_THAT(convolution_geometry(opened.prepared[0], nodes[0]).weight_shape, ElementsAre(16, 36, 1, 1));
}

TEST(RefitConvolutions, AreNoneWhereAPathEndsElsewhere) {
  // The head's output is decoded, not convolved.
  const test::Opened opened = test::open_fixtures({"small"});
  EXPECT_THAT(refit_convolutions(opened.prepared[0], {find_layer(opened.program(0), "head")}), testing::IsEmpty());
}

TEST(RefitConvolutions, AreNoneWhereAWeightHasTwoUses) {
  const test::Opened opened = test::open_fixtures({"tied"});
  EXPECT_THAT(refit_convolutions(opened.prepared[0], {find_layer(opened.program(0), "stem.2")}), testing::IsEmpty());
}

TEST(Runner, ReportsAFailingOperationAsAnInputError) {
  const test::Opened opened = test::open_fixtures({"small"});
  const Runner runner(*opened.prepared[0].graph, opened.prepared[0].parameters, {}, true);
  EXPECT_THAT(test::error_text([&] { (void)runner.run({at::ones({1, 5, 48, 64})}); }), testing::StartsWith("input: "));
}

}  // namespace
}  // namespace repsim::graph
