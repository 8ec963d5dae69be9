#include "repsim/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include "program_totals.hpp"

namespace repsim::graph {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Op op(std::vector<int> inputs, std::vector<int> parameters = {}, std::int64_t output_bytes = 0,
      std::int64_t flops = 0) {
  Op made;
  made.kind = "aten::op";
  made.inputs = std::move(inputs);
  made.parameters = std::move(parameters);
  made.output_bytes = output_bytes;
  made.flops = flops;
  return made;
}

Layer layer_at(int op_index, const std::string& name) {
  Layer layer;
  layer.name = name;
  layer.op = op_index;
  return layer;
}

Parameter parameter(std::int64_t elements) {
  Parameter made;
  made.elements = elements;
  made.bytes = 4 * elements;
  return made;
}

/// 0 -> 1 -> 2 -> 4 (result), and a branch 1 -> 3 -> 4; op i has parameter i of 10^i elements and 10^i FLOPs.
Program diamond() {
  Program program;
  program.ops = {op({}, {0}, 100, 1), op({0}, {1}, 50, 10), op({1}, {2}, 30, 100), op({1}, {3}, 20, 1000),
                 op({2, 3}, {4}, 10, 10000)};
  for (const std::int64_t elements : {1, 10, 100, 1000, 10000}) program.parameters.push_back(parameter(elements));
  for (int i = 0; i < 5; ++i) program.layers.push_back(layer_at(i, "layer" + std::to_string(i)));
  program.results = {4};
  return program;
}

TEST(Removal, TakesEverythingUpstreamThatNothingElseNeeds) {
  const Removal removal = removed_by(diamond(), {1});
  EXPECT_THAT(removal.ops, ElementsAre(0, 1));
  EXPECT_THAT(removal.layers, ElementsAre(0, 1));
  EXPECT_THAT(removal.parameters, ElementsAre(0, 1));
  EXPECT_EQ(removal.elements, 11);
  EXPECT_EQ(removal.bytes, 44);
  EXPECT_EQ(removal.flops, 11);
}

TEST(Removal, KeepsWhatAnotherBranchStillNeeds) {
  const Removal removal = removed_by(diamond(), {2});
  EXPECT_THAT(removal.ops, ElementsAre(2));
  EXPECT_THAT(removal.parameters, ElementsAre(2));
}

TEST(Removal, OfBothBranchesTakesTheCommonStem) {
  EXPECT_THAT(removed_by(diamond(), {3, 2}).ops, ElementsAre(0, 1, 2, 3));
}

TEST(Removal, KeepsParametersThatALiveOpStillUses) {
  Program program = diamond();
  program.ops[4].parameters = {0, 4};
  EXPECT_THAT(removed_by(program, {1}).parameters, ElementsAre(1));
}

TEST(Removal, DoesNotCountWhatWasNeverNeeded) {
  Program program = diamond();
  program.parameters.push_back(parameter(7));
  program.ops.push_back(op({1}, {5}, 8, 9));  // nobody reads it
  program.layers.push_back(layer_at(5, "dead"));
  EXPECT_THAT(removed_by(program, {5}).ops, IsEmpty());
  EXPECT_THAT(removed_by(program, {5}).layers, IsEmpty());
  EXPECT_THAT(removed_by(program, {1, 5}).parameters, ElementsAre(0, 1));
  EXPECT_EQ(total_flops(program), 11111);
}

TEST(Removal, OfNothingIsEmpty) {
  const Removal removal = removed_by(diamond(), {});
  EXPECT_THAT(removal.ops, IsEmpty());
  EXPECT_EQ(removal.bytes, 0);
}

TEST(Removal, KeepsAnOpUntilAllItsLayersAreReplaced) {
  Program program = diamond();
  program.layers.push_back(layer_at(1, "second output of op 1"));
  EXPECT_THAT(removed_by(program, {1}).ops, IsEmpty());
  EXPECT_THAT(removed_by(program, {1, 5}).ops, ElementsAre(0, 1));
}

TEST(Removal, OfAResultNeedsNothingOfTheModel) {
  EXPECT_THAT(removed_by(diamond(), {4}).ops, ElementsAre(0, 1, 2, 3, 4));
}

TEST(PeakActivation, FreesAnOutputAfterItsLastUse) {
  // Op 0: 100. Op 1: 100 + 50. Op 2: 50 + 30. Op 3: 50 + 30 + 20. Op 4: 30 + 20 + 10.
  EXPECT_EQ(peak_activation_bytes(diamond()), 150);
}

TEST(PeakActivation, ViewsKeepWhatTheyLookAtAlive) {
  Program program;
  program.ops = {op({}, {}, 100), op({0}), op({}, {}, 60), op({1, 2}, {}, 1)};  // op 1 looks at op 0, read by op 3
  program.results = {3};
  EXPECT_EQ(peak_activation_bytes(program), 161);
}

TEST(PeakActivation, ResultsStayToTheEnd) {
  Program program;
  program.ops = {op({}, {}, 100), op({0}), op({}, {}, 60), op({2}, {}, 5)};
  program.results = {1, 3};  // op 1 is a view of op 0
  EXPECT_EQ(peak_activation_bytes(program), 165);
}

TEST(PeakActivation, LeavesOutWhatTheResultsDoNotNeed) {
  Program program = diamond();
  program.ops.push_back(op({0}, {}, 100000));
  EXPECT_EQ(peak_activation_bytes(program), 150);
}

TEST(Program, TotalsAndLookup) {
  const Program program = diamond();
  EXPECT_EQ(test::parameter_bytes(program), 44444);
  EXPECT_EQ(total_flops(program), 11111);
  EXPECT_EQ(find_layer(program, "layer3"), 3);
  EXPECT_EQ(find_layer(program, "layer9"), -1);
  EXPECT_EQ(peak_activation_bytes(Program{}), 0);
}

Program random_program(std::mt19937_64& random) {
  const auto below = [&](int bound) { return static_cast<int>(random() % static_cast<std::uint64_t>(bound)); };
  Program program;
  const int ops = 1 + below(9), parameters = 1 + below(6);
  for (int p = 0; p < parameters; ++p) program.parameters.push_back(parameter(1 + below(100)));
  for (int i = 0; i < ops; ++i) {
    std::set<int> inputs, used;
    for (int k = below(4); k > 0 && i > 0; --k) inputs.insert(below(i));
    for (int k = below(3); k > 0; --k) used.insert(below(parameters));
    program.ops.push_back(
        op({inputs.begin(), inputs.end()}, {used.begin(), used.end()}, below(3) == 0 ? 0 : 1 + below(50), below(100)));
    if (below(2) == 0) program.layers.push_back(layer_at(i, "l" + std::to_string(program.layers.size())));
    if (below(8) == 0) program.layers.push_back(layer_at(i, "l" + std::to_string(program.layers.size())));
  }
  std::set<int> results{ops - 1};
  for (int k = below(2); k > 0; --k) results.insert(below(ops));
  program.results.assign(results.begin(), results.end());
  return program;
}

/// Demand, straight from the definition: the results ask, each op asked for asks its inputs unless its value is given.
std::set<int> demanded(const Program& program, const std::set<int>& replaced) {
  std::set<int> computed;
  const std::function<void(int)> ask = [&](int index) {
    bool has_layer = false, all_replaced = true;
    for (std::size_t l = 0; l < program.layers.size(); ++l) {
      if (program.layers[l].op != index) continue;
      has_layer = true;
      if (replaced.count(static_cast<int>(l)) == 0) all_replaced = false;
    }
    if (has_layer && all_replaced) return;
    computed.insert(index);
    for (const int input : program.ops[static_cast<std::size_t>(index)].inputs) ask(input);
  };
  for (const int result : program.results) ask(result);
  return computed;
}

TEST(Removal, EqualsDemandFromTheResultsOnRandomGraphs) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const Program program = random_program(random);
    std::vector<int> replaced;
    for (std::size_t l = 0; l < program.layers.size(); ++l) {
      if (random() % 3 == 0) replaced.push_back(static_cast<int>(l));
    }
    std::shuffle(replaced.begin(), replaced.end(), random);
    const std::set<int> before = demanded(program, {}), after = demanded(program, {replaced.begin(), replaced.end()});
    Removal expected;
    for (const int index : before) {
      if (after.count(index) > 0) continue;
      expected.ops.push_back(index);
      expected.flops += program.ops[static_cast<std::size_t>(index)].flops;
    }
    for (std::size_t l = 0; l < program.layers.size(); ++l) {
      const int index = program.layers[l].op;
      if (before.count(index) > 0 && after.count(index) == 0) expected.layers.push_back(static_cast<int>(l));
    }
    for (std::size_t p = 0; p < program.parameters.size(); ++p) {
      const auto reads = [&](int index) {
        const std::vector<int>& list = program.ops[static_cast<std::size_t>(index)].parameters;
        return std::count(list.begin(), list.end(), static_cast<int>(p)) > 0;
      };
      if (std::any_of(before.begin(), before.end(), reads) && std::none_of(after.begin(), after.end(), reads)) {
        expected.parameters.push_back(static_cast<int>(p));
        expected.elements += program.parameters[p].elements;
        expected.bytes += program.parameters[p].bytes;
      }
    }
    const Removal removal = removed_by(program, replaced);
    EXPECT_EQ(removal.ops, expected.ops);
    EXPECT_EQ(removal.layers, expected.layers);
    EXPECT_EQ(removal.parameters, expected.parameters);
    EXPECT_EQ(removal.elements, expected.elements);
    EXPECT_EQ(removal.bytes, expected.bytes);
    EXPECT_EQ(removal.flops, expected.flops);
    const std::vector<bool> live = live_ops(program, replaced);
    ASSERT_EQ(live.size(), program.ops.size());
    for (std::size_t i = 0; i < live.size(); ++i)
      EXPECT_EQ(live[i], after.count(static_cast<int>(i)) > 0) << "op " << i;
  }
}

