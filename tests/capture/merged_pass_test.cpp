// Passes that keep what merged graphs have in common, against the same passes that keep nothing: equal to the bit, and
// to 1e-4 the merged graphs as they are.
#include "repsim/merged_pass.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/jit/ir/irparser.h>

#include <algorithm>

#include "fixtures/fits.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::capture {
namespace {

constexpr std::int64_t kFrames = 20;  // a whole run and a part of one

std::vector<c10::IValue> all_results(const graph::Assembly& assembly, const ModelSet& set, const Stores& stores,
                                     std::int64_t batch, ValueCache* cache) {
  MergedPass pass(assembly, set, stores, kFrames, batch, cache);
  std::vector<c10::IValue> results;
  for (std::size_t run = 0; run < batches(kFrames, batch).size(); ++run) results.push_back(pass.results());
  return results;
}

/// The largest, relative to each tensor's largest value.
double difference(const c10::IValue& a, const c10::IValue& b) {
  const std::vector<at::Tensor> left = model::tensors_of(a), right = model::tensors_of(b);
  EXPECT_EQ(left.size(), right.size());
  double worst = 0;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (right[i].numel() == 0) continue;
    const at::Tensor one = left[i].to(at::kDouble), two = right[i].to(at::kDouble);
    worst = std::max(worst, (one - two).abs().max().item<double>() / (1e-12 + two.abs().max().item<double>()));
  }
  return worst;
}

struct Pair {
  const char *receiver, *donor;
};

class KeptValues : public testing::TestWithParam<Pair> {};

TEST_P(KeptValues, ChangeNoBitOfAnyResult) {
  const test::Opened opened = test::open_fixtures({GetParam().receiver, GetParam().donor});
  const Stores stores = test::picture_stores(opened.set, kFrames, 3);
  const std::vector<ModelIndex> members{0, 1};
  const std::int64_t batch = opened.set.batch(members);
  ValueCache roomy(std::int64_t{1} << 30), tight(1 << 16), none(0);
  const auto cuts = test::map_cuts(opened.program(0));
  ASSERT_FALSE(cuts.empty());
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const std::vector<graph::Splice> splices{test::random_splice(opened, 0, 1, cuts[i].layers, i + 1)};
    const std::vector<ModelIndex> wanted{0};
    const graph::Assembly assembly = graph::assemble(opened.set.models, opened.set.groups, splices, wanted);
    const auto expected = all_results(assembly, opened.set, stores, batch, &none);
    const auto as_it_is = all_results(assembly, opened.set, stores, batch, nullptr);
    for (std::size_t run = 0; run < expected.size(); ++run)
      EXPECT_LT(difference(expected[run], as_it_is[run]), 1e-4) << "cut " << i << ", run " << run;
    for (ValueCache* cache : {&roomy, &roomy, &tight}) {  // the second time from what was kept
      const auto results = all_results(assembly, opened.set, stores, batch, cache);
      for (std::size_t run = 0; run < expected.size(); ++run)
        EXPECT_TRUE(test::same_bits(results[run], expected[run])) << "cut " << i << ", run " << run;
      EXPECT_LE(cache->bytes(), cache->most_bytes());
    }
  }
  // A donor that writes to its maps keeps none.
  const bool writes = GetParam().donor == std::string("inplace");
  EXPECT_TRUE(writes || roomy.bytes() > 0);
  EXPECT_EQ(none.bytes(), 0);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, KeptValues,
                         testing::Values(Pair{"small", "wide"}, Pair{"wide", "small.traced"}, Pair{"list", "shuffle"},
                                         Pair{"inplace", "wide"}, Pair{"control", "inplace"}, Pair{"tied", "small"},
                                         Pair{"one_frame", "wide"}),
                         [](const auto& test) {
                           std::string name = std::string(test.param.receiver) + "_" + test.param.donor;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(SuffixGraph, OfAWholeBackboneReadsNoPicture) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const auto cuts = test::map_cuts(opened.program(0));
  const std::vector<graph::Splice> splices{test::random_splice(opened, 0, 1, cuts.back().layers, 1)};
  const std::vector<ModelIndex> wanted{0};
  const graph::Assembly assembly = graph::assemble(opened.set.models, opened.set.groups, splices, wanted);
  graph::ValueNumbering numbers;
  const graph::SuffixGraph suffix = graph::suffix_of(assembly, numbers);
  ASSERT_FALSE(suffix.supplied.empty());
  for (const bool reads : suffix.reads_group) EXPECT_FALSE(reads);
  // The same computation has the same number in another graph, whatever is fitted behind it.
  const std::vector<graph::Splice> others{test::random_splice(opened, 0, 1, cuts.back().layers, 1)};
  const graph::Assembly again = graph::assemble(opened.set.models, opened.set.groups, others, wanted);
  const graph::SuffixGraph second = graph::suffix_of(again, numbers);
  ASSERT_EQ(second.supplied.size(), suffix.supplied.size());
  for (std::size_t i = 0; i < suffix.supplied.size(); ++i)
    EXPECT_EQ(second.supplied[i].number, suffix.supplied[i].number);
}

