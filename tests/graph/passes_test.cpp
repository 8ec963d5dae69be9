// Each rewrite on small graphs: what the graph looks like afterwards, and that it still computes the same.
#include "../../src/graph/passes/passes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/irparser.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/csrc/jit/testing/file_check.h>

#include "fixtures/fixtures.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;
using tj::testing::FileCheck;

std::shared_ptr<tj::Graph> parsed(const std::string& text) {
  auto graph = std::make_shared<tj::Graph>();
  tj::parseIR(text, graph.get());
  return graph;
}

c10::IValue run(const std::shared_ptr<tj::Graph>& graph, std::vector<c10::IValue> stack) {
  const auto copy = graph->copy();
  tj::InterpreterState(tj::Code(copy, "test")).run(stack);
  return stack.at(0);
}

std::shared_ptr<tj::Graph> forward_graph(const tj::Module& module) {
  return tj::toGraphFunction(module.get_method("forward").function()).graph()->copy();
}

TEST(FoldAppends, MakesAListAtOnceUpToItsFirstReader) {
  const auto graph = parsed(R"IR(
    graph(%x : Tensor, %n : int):
      %two : int = prim::Constant[value=2]()
      %list : int[] = prim::ListConstruct()
      %a : int[] = aten::append(%list, %two)
      %b : int[] = aten::append(%a, %n)
      %length : int = aten::len(%list)
      %c : int[] = aten::append(%list, %length)
      return (%list, %b))IR");
  const c10::IValue before = run(graph->copy(), {at::ones({1}), 7});
  EXPECT_EQ(fold_appends(graph), 1);
  graph->lint();
  FileCheck().check_count("aten::append", 1, /*exactly=*/true)->run(*graph);
  EXPECT_EQ(run(graph, {at::ones({1}), 7}).toIntVector(), (std::vector<std::int64_t>{2, 7, 2}));
  EXPECT_EQ(before.toIntVector(), (std::vector<std::int64_t>{2, 7, 2}));
  EXPECT_EQ(fold_appends(graph), 0);
}

TEST(FoldAppends, LeavesAListAloneThatABranchReadsOrFills) {
  const auto graph = parsed(R"IR(
    graph(%x : Tensor, %n : int, %whether : bool):
      %list : int[] = prim::ListConstruct(%n)
      %none : NoneType = prim::Constant()
      prim::If(%whether)
        block0():
          %a : int[] = aten::append(%list, %n)
          -> ()
        block1():
          -> ()
      %b : int[] = aten::append(%list, %n)
      return (%list))IR");
  EXPECT_EQ(fold_appends(graph), 0);
  EXPECT_EQ(run(graph, {at::ones({1}), 7, true}).toIntVector().size(), 3U);
}

// The second loop only counts what the first one made, the third prints, the fourth writes into what is returned.
TEST(DropDeadLoops, DropsThoseThatNobodySees) {
  auto graph = parsed(R"IR(
    graph(%x : Tensor, %n : int):
      %yes : bool = prim::Constant[value=1]()
      %one : int = prim::Constant[value=1]()
      %dead : Tensor = prim::Loop(%n, %yes, %x)
        block0(%i : int, %y : Tensor):
          %z : Tensor = aten::relu(%y)
          -> (%yes, %z)
      %size : int = aten::dim(%dead)
      %too : int = prim::Loop(%size, %yes, %one)
        block0(%j : int, %k : int):
          -> (%yes, %j)
      %printed : Tensor = prim::Loop(%n, %yes, %x)
        block0(%l : int, %p : Tensor):
          prim::Print(%l)
          -> (%yes, %p)
      %written : Tensor = prim::Loop(%n, %yes, %x)
        block0(%m : int, %q : Tensor):
          %r : Tensor = aten::add_(%x, %x, %one)
          -> (%yes, %q)
      %live : Tensor = prim::Loop(%n, %yes, %x)
        block0(%o : int, %s : Tensor):
          %t : Tensor = aten::neg(%s)
          -> (%yes, %t)
      return (%live))IR");
  const c10::IValue before = run(graph->copy(), {at::ones({2}), 3});
  simplify(graph);
  graph->lint();
  FileCheck().check_count("prim::Loop", 3, /*exactly=*/true)->check_not("aten::relu")->run(*graph);
  FileCheck().check("prim::Print")->check("aten::add_")->check("aten::neg")->run(*graph);
  EXPECT_TRUE(test::same_bits(before, run(graph, {at::ones({2}), 3})));
  EXPECT_EQ(drop_dead_loops(graph), 0);
}

TEST(FoldRanks, ReplacesTheRankOfObservedValuesOnly) {
  const auto graph = parsed(R"IR(
    graph(%x : Tensor, %y : Tensor):
      %a : int = aten::dim(%x)
      %b : int = aten::dim(%y)
      %c : int = aten::add(%a, %b)
      return (%c))IR");
  EXPECT_EQ(fold_ranks(graph, {{graph->inputs()[0], 4}}), 1);
  tj::EliminateDeadCode(graph);
  FileCheck().check("int = prim::Constant[value=4]")->check_count("aten::dim", 1, /*exactly=*/true)->run(*graph);
  EXPECT_EQ(run(graph, {at::ones({1, 1, 1, 1}), at::ones({2, 2})}).toInt(), 6);
}