TEST(PeakActivation, EqualsStepByStepReferenceCountsOnRandomGraphs) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const Program program = random_program(random);
    const std::set<int> computed = demanded(program, {});
    // Whose memory a value refers to: its own, or everything its inputs refer to.
    std::vector<std::set<int>> memory(program.ops.size());
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
      if (program.ops[i].output_bytes > 0) {
        memory[i] = {static_cast<int>(i)};
      } else {
        for (const int input : program.ops[i].inputs) {
          memory[i].insert(memory[static_cast<std::size_t>(input)].begin(),
                           memory[static_cast<std::size_t>(input)].end());
        }
      }
    }
    std::int64_t expected = 0;
    for (const int step : computed) {
      // While `step` runs: its own output, and memory made earlier that it or a later op or the caller refers to.
      std::set<int> held = memory[static_cast<std::size_t>(step)];
      const auto hold = [&](int value) {
        for (const int owner : memory[static_cast<std::size_t>(value)]) {
          if (owner <= step) held.insert(owner);
        }
      };
      for (const int later : computed) {
        if (later < step) continue;
        for (const int input : program.ops[static_cast<std::size_t>(later)].inputs) hold(input);
      }
      for (const int result : program.results) hold(result);
      std::int64_t bytes = 0;
      for (const int owner : held) bytes += program.ops[static_cast<std::size_t>(owner)].output_bytes;
      expected = std::max(expected, bytes);
    }
    EXPECT_EQ(peak_activation_bytes(program), expected);
  }
}

// Tied weights are in the file once: their bytes go when the last of them goes.
TEST(Removal, CountsEqualParametersOnce) {
  Program program = diamond();
  program.parameters[1] = program.parameters[0];
  EXPECT_EQ(removed_by(program, {1}).bytes, 4 * (1 + 1));  // nobody says that they are equal
  program.parameters[0].content = program.parameters[1].content = "hash";
  EXPECT_EQ(removed_by(program, {1}).bytes, 4 * 1);
  EXPECT_EQ(removed_by(program, {1}).elements, 1);
  program.parameters[4].content = "hash";  // of the last op, which stays
  EXPECT_EQ(removed_by(program, {1}).bytes, 0);
}

}  // namespace
}  // namespace repsim::graph