TEST(SuffixGraph, TakesNothingThatIsWrittenToOrRandom) {
  graph::Assembly assembly;
  assembly.graph = std::make_shared<torch::jit::Graph>();
  torch::jit::parseIR(R"IR(
    graph(%x : Tensor, %w : Tensor):
      %one : int = prim::Constant[value=1]()
      %none : NoneType = prim::Constant()
      %relu : Tensor = aten::relu(%x)
      %written : Tensor = aten::neg(%relu)
      %changed : Tensor = aten::add_(%written, %w, %one)
      %drawn : Tensor = aten::rand_like(%relu, %none, %none, %none, %none, %none)
      %sum : Tensor = aten::add(%drawn, %w, %one)
      %both : Tensor = aten::mul(%changed, %sum)
      %all : Tensor = aten::mul(%both, %relu)
      return (%all))IR",
                      assembly.graph.get());
  assembly.input_groups = {0};
  assembly.parameters.push_back({0, "w", at::ones({1}), true, false, ""});
  graph::ValueNumbering numbers;
  const graph::SuffixGraph suffix = graph::suffix_of(assembly, numbers);
  ASSERT_EQ(suffix.supplied.size(), 1U);
  EXPECT_EQ(suffix.supplied[0].place.node, 2);  // relu
}

TEST(MergedPass, ThatIsLeftLeavesNothing) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const Stores stores = test::picture_stores(opened.set, kFrames);
  const auto cuts = test::map_cuts(opened.program(0));
  const std::vector<graph::Splice> splices{test::random_splice(opened, 0, 1, cuts.back().layers, 1)};
  const std::vector<ModelIndex> wanted{0};
  const graph::Assembly assembly = graph::assemble(opened.set.models, opened.set.groups, splices, wanted);
  ValueCache cache(std::int64_t{1} << 30);
  {
    MergedPass pass(assembly, opened.set, stores, kFrames, 16, &cache);
    (void)pass.results();
    EXPECT_GT(cache.bytes(), 0);
  }
  EXPECT_EQ(cache.bytes(), 0);
}

// One pass for two cuts, each in a copy of the receiver: what either starts from is there, and is what it would be.
TEST(MergedPass, FillsTheCacheForOthers) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const Stores stores = test::picture_stores(opened.set, kFrames);
  const auto cuts = test::map_cuts(opened.program(0));
  const std::vector<ModelIndex> wanted{0}, copies{2, 3};
  std::vector<const graph::Prepared*> models = opened.set.models;
  std::vector<int> groups = opened.set.groups;
  std::vector<graph::Splice> splices{test::random_splice(opened, 0, 1, cuts.front().layers, 1),
                                     test::random_splice(opened, 0, 1, cuts.back().layers, 2)};
  for (std::size_t i = 0; i < splices.size(); ++i) {
    splices[i].receiver = copies[i];
    models.push_back(models[0]);
    groups.push_back(groups[0]);
  }
  ValueCache cache(std::int64_t{1} << 30), none(0);
  MergedPass(graph::assemble(models, groups, splices, copies), opened.set, stores, kFrames, 16, &cache).fill_cache();
  const std::int64_t bytes = cache.bytes();
  EXPECT_GT(bytes, 0);
  for (graph::Splice& splice : splices) {
    splice.receiver = 0;
    const graph::Assembly alone = graph::assemble(opened.set.models, opened.set.groups, {&splice, 1}, wanted);
    const auto results = all_results(alone, opened.set, stores, 16, &cache),
               expected = all_results(alone, opened.set, stores, 16, &none);
    for (std::size_t run = 0; run < expected.size(); ++run)
      EXPECT_TRUE(test::same_bits(results[run], expected[run])) << run;
    EXPECT_EQ(cache.bytes(), bytes);
  }
}

