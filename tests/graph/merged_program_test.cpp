// Programs joined as plain data against the merged graph that the bundle really runs.
#include <gtest/gtest.h>

#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "fixtures/relatives.hpp"
#include "plain/program_totals.hpp"

namespace repsim::graph {
namespace {

std::vector<c10::IValue> images_for(const test::Opened& opened, const std::vector<int>& groups) {
  std::vector<c10::IValue> images;
  for (const int group : groups) {
    const model::InputSpec& spec = opened.set.specs[group];
    images.push_back(model::make_input(spec, model::example_frames(spec, 1)));
  }
  return images;
}

Program described(const test::Opened& opened, const std::vector<Splice>& splices) {
  std::vector<int> all;
  for (std::size_t i = 0; i < opened.prepared.size(); ++i) all.push_back(static_cast<int>(i));
  const Assembly assembly = assemble(opened.set.models, opened.set.groups, splices, all);
  return describe_merged(assembly, images_for(opened, assembly.input_groups));
}

Program merged_of(const test::Opened& opened, const std::vector<MergedShare>& shares) {
  std::vector<const Program*> programs;
  for (const Prepared& model : opened.prepared) programs.push_back(&model.program);
  return merged_program(programs, shares);
}

// Small grids that both models make alike are done once in the graph, so it computes a little less.
TEST(Joined, HasThePeakOfTheJointGraph) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const Program graph = described(opened, {}), plain = merged_of(opened, {});
  EXPECT_EQ(peak_activation_bytes(plain), peak_activation_bytes(graph));
  EXPECT_GE(total_flops(plain), total_flops(graph));
  EXPECT_LT(total_flops(plain), 1.001 * static_cast<double>(total_flops(graph)));
}

// What a share changes is the same in both, to the nanosecond.
TEST(Joined, ChangesByAShareAsTheJointGraphDoes) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const Program graph_before = described(opened, {}), plain_before = merged_of(opened, {});
  const auto cuts = test::map_cuts(opened.program(0));
  ASSERT_GE(cuts.size(), 3U);
  for (const std::size_t index : {std::size_t{0}, cuts.size() / 2, cuts.size() - 1}) {
    const Splice splice = test::random_splice(opened, 0, 1, cuts[index].layers, 3 * index + 1);
    MergedShare share{0, {}};
    for (const FittedReplacement& one : splice.replacements)
      share.replacements.push_back(
          {static_cast<const Replacement&>(one), false, false, one.resampling.height > 0, true});
    const Program graph = described(opened, {splice}), plain = merged_of(opened, {share});
    EXPECT_EQ(peak_activation_bytes(plain), peak_activation_bytes(graph)) << index;
    EXPECT_EQ(total_flops(plain_before) - total_flops(plain), total_flops(graph_before) - total_flops(graph)) << index;
    EXPECT_EQ(total_latency_ns(plain_before) - total_latency_ns(plain),
              total_latency_ns(graph_before) - total_latency_ns(graph))
        << index;
  }
}

// Weights of a relative: the differences' convolutions and sums, and the receiver's weights that are gone.
TEST(Joined, ChangesBySharedWeightsAsTheJointGraphDoes) {
  for (const char* fixture : {"small", "wide", "shuffle", "mixer"}) {
    const test::Opened opened = test::open_relatives(fixture, {0.4});
    Splice splice = test::random_weights(opened, 1, 0, 3);
    // The first one reads the image as the donor's does, and would be computed once: the programs do not know that.
    splice.weights.erase(splice.weights.begin());
    MergedShare share{1, {}};
    std::int64_t elements = 0, flops = 0;
    for (const StoredWeight& one : stored_weights(opened.prepared[1])) {
      for (const FittedWeight& weight : splice.weights) {
        if (weight.parameter != one.parameter) continue;
        share.weights.push_back({static_cast<const SharedWeight&>(weight), one.op, one.channels(), one.taps()});
        const DifferenceCost cost =
            difference_cost(weight.rank, one.channels(), one.taps(), one.geometry.output_places);
        elements += cost.elements - opened.program(1).parameters[weight.parameter].elements;
        flops += cost.flops;
      }
    }
    ASSERT_GT(flops, 0);
    const Program graph_before = described(opened, {}), plain_before = merged_of(opened, {});
    const Program graph = described(opened, {splice}), plain = merged_of(opened, {share});
    EXPECT_EQ(peak_activation_bytes(plain), peak_activation_bytes(graph)) << fixture;
    EXPECT_EQ(total_flops(plain) - total_flops(plain_before), flops) << fixture;
    EXPECT_EQ(total_flops(graph) - total_flops(graph_before), flops) << fixture;
    EXPECT_EQ(total_latency_ns(plain) - total_latency_ns(plain_before),
              total_latency_ns(graph) - total_latency_ns(graph_before))
        << fixture;
    EXPECT_EQ(test::parameter_bytes(plain) - test::parameter_bytes(plain_before), 4 * elements) << fixture;
  }
}

}  // namespace
}  // namespace repsim::graph
