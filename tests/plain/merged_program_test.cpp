// Latency estimates, and programs joined by shares, on programs small enough to work out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "program_totals.hpp"
#include "repsim/program.hpp"

namespace repsim::graph {
namespace {

using testing::ElementsAre;

constexpr std::int64_t kKilo = 1000;

Op op(std::vector<int> inputs, std::vector<int> parameters, std::int64_t output_bytes, std::int64_t flops) {
  Op made;
  made.kind = "aten::op";
  made.inputs = std::move(inputs);
  made.parameters = std::move(parameters);
  made.output_bytes = output_bytes;
  made.flops = flops;
  return made;
}

Layer layer(int op_index, std::vector<std::int64_t> shape) {
  Layer made;
  made.name = "layer" + std::to_string(op_index);
  made.op = op_index;
  made.shape = std::move(shape);
  return made;
}

Parameter parameter(std::int64_t bytes, const std::string& content) {
  Parameter made;
  made.elements = bytes / 4;
  made.bytes = bytes;
  made.content = content;
  return made;
}

/// Three ops in a row, each with a parameter of its own and a layer of 2x4x4 floats (128 bytes).
Program chain(const std::string& name) {
  Program program;
  for (int i = 0; i < 3; ++i) {
    program.ops.push_back(
        op(i == 0 ? std::vector<int>{} : std::vector<int>{i - 1}, {i}, 128, std::int64_t{100} * (i + 1)));
    program.parameters.push_back(parameter(40, name + std::to_string(i)));
    program.layers.push_back(layer(i, {2, 4, 4}));
  }
  program.results = {2};
  return program;
}

// Of the kind of all others: 12 ps per FLOP, 60 ps per byte, 4 us each. The first computes 10^6 FLOPs and writes 40,000
// bytes. The second reads these and 20,000 of its parameter and writes 20,000.
TEST(Latency, IsComputationAndMemoryAndTheOverhead) {
  Program program;
  program.ops = {op({}, {}, 40 * kKilo, kKilo * kKilo), op({0}, {0}, 20 * kKilo, 1)};
  program.parameters = {parameter(20 * kKilo, "w")};
  program.results = {1};
  EXPECT_THAT(op_latencies_ns(program), ElementsAre(4'000 + 12'000 + 2'400, 4'000 + 4'800));
  EXPECT_EQ(total_latency_ns(program), 27'200);
}

// A view costs nothing, and who reads it reads what it looks at; what no result needs is not counted.
TEST(Latency, LooksThroughViewsAndLeavesOutWhatNothingNeeds) {
  Program program;
  program.ops = {op({}, {}, 40 * kKilo, 0), op({0}, {}, 0, 0), op({1}, {}, 20 * kKilo, 0), op({0}, {}, 20 * kKilo, 0)};
  program.results = {2};
  EXPECT_THAT(op_latencies_ns(program), ElementsAre(6'400, 0, 7'600, 7'600));
  EXPECT_EQ(total_latency_ns(program), 14'000);
}

std::int64_t latency_of(const std::string& kind, const std::vector<std::int64_t>& weight) {
  Program program;
  program.ops = {op({}, {}, 100 * kKilo, 1000 * kKilo)};
  program.ops[0].kind = kind;
  if (!weight.empty()) {
    program.parameters = {parameter(4, "bias"), parameter(400, "w")};
    program.parameters[0].shape = {1};
    program.parameters[1].shape = weight;
    program.ops[0].parameters = {0, 1};
  }
  return op_latencies_ns(program).front();
}

// Equal arithmetic and equal memory take different times: a layer of one kernel per channel, and pooling, are slow.
TEST(Latency, DependsOnTheKindOfTheOperation) {
  const std::int64_t dense = latency_of("aten::conv2d", {8, 4, 3, 3});
  const std::int64_t pointwise = latency_of("aten::_convolution", {8, 4, 1, 1});
  const std::int64_t depthwise = latency_of("aten::convolution", {8, 1, 3, 3});
  EXPECT_EQ(dense, 15'000 + 12'000 + (100'404 * 200) / 1000);
  EXPECT_EQ(latency_of("aten::conv2d", {}), 7'000 + 7'000 + 12'500) << "an adapter's convolution has no known shape";
  EXPECT_LT(pointwise, dense);
  EXPECT_GT(depthwise, dense);
  EXPECT_EQ(latency_of("aten::conv2d", {1, 1, 3, 3}), dense) << "one channel in and out is no depthwise convolution";
  EXPECT_GT(latency_of("aten::max_pool2d", {}), latency_of("aten::upsample_nearest2d", {}));
  EXPECT_GT(latency_of("aten::avg_pool2d", {}), latency_of("aten::relu", {}));
}

// What the planner adds up per op is what disappears from the whole.
TEST(Latency, OfWhatIsRemovedAddsUp) {
  const Program program = chain("a");
  const std::vector<std::int64_t> each = op_latencies_ns(program);
  EXPECT_EQ(total_latency_ns(program), each[0] + each[1] + each[2]);
}

TEST(Joined, WithoutSharesIsAllProgramsOneAfterTheOther) {
  const Program a = chain("a"), b = chain("b");
  const Program both = merged_program({&a, &b}, {});
  EXPECT_EQ(both.ops.size(), 6U);
  EXPECT_EQ(total_flops(both), 1200);
  EXPECT_EQ(test::parameter_bytes(both), 240);
  // The first one's result waits while the second computes with two values at a time.
  EXPECT_EQ(peak_activation_bytes(both), 3 * 128);
}

TEST(Joined, HoldsEqualParametersOnce) {
  const Program a = chain("a");
  EXPECT_EQ(test::parameter_bytes(merged_program({&a, &a}, {})), 120);
}

// b takes a's second layer for its own second one: its first two ops and their parameters go.
TEST(Joined, DropsWhatAShareRemoves) {
  const Program a = chain("a"), b = chain("b");
  const Program shared = merged_program({&a, &b}, {{1, {{1, 0, 1}}}});
  EXPECT_EQ(shared.ops.size(), 4U);
  EXPECT_EQ(total_flops(shared), 600 + 300);
  EXPECT_EQ(test::parameter_bytes(shared), 120 + 40);
  // a's second value is held until b has read it, beside a's result and b's.
  EXPECT_EQ(peak_activation_bytes(shared), 3 * 128);
}

// What the op in front does as well is not computed, and its parameter goes.
TEST(Joined, LeavesOutWhatIsTakenIn) {
  const Program a = chain("a"), b = chain("b");
  const Program shared = merged_program({&a, &b}, {{1, {{0, 0, 0}}, {2}}});
  ASSERT_EQ(shared.ops.size(), 4U);
  EXPECT_EQ(total_flops(shared), 600 + 200);
  EXPECT_EQ(test::parameter_bytes(shared), 120 + 40);
  EXPECT_THAT(shared.ops[3].inputs, ElementsAre(0));
  EXPECT_THAT(shared.results, ElementsAre(2, 3));
}

// The donor comes after its receiver in the list; it is computed before it all the same.
TEST(Joined, ComputesDonorsFirst) {
  const Program a = chain("a"), b = chain("b");
  const Program shared = merged_program({&a, &b}, {{0, {{1, 1, 1}}}});
  ASSERT_EQ(shared.ops.size(), 4U);
  EXPECT_THAT(shared.ops[3].inputs, ElementsAre(1));
  EXPECT_THAT(shared.results, ElementsAre(2, 3));
}

// A donor's 3x8x8 map for a receiver's 2x4x4 one: pooled to 3x4x4 (192 bytes), then 1x1 from 3 to 2 channels.
TEST(Joined, AddsTheOpsOfAdapters) {
  Program a = chain("a");
  const Program b = chain("b");
  a.layers[1].shape = {3, 8, 8};
  a.ops[1].output_bytes = 768;
  const Program shared = merged_program({&a, &b}, {{1, {{1, 0, 1, false, false, true, true}}}});
  ASSERT_EQ(shared.ops.size(), 6U);
  EXPECT_EQ(shared.ops[3].output_bytes, 192);
  EXPECT_EQ(shared.ops[3].flops, 3 * 16);
  EXPECT_EQ(shared.ops[4].output_bytes, 128);
  EXPECT_EQ(shared.ops[4].flops, 2 * 3 * 2 * 16);
  EXPECT_EQ(test::parameter_bytes(shared), 120 + 40 + 4 * (2 * 3 + 2));
  EXPECT_THAT(shared.ops[5].inputs, ElementsAre(4));
}

// Both layers of b come from the same layer of a, at the same size: it is pooled once and fitted twice.
TEST(Joined, BringsALayerToASizeOnce) {
  Program a = chain("a"), b = chain("b");
  a.layers[1].shape = {3, 8, 8};
  b.ops[2].inputs = {0, 1};
  const Program shared =
      merged_program({&a, &b}, {{1, {{0, 0, 1, false, false, true, true}, {1, 0, 1, false, false, true, true}}}});
  ASSERT_EQ(shared.ops.size(), 7U);
  EXPECT_THAT(shared.ops[4].inputs, ElementsAre(3));
  EXPECT_THAT(shared.ops[5].inputs, ElementsAre(3));
  EXPECT_THAT(shared.ops[6].inputs, ElementsAre(4, 5));
}

TEST(Joined, AddsTheProductsThatLineMapsUp) {
  Program a = chain("a");
  const Program b = chain("b");
  a.layers[1].shape = {2, 8, 6};
  const Program shared = merged_program({&a, &b}, {{1, {{1, 0, 1, true, true, false, false}}}});
  ASSERT_EQ(shared.ops.size(), 6U);
  EXPECT_EQ(shared.ops[3].output_bytes, 4 * 2 * 8 * 4);  // columns first
  EXPECT_EQ(shared.ops[3].flops, 2 * 6 * 2 * 8 * 4);
  EXPECT_EQ(shared.ops[4].output_bytes, 4 * 2 * 4 * 4);
  EXPECT_EQ(test::parameter_bytes(shared), 120 + 40 + 4 * (6 * 4 + 8 * 4));
}

TEST(Joined, RefusesCycles) {
  const Program a = chain("a"), b = chain("b");
  EXPECT_THAT(test::error_text([&] { (void)merged_program({&a, &b}, {{0, {{1, 1, 1}}}, {1, {{1, 0, 1}}}}); }),
              testing::HasSubstr("cycle"));
}

// The guest computes 100 + 200 FLOPs of its 600 for the receiver, whose first two ops (100 + 200) are gone; the adapter
// multiplies 2 channels with 2 for 4x4 cells. Nothing but the receiver returns anything.
TEST(MergedProgram, ComputesOfAGuestWhatReceiversTake) {
  const Program receiver = chain("r"), donor = chain("d");
  MergedReplacement replacement{{1, 1, 1}};
  replacement.linear = true;
  const std::vector<MergedShare> shares{{0, {replacement}}};
  const Program guest = merged_program({&receiver, &donor}, shares, {false, true});
  EXPECT_EQ(total_flops(guest), 300 + 2 * 2 * 2 * 16 + 300);
  EXPECT_EQ(guest.results.size(), 1U);
  // Two maps of 128 bytes at a time: in and out of an op.
  EXPECT_EQ(peak_activation_bytes(guest), 256);
  const Program together = merged_program({&receiver, &donor}, shares, {false, false});
  EXPECT_EQ(total_flops(together), 600 + 2 * 2 * 2 * 16 + 300);
  EXPECT_EQ(together.results.size(), 2U);
  EXPECT_EQ(total_flops(merged_program({&receiver, &donor}, {}, {false, true})), 600);
}

}  // namespace
}  // namespace repsim::graph