/// Counts the passes over frames.
class Passes : public SilentProgress {
 public:
  void begin(std::string_view, std::int64_t) override { ++count; }
  int count = 0;
};

bool same_sums(const fit::CutSums& a, const fit::CutSums& b) {
  if (a.maps.size() != b.maps.size()) return false;
  for (std::size_t i = 0; i < a.maps.size(); ++i) {
    const fit::NormalEquations one = fit::merged(a.maps[i].blocks), two = fit::merged(b.maps[i].blocks);
    if (!at::equal(one.moments().xx, two.moments().xx) || !at::equal(one.moments().xy, two.moments().xy) ||
        a.maps[i].ridges.map != b.maps[i].ridges.map || a.maps[i].ridges.correction != b.maps[i].ridges.correction)
      return false;
  }
  return true;
}

TEST(Reuse, GivesTheSameSumsWithoutAnotherPass) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const Stores stores = test::picture_stores(opened.set, kFrames);
  fit::AttachmentOptions options;
  options.rank = 4;
  const fit::Cut cut{1, {{1, 0, 1}}}, other{1, {{1, 0, 0}}};
  const fit::Attachment attachment = test::attachment_of(opened.set, cut, options),
                        of_other = test::attachment_of(opened.set, other, options);
  const fit::CutSums plain = test::gather_on(opened.set, stores, attachment);
  const fit::CutSums corrected = test::corrections_on(opened.set, stores, attachment, plain);
  fit::Reuse reuse(std::int64_t{1} << 30, std::int64_t{1} << 30);
  Passes passes;
  const std::vector<fit::Attachment> attachments{attachment, of_other, attachment};
  const fit::CutFitter fitter(opened.set, {{&stores, nullptr, &reuse}}, {}, passes);
  for (int time = 0; time < 2; ++time) {
    const auto gathered = fitter.gather(attachments);
    EXPECT_TRUE(same_sums(gathered[0], plain));
    EXPECT_TRUE(same_sums(gathered[2], plain));
    EXPECT_FALSE(same_sums(gathered[1], plain));
    EXPECT_TRUE(same_sums(fitter.gather_corrections(attachment, gathered[0]), corrected));
  }
  EXPECT_EQ(passes.count, 2);  // one for all plain sums, one for the corrections
  // Of two parts only the one that is not known is run, and its sums are added.
  const std::vector<std::int64_t> few{0, 1, 2, 3};
  Stores more;
  for (const video::FrameStore& store : stores) more.push_back(store.some(few));
  const fit::CutFitter on_both(opened.set, {{&stores, nullptr, &reuse}, {&more}}, {}, passes);
  const fit::CutSums both = on_both.gather(attachment);
  EXPECT_EQ(passes.count, 3);
  EXPECT_EQ(both.maps[0].blocks[0].samples(), plain.maps[0].blocks[0].samples() * (kFrames + 4) / kFrames);
  EXPECT_TRUE(same_sums(fitter.gather(attachment), plain));
  EXPECT_EQ(passes.count, 3);
  fit::Reuse nothing(0, 0);
  const fit::CutFitter without_memory(opened.set, {{&stores, nullptr, &nothing}}, {}, passes);
  EXPECT_TRUE(same_sums(without_memory.gather(attachments)[2], plain));
}

}  // namespace
}  // namespace repsim::capture