TEST(FoldRanks, ResolvesBranchesByRank) {
  auto graph = parsed(R"IR(
    graph(%x : Tensor):
      %four : int = prim::Constant[value=4]()
      %rank : int = aten::dim(%x)
      %flat : bool = aten::eq(%rank, %four)
      %y : Tensor = prim::If(%flat)
        block0():
          %a : Tensor = aten::relu(%x)
          -> (%a)
        block1():
          %b : Tensor = aten::neg(%x)
          -> (%b)
      return (%y))IR");
  const at::Tensor x = test::Random(1).tensor({1, 2, 3, 3});
  const c10::IValue before = run(graph, {x});
  fold_ranks(graph, {{graph->inputs()[0], 4}});
  simplify(graph);
  FileCheck().check("aten::relu")->check_not("prim::If")->check_not("aten::neg")->run(*graph);
  EXPECT_TRUE(test::same_bits(run(graph, {x}), before));
}

TEST(FoldTraining, LeavesOtherAttributesAlone) {
  tj::Module module("__torch__.M");
  module.register_attribute("training", c10::BoolType::get(), true);
  module.register_attribute("flag", c10::BoolType::get(), true);
  module.define("def forward(self, x):\n  return (self.training, self.flag)\n");
  const auto graph = forward_graph(module);
  EXPECT_EQ(fold_training(graph), 1);
  tj::EliminateDeadCode(graph);
  FileCheck()
      .check("prim::Constant[value=0]")
      ->check_count("prim::GetAttr", 1, true)
      ->check_not("\"training\"")
      ->run(*graph);
}

/// outer.left and outer.right share one class, as scripted siblings do.
tj::Module nested() {
  auto unit = std::make_shared<tj::CompilationUnit>();
  const auto made = [&](const std::string& name) { return tj::Module(c10::QualifiedName("__torch__." + name), unit); };
  tj::Module leaf = made("Leaf");
  leaf.register_parameter("w", at::full({1}, 2.0), false);
  leaf.define("def forward(self, x):\n  return x * self.w\n");
  tj::Module other(unit, leaf.type());
  other.setattr("w", at::full({1}, 3.0));
  tj::Module outer = made("Outer");
  outer.register_module("left", leaf);
  outer.register_module("right", other);
  outer.define("def forward(self, x):\n  return self.left.forward(x) + torch.relu(self.right.forward(x))\n");
  tj::Module root = made("Root");
  root.register_module("outer", outer);
  root.define("def forward(self, x):\n  return torch.neg(self.outer.forward(x))\n");
  return root;
}

TEST(InlineModules, LeavesNoCallAndNamesEveryNodesModule) {
  const tj::Module root = nested();  // owns the functions that the graph calls
  const auto graph = forward_graph(root);
  EXPECT_EQ(inline_modules(graph, root), 3);
  FileCheck().check_not("prim::CallMethod")->run(*graph);
  std::multimap<std::string, std::string> found;
  for (tj::Node* node : graph->nodes()) {
    if (node->kind().is_aten()) found.emplace(node->kind().toUnqualString(), module_path(*node));
  }
  EXPECT_THAT(found, testing::UnorderedElementsAre(testing::Pair("mul", "outer.left"),
                                                   testing::Pair("mul", "outer.right"), testing::Pair("relu", "outer"),
                                                   testing::Pair("add", "outer"), testing::Pair("neg", "")));
}

TEST(InlineModules, DoesNotChangeTheModule) {
  const tj::Module root = nested();
  const std::string before = tj::toGraphFunction(root.get_method("forward").function()).graph()->toString();
  inline_modules(forward_graph(root), root);
  EXPECT_EQ(tj::toGraphFunction(root.get_method("forward").function()).graph()->toString(), before);
}

TEST(LiftAttributes, TurnsEachTensorIntoOneInput) {
  tj::Module root = nested();
  const at::Tensor x = at::tensor({-1.0, 4.0});
  const c10::IValue expected = root.forward({x});
  const auto graph = forward_graph(root);
  inline_modules(graph, root);
  std::string reason;
  const std::vector<Lifted> lifted = lift_attributes(graph, root, reason);
  EXPECT_EQ(reason, "");
  ASSERT_EQ(lifted.size(), 2U);
  EXPECT_EQ(lifted[0].path, "outer.left.w");
  EXPECT_EQ(lifted[1].path, "outer.right.w");
  FileCheck().check_not("prim::GetAttr")->run(*graph);
  EXPECT_TRUE(test::same_bits(run(graph, {x, lifted[0].value, lifted[1].value}), expected));
}

TEST(LiftAttributes, RefusesWritesToAttributes) {
  tj::Module module("__torch__.M");
  module.register_buffer("state", at::zeros({1}));
  module.define("def forward(self, x):\n  self.state = self.state + x\n  return self.state\n");
  std::string reason;
  lift_attributes(forward_graph(module), module, reason);
  EXPECT_THAT(reason, testing::HasSubstr("state"));
}

TEST(LiftAttributes, MakesPlainAttributesConstants) {
  tj::Module module("__torch__.M");
  module.register_attribute("strides", c10::ListType::ofInts(), c10::List<std::int64_t>({2, 2}));
  module.register_attribute("factor", c10::FloatType::get(), 1.5);
  module.define("def forward(self, x):\n  return torch.avg_pool2d(x, self.strides) * self.factor\n");
  const at::Tensor x = test::Random(2).tensor({1, 1, 4, 4});
  const c10::IValue expected = module.forward({x});
  const auto graph = forward_graph(module);
  std::string reason;
  EXPECT_TRUE(lift_attributes(graph, module, reason).empty());
  EXPECT_EQ(reason, "");
  EXPECT_TRUE(test::same_bits(run(graph, {x}), expected));
}

}  // namespace
}  // namespace repsim::graph
