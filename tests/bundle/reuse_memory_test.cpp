// Which activations of a bundle write into the value that they read, and that the values stay the same.
#include "../../src/bundle/reuse_memory.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/jit/ir/irparser.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/torch.h>

namespace repsim::bundle {
namespace {

namespace tj = torch::jit;

/// A graph of %x [1,3,8,8], %w [4,3,3,3] and a flag %b; `body` names its result %y. The constants of a convolution and
/// of a sum are there.
std::shared_ptr<tj::Graph> graph_of(const std::string& body) {
  const auto graph = std::make_shared<tj::Graph>();
  tj::parseIR(R"IR(
    graph(%x : Tensor, %w : Tensor, %b : bool):
      %no : NoneType = prim::Constant()
      %one : int = prim::Constant[value=1]()
      %two : float = prim::Constant[value=2.]()
      %ones : int[] = prim::ListConstruct(%one, %one)
)IR" + body + "      return (%y)",
              graph.get());
  return graph;
}

const std::string kConvolution = "      %c : Tensor = aten::conv2d(%x, %w, %no, %ones, %ones, %ones, %one)\n";

at::Tensor run(const std::shared_ptr<tj::Graph>& graph, const at::Tensor& x, const at::Tensor& w, bool flag) {
  tj::Stack stack{x.clone(), w.clone(), flag};
  tj::InterpreterState(tj::Code(graph->copy(), "test")).run(stack);
  return stack.at(0).toTensor();
}

int in_place(const std::shared_ptr<tj::Graph>& graph, const at::Tensor& x) {
  torch::manual_seed(3);
  const at::Tensor w = torch::randn({4, 3, 3, 3});
  const std::shared_ptr<tj::Graph> before = graph->copy();
  const int count = reuse_memory(graph);
  graph->lint();
  for (const bool flag : {false, true}) {
    EXPECT_TRUE(at::equal(run(graph, x, w, flag), run(before, x, w, flag))) << graph->toString();
  }
  return count;
}

int in_place(const std::string& body) {
  torch::manual_seed(1);
  return in_place(graph_of(body), torch::randn({1, 3, 8, 8}));
}

TEST(ReuseMemory, WritesIntoWhatAConvolutionMade) {
  for (const char* name : {"relu", "relu6", "silu", "hardswish"}) {
    EXPECT_EQ(in_place(kConvolution + "      %y : Tensor = aten::" + name + "(%c)\n"), 1) << name;
  }
  EXPECT_EQ(in_place(kConvolution + "      %y : Tensor = aten::leaky_relu(%c, %two)\n"), 1);
}

TEST(ReuseMemory, LeavesAValueThatSomethingElseReads) {
  EXPECT_EQ(in_place(kConvolution + R"IR(      %r : Tensor = aten::relu(%c)
      %y : Tensor = aten::add(%r, %c, %one)
)IR"),
            0);
  EXPECT_EQ(in_place(kConvolution + R"IR(      %r : Tensor = aten::relu(%c)
      %s : Tensor = aten::silu(%c)
      %y : Tensor = aten::add(%r, %s, %one)
)IR"),
            0);
  EXPECT_EQ(in_place(kConvolution + R"IR(      %v : Tensor = aten::flatten(%c, %one, %one)
      %r : Tensor = aten::relu(%c)
      %y : Tensor = aten::add(%r, %v, %one)
)IR"),
            0)
      << "a view of it counts as a reader";
}

TEST(ReuseMemory, LeavesWhatIsNotNew) {
  EXPECT_EQ(in_place("      %y : Tensor = aten::relu(%x)\n"), 0) << "an input belongs to the caller";
  EXPECT_EQ(in_place("      %y : Tensor = aten::relu(%w)\n"), 0) << "a parameter is read again on the next frame";
  EXPECT_EQ(in_place("      %v : Tensor = aten::flatten(%x, %one, %one)\n      %y : Tensor = aten::relu(%v)\n"), 0)
      << "a view of an input";
}

TEST(ReuseMemory, LeavesAnActivationInAnotherBlockThanItsValue) {
  EXPECT_EQ(in_place(kConvolution + R"IR(      %y : Tensor = prim::If(%b)
        block0():
          %r : Tensor = aten::relu(%c)
          -> (%r)
        block1():
          -> (%x)
)IR"),
            0)
      << "a loop would write twice";
}

TEST(ReuseMemory, LooksIntoBlocks) {
  EXPECT_EQ(in_place(R"IR(      %y : Tensor = prim::If(%b)
        block0():
          %c : Tensor = aten::conv2d(%x, %w, %no, %ones, %ones, %ones, %one)
          %r : Tensor = aten::relu(%c)
          -> (%r)
        block1():
          -> (%x)
)IR"),
            1);
}

// silu of integers is floating point: it cannot be written where the integers are.
TEST(ReuseMemory, WritesIntoASumOnlyWhatKeepsItsType) {
  const std::string sum = "      %s : Tensor = aten::add(%x, %x, %one)\n";
  EXPECT_EQ(in_place(sum + "      %y : Tensor = aten::relu(%s)\n"), 1);
  EXPECT_EQ(in_place(sum + "      %y : Tensor = aten::silu(%s)\n"), 0);
  const at::Tensor whole_numbers = torch::arange(-96, 96).reshape({1, 3, 8, 8});
  EXPECT_EQ(in_place(graph_of(sum + "      %y : Tensor = aten::relu(%s)\n"), whole_numbers), 1);
  EXPECT_EQ(in_place(graph_of(sum + "      %y : Tensor = aten::relu6(%s)\n"), whole_numbers), 1);
}

TEST(ReuseMemory, FollowsAChain) {
  EXPECT_EQ(in_place(kConvolution + R"IR(      %r : Tensor = aten::relu(%c)
      %s : Tensor = aten::add(%r, %c, %one)
      %t : Tensor = aten::relu6(%s)
      %y : Tensor = aten::silu(%t)
)IR"),
            1)
      << "the sum's activation; silu reads the activation, which is no new memory by itself";
}

}  // namespace
}  // namespace repsim::bundle
