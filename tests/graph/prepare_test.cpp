// Preparing models, and running graphs.
#include <ATen/ops/max_pool2d.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/ir/irparser.h>

#include <limits>

#include "base/error_matcher.hpp"
#include "models.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Prepare, MakesEveryOrdinaryModelRewritable) {
  for (const std::string& name : kRewritable) {
    EXPECT_EQ(test::open_fixtures({name}).prepared[0].opaque_reason, "") << name;
  }
}

TEST(Prepare, ReturnsTheBitsOfTheOriginalOnFramesItHasNotSeen) {
  for (const std::string& name : kRewritable) {
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

TEST(Prepare, MakesAModelThatWritesItsOwnBufferOpaque) {
  const test::Opened opened = test::open_fixtures({"counter"});
  EXPECT_FALSE(opened.prepared[0].rewritable);
  EXPECT_NE(opened.prepared[0].opaque_reason, "");
  EXPECT_THAT(opened.program(0).ops, testing::IsEmpty());
}

TEST(Prepare, MakesAModelThatHoldsASparseTensorOpaque) {
  model::Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), {}};
  loaded.module = torch::jit::Module("__torch__.M");
  loaded.module.register_buffer("mask", at::eye(3).to_sparse());
  loaded.module.define("def forward(self, x):\n  return torch.matmul(self.mask.to_dense(), x.flatten(2))\n");
  const Prepared prepared = prepare(loaded, trace_run(loaded));
  EXPECT_FALSE(prepared.rewritable);
  EXPECT_EQ(prepared.opaque_reason, "holds the sparse tensor mask");
  EXPECT_EQ(prepared.model_elements, 3);
  EXPECT_EQ(prepared.model_bytes, 3 * 4 + 2 * 3 * 8);  // values, and their rows and columns
}

// Where the loop runs no round, y is a: whichever of them is doubled behind it, both are.
TEST(Prepare, MakesAModelThatWritesBehindALoopOfNoRoundOpaque) {
  for (const std::string written : {"y", "a"}) {
    const auto forward = [&](const std::string& rounds) {
      return "def forward(self, x):\n  a = torch.relu(x)\n  y = a\n  for i in range(" + rounds +
             "):\n    y = torch.neg(y)\n  " + written + ".mul_(2.0)\n  return torch.max_pool2d(a, [2, 2]), y\n";
    };
    const model::Loaded steered = defined_as(forward("int(x.max() * 0.5)")), fixed = defined_as(forward("2"));
    const Prepared whole = prepare(steered, trace_run(steered));
    EXPECT_FALSE(whole.rewritable) << written;
    EXPECT_EQ(whole.opaque_reason, "writes into memory that is another value's where a loop runs no round");
    EXPECT_TRUE(prepare(fixed, trace_run(fixed)).rewritable) << written;
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
  const Prepared prepared = prepare(loaded, trace_run(loaded));
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
  (void)trace_run(loaded);
  EXPECT_EQ(loaded.module.attr("calls").toTensor().item<float>(), 0);
}

// The length of its last loop is read from the first frame of a batch, which speaks for one frame only.
TEST(Prepare, TakesOneFrameAtATimeWhereValuesSteer) {
  EXPECT_FALSE(test::open_fixtures({"control"}).prepared[0].batchable);
  EXPECT_TRUE(test::open_fixtures({"shuffle"}).prepared[0].batchable);
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

TEST(Runner, ReportsAFailingOperationAsAnInputError) {
  const test::Opened opened = test::open_fixtures({"small"});
  const Runner runner(*opened.prepared[0].graph, opened.prepared[0].parameters, {}, true);
  EXPECT_THAT(test::error_text([&] { (void)runner.run({at::ones({1, 5, 48, 64})}); }), testing::StartsWith("input: "));
}

}  // namespace
}  // namespace repsim::graph
