// Merging models into one graph.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error_matcher.hpp"
#include "fixtures/fixtures.hpp"
#include "fixtures/splice_oracle.hpp"
#include "plain/program_totals.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

using testing::ElementsAre;

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

TEST(DescribeMerged, AgreesWithThePrograms) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const std::vector<ModelIndex> wanted{0, 1};
  const Assembly assembly = assemble(opened.set.models, opened.set.groups, {}, wanted);
  const Program merged = describe_merged(assembly, {test::input_of(test::picture_store(opened.set.specs[0], 1), {0})});
  EXPECT_EQ(test::parameter_bytes(merged),
            test::parameter_bytes(opened.program(0)) + test::parameter_bytes(opened.program(1)));
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

}  // namespace
}  // namespace repsim::graph
