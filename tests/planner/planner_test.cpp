// Which cuts, donors and candidates the planner proposes, on programs made by hand.
#include "repsim/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <set>

namespace repsim::planner {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// One op with a parameter of its own per layer; `inputs` are layers.
struct Builder {
  graph::Program program;

  LayerIndex layer(std::vector<int> inputs, std::vector<std::int64_t> shape = {4, 8, 8}, std::int64_t elements = 100) {
    const int index = static_cast<int>(program.layers.size());
    const std::string name = "l" + std::to_string(index);
    graph::Op op;
    op.kind = "aten::conv2d";
    for (const int input : inputs) op.inputs.push_back(program.layers[input].op);
    op.layer = index;
    op.reads_input = inputs.empty();
    graph::Layer layer;
    layer.name = name;
    layer.shape = std::move(shape);
    layer.dtype = "Float";
    layer.op = static_cast<int>(program.ops.size());
    layer.inputs = std::move(inputs);
    if (elements > 0) {
      op.parameters.push_back(static_cast<int>(program.parameters.size()));
      program.parameters.push_back({name + ".weight", "Float", {elements}, elements, 4 * elements, name});
    }
    program.ops.push_back(op);
    program.layers.push_back(layer);
    return index;
  }

  graph::Program returning(const std::vector<LayerIndex>& layers) {
    for (const LayerIndex layer : layers) program.results.push_back(program.layers[layer].op);
    return program;
  }
};

std::vector<bool> all(const graph::Program& program) { return std::vector<bool>(program.layers.size(), true); }

std::vector<std::vector<int>> layers_of(const std::vector<DepthCut>& cuts) {
  std::vector<std::vector<int>> result;
  for (const DepthCut& cut : cuts) result.push_back(cut.layers);
  return result;
}

/// A backbone of four levels whose last three feed heads of their own.
graph::Program pyramid() {
  Builder build;
  const int stem = build.layer({});
  const int c3 = build.layer({stem});
  const int c4 = build.layer({c3});
  const int c5 = build.layer({c4});
  return build.returning({build.layer({c3}), build.layer({c4}), build.layer({c5})});
}

TEST(DepthCuts, SweepAChainLayerByLayer) {
  Builder build;
  int last = build.layer({});
  for (int i = 0; i < 3; ++i) last = build.layer({last});
  const graph::Program program = build.returning({last});
  EXPECT_THAT(layers_of(depth_cuts(program, all(program), 6)),
              ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2), ElementsAre(3)));
}

TEST(DepthCuts, TakeAWholePyramidBackboneAsOneCut) {
  const graph::Program program = pyramid();
  EXPECT_THAT(layers_of(depth_cuts(program, all(program), 6)), testing::Contains(ElementsAre(1, 2, 3)));
}

TEST(DepthCuts, OfAPyramidRemoveTheBackboneAndNoHead) {
  const graph::Program program = pyramid();
  for (const DepthCut& cut : depth_cuts(program, all(program), 6)) {
    if (cut.layers == std::vector<int>{1, 2, 3}) {
      EXPECT_THAT(cut.removal.layers, ElementsAre(0, 1, 2, 3));
    }
  }
}

TEST(DepthCuts, LeaveOutCutsWithTooManyLayers) {
  const graph::Program program = pyramid();
  for (const DepthCut& cut : depth_cuts(program, all(program), 2)) EXPECT_LE(cut.layers.size(), 2U);
}

TEST(DepthCuts, NeverReplaceWhatMayNotBeReplaced) {
  const graph::Program program = pyramid();
  std::vector<bool> replaceable = all(program);
  replaceable[2] = false;
  for (const DepthCut& cut : depth_cuts(program, replaceable, 6))
    EXPECT_THAT(cut.layers, testing::Not(testing::Contains(2)));
}

// A skip over the cut: the layer that is read on both sides stays among the replaced ones.
TEST(DepthCuts, CarryASkipAcross) {
  Builder build;
  const int a = build.layer({}), b = build.layer({a}), c = build.layer({b});
  const graph::Program program = build.returning({build.layer({a, c})});
  EXPECT_THAT(layers_of(depth_cuts(program, all(program), 6)), testing::Contains(ElementsAre(0, 2)));
}

TEST(DepthCuts, LeaveOutCutsThatRemoveNoParameters) {
  Builder build;
  const int pool = build.layer({}, {3, 8, 8}, 0);
  const graph::Program program = build.returning({build.layer({pool})});
  EXPECT_THAT(layers_of(depth_cuts(program, all(program), 6)), ElementsAre(ElementsAre(1)));
}

TEST(DepthCuts, GiveEachSetOfRemovedOpsOnce) {
  const graph::Program program = pyramid();
  const auto cuts = depth_cuts(program, all(program), 6);
  std::set<std::vector<int>> removed;
  for (const DepthCut& cut : cuts) removed.insert(cut.removal.ops);
  EXPECT_EQ(removed.size(), cuts.size());
}

/// Brute force: what stays reachable from the results when the layers are cut off.
std::vector<int> unreachable(const graph::Program& program, const std::vector<int>& cut) {
  std::vector<bool> reached(program.ops.size(), false);
  std::vector<int> open;
  const auto is_cut = [&](OpIndex op) {
    return std::any_of(cut.begin(), cut.end(), [&](LayerIndex layer) { return program.layers[layer].op == op; });
  };
  for (const OpIndex op : program.results) open.push_back(op);
  while (!open.empty()) {
    const OpIndex op = open.back();
    open.pop_back();
    if (is_cut(op) || reached[op]) continue;
    reached[op] = true;
    for (const int input : program.ops[op].inputs) open.push_back(input);
  }
  std::vector<int> result;
  for (std::size_t op = 0; op < reached.size(); ++op) {
    if (!reached[op]) result.push_back(static_cast<int>(op));
  }
  return result;
}

TEST(DepthCuts, RemoveWhatNothingElseNeedsOnRandomPrograms) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    Builder build;
    const int layers = 3 + static_cast<int>(random() % 8);
    std::vector<bool> read(static_cast<std::size_t>(layers), false);
    for (int i = 0; i < layers; ++i) {
      std::vector<int> inputs;
      for (int j = std::max(0, i - 4); j < i; ++j) {
        if (j == i - 1 || random() % 4 == 0) inputs.push_back(j);
      }
      for (const int input : inputs) read[input] = true;
      build.layer(inputs);
    }
    std::vector<int> results;
    for (int i = 0; i < layers; ++i) {
      if (!read[i] || random() % 6 == 0) results.push_back(i);
    }
    const graph::Program program = build.returning(results);
    for (const DepthCut& cut : depth_cuts(program, all(program), 10)) {
      ASSERT_EQ(cut.removal.ops, unreachable(program, cut.layers)) << "round " << round;
      // No layer of the cut is idle: each is read by something that stays, or it is a result.
      for (const LayerIndex layer : cut.layers) {
        std::vector<int> fewer;
        std::copy_if(cut.layers.begin(), cut.layers.end(), std::back_inserter(fewer),
                     [&](int other) { return other != layer; });
        ASSERT_NE(unreachable(program, fewer), cut.removal.ops) << "round " << round << ", layer " << layer;
      }
    }
  }
}

similarity::Matrix one_row(const std::vector<double>& values) {
  similarity::Matrix matrix;
  matrix.rows = {"r"};
  for (std::size_t i = 0; i < values.size(); ++i) matrix.cols.push_back("l" + std::to_string(i));
  matrix.values = values;
  return matrix;
}

struct Shortlist : testing::Test {
  graph::Program receiver, donor;
  Shortlist() {
    Builder receiver_program, donor_program;
    receiver = receiver_program.returning({receiver_program.layer({}, {4, 8, 8})});
    for (const std::int64_t auxiliary : {8, 8, 16, 8, 4, 8}) donor_program.layer({}, {6, auxiliary, auxiliary});
    donor = donor_program.returning({5});
  }
};

TEST_F(Shortlist, TakesTheMostSimilarOfTheSameSizeAndTheBestOfAnother) {
  const auto matrix = one_row({0.5, 0.9, 0.6, 0.7, 0.95, 0.1});
  EXPECT_THAT(shortlist(matrix, receiver, donor, 0, all(donor), 2), ElementsAre(1, 3, 4));
}

TEST_F(Shortlist, BreaksTiesByLayerOrder) {
  const auto matrix = one_row({0.5, 0.5, 0.2, 0.5, 0.2, 0.5});
  EXPECT_THAT(shortlist(matrix, receiver, donor, 0, all(donor), 3), ElementsAre(0, 1, 3, 2));
}

TEST_F(Shortlist, LeavesOutUndefinedSimilarities) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(shortlist(one_row({nan, 0.1, nan, nan, nan, nan}), receiver, donor, 0, all(donor), 3), ElementsAre(1));
}

TEST_F(Shortlist, LeavesOutLayersThatMayNotBeGiven) {
  EXPECT_THAT(shortlist(one_row({1, 1, 1, 1, 1, 1}), receiver, donor, 0, std::vector<bool>(6, false), 3), IsEmpty());
}

// Oracle: every pair compared, for each of the two measures of harm. Values on a coarse grid, so that ties are common.
// A mixed cut limits two donors: it must be better than what one of them gives alone, in one respect at least.
TEST(WorthMixing, LeavesOutWhatOneOfItsDonorsGivesAsWell) {
  const auto candidate = [](const std::vector<ModelIndex>& donors, double predicted, double cost, std::int64_t bytes) {
    Candidate one;
    one.cut.receiver = 0;
    for (std::size_t i = 0; i < donors.size(); ++i)
      one.cut.replacements.push_back({static_cast<LayerIndex>(i), donors[i], 0});
    one.predicted_fidelity = predicted;
    one.cost = cost;
    one.savings.bytes = bytes;
    return one;
  };
  const std::vector<Candidate> alone{candidate({1, 1}, 0.9, 0.2, 100), candidate({3}, 0.99, 0.01, 1000)};
  const auto kept = [&](const Candidate& mixed) { return worth_mixing({mixed}, alone, Objective::kBytes).size(); };
  EXPECT_EQ(kept(candidate({2, 1, 1}, 0.9, 0.2, 100)), 0U);
  EXPECT_EQ(kept(candidate({2, 1, 1}, 0.91, 0.2, 100)), 1U);
  EXPECT_EQ(kept(candidate({2, 1, 1}, 0.9, 0.19, 100)), 1U);
  EXPECT_EQ(kept(candidate({2, 1, 1}, 0.9, 0.2, 101)), 1U);
  EXPECT_EQ(kept(candidate({1, 3}, 0.95, 0.1, 500)), 0U);
  Candidate other = candidate({1, 3}, 0.95, 0.1, 500);
  other.cut.receiver = 2;
  EXPECT_EQ(kept(other), 1U);  // another model's candidates do not beat it
}

TEST(ParetoFront, EqualsBruteForceOnRandomCandidates) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    const Objective objective = round % 2 == 0 ? Objective::kBytes : Objective::kFlops;
    std::vector<Candidate> candidates(random() % 12);
    for (Candidate& one : candidates) {
      one.savings.bytes = static_cast<std::int64_t>(random() % 6);
      one.savings.flops = static_cast<std::int64_t>(random() % 6);
      one.predicted_fidelity = static_cast<double>(random() % 6) / 5;
      one.cost = static_cast<double>(random() % 6) / 5;
    }
    const auto saving = [&](std::size_t i) {
      return objective == Objective::kBytes ? candidates[i].savings.bytes : candidates[i].savings.flops;
    };
    const auto beaten = [&](std::size_t i, auto&& good) {
      for (std::size_t j = 0; j < candidates.size(); ++j) {
        const bool no_worse = saving(j) >= saving(i) && good(candidates[j]) >= good(candidates[i]);
        const bool equal = saving(j) == saving(i) && good(candidates[j]) == good(candidates[i]);
        if (no_worse && (!equal || j < i)) return true;
      }
      return false;
    };
    std::vector<std::size_t> expected;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (!beaten(i, [](const Candidate& one) { return one.predicted_fidelity; }) ||
          !beaten(i, [](const Candidate& one) { return -one.cost; }))
        expected.push_back(i);
    }
    std::stable_sort(expected.begin(), expected.end(), [&](auto a, auto b) { return saving(a) > saving(b); });
    ASSERT_EQ(pareto_front(candidates, objective), expected) << "round " << round;
  }
}

TEST(Globs, MatchWholeNames) {
  EXPECT_TRUE(glob_matches("backbone.*", "backbone.stage1.0"));
  EXPECT_TRUE(glob_matches("stage?", "stage3"));
  EXPECT_TRUE(glob_matches("stage[12]", "stage2"));
  EXPECT_FALSE(glob_matches("stage[12]", "stage3"));
  EXPECT_FALSE(glob_matches("backbone", "backbone.stage1"));
}

}  // namespace
}  // namespace repsim::planner
