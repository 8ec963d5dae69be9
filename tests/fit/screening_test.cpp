// R2 of many pairs in one pass, against a library solver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "fit_fixtures.hpp"
#include "repsim/fit/screening.hpp"
#include "repsim/optimised.hpp"

namespace repsim::fit {
namespace {

TEST_F(Twins, ScreenFindsAnExactLinearRelation) {
  const std::vector<Screening> asked{{0, 1, {{0, 0}}}};
  const auto r2 = screen(opened.set, stores, asked, silent);
  ASSERT_EQ(r2.size(), 1U);
  ASSERT_EQ(r2[0].size(), 1U);
  EXPECT_GT(r2[0][0], 1 - 1e-4);  // the default ridge keeps it this far from 1
  EXPECT_GT(screen(opened.set, stores, asked, silent, {.ridge = 1e-9})[0][0], 1 - 1e-6);
}

TEST_F(Twins, ScreenFindsTheSameInSeveralPasses) {
  const std::vector<Screening> asked{{0, 1, {{0, 0}, {1, 0}, {1, 1}, {2, 2}}}, {1, 0, {{0, 0}, {2, 1}}}};
  const auto at_once = screen(opened.set, stores, asked, silent);
  EXPECT_EQ(screen(opened.set, stores, asked, silent, {.max_bytes = 0}), at_once);
}

/// What screen() regresses of a layer, taken another way: 64 places per frame or somewhat more, evenly spaced.
at::Tensor screened_samples(const test::Opened& opened, const capture::Stores& stores, ModelIndex model,
                            LayerIndex layer) {
  const graph::Layer& wanted = opened.program(model).layers[layer];
  const std::vector<graph::Place> places{graph::place_of(wanted)};
  const graph::Prepared& prepared = opened.prepared[model];
  const graph::Runner runner(*prepared.graph, prepared.parameters, places, /*keep_output=*/false);
  std::vector<at::Tensor> samples;
  const auto& store = stores[opened.set.groups[model]];
  for (std::int64_t frame = 0; frame < store.size(); ++frame) {
    runner.run({test::input_of(store, {frame})}, [&](int, const at::Tensor& value) {
      const at::Tensor all = value.permute({0, 2, 3, 1}).reshape({-1, value.size(1)});
      const std::int64_t stride = std::max<std::int64_t>(1, all.size(0) / 64);
      samples.push_back(all.slice(0, stride / 2, all.size(0), stride).clone());
    });
  }
  return at::cat(samples);
}

TEST_F(Twins, ScreenEqualsALeastSquaresLibrary) {
  // Donor layers that explain several, and layers that stand on both sides.
  const std::vector<Screening> asked{{0, 1, {{0, 0}, {1, 1}, {2, 2}}}, {1, 0, {{0, 0}, {1, 2}, {2, 2}}}};
  const auto r2 = screen(opened.set, stores, asked, silent, {.ridge = 1e-3});
  for (std::size_t i = 0; i < asked.size(); ++i) {
    for (std::size_t k = 0; k < asked[i].pairs.size(); ++k) {
      const at::Tensor x = screened_samples(opened, stores, asked[i].donor, asked[i].pairs[k].donor_layer),
                       y = screened_samples(opened, stores, asked[i].receiver, asked[i].pairs[k].receiver_layer);
      ASSERT_EQ(x.size(0), y.size(0));
      EXPECT_NEAR(r2[i][k], reference(x, y, 1e-3).r2, 1e-5) << i << " " << k;
    }
  }
}

// Each model's output once and in order, whatever memory allows; none of a model that its partner keeps from its own
// batches.
TEST(Screen, HandsOnWhatModelsReturn) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "one_frame"});
  ASSERT_FALSE(opened.prepared[2].batchable);
  const capture::Stores stores = test::picture_stores(opened.set, 20);
  const std::vector<Screening> asked{{0, 1, {{0, 0}, {1, 1}}}, {1, 2, {{0, 0}}}, {2, 0, {{0, 1}}}};
  SilentProgress silent;
  for (const std::int64_t max_bytes : {std::int64_t{0}, kUnlimited}) {
    std::map<int, std::vector<c10::IValue>> found;
    std::map<int, std::int64_t> frames;
    const Outputs outputs{{0, 2}, [&](ModelIndex model, const c10::IValue& output, std::int64_t count) {
                            found[model].push_back(output.deepcopy());
                            frames[model] += count;
                          }};
    const auto r2 = screen(opened.set, stores, asked, silent, {.max_bytes = max_bytes}, outputs);
    EXPECT_EQ(r2, screen(opened.set, stores, asked, silent));
    ASSERT_EQ(found.size(), 2U);
    for (const ModelIndex model : {0, 2}) {
      EXPECT_EQ(frames[model], 20);
      const graph::Prepared& prepared = opened.prepared[model];
      const auto runs = capture::batches(20, opened.set.batch({&model, 1}));
      ASSERT_EQ(found[model].size(), runs.size());
      const auto inputs = [&](const std::vector<std::int64_t>& positions) {
        return capture::group_inputs(opened.set, stores, {&opened.set.groups[model], 1}, positions);
      };
      const graph::ProbeRunner alone = graph::layer_runner(prepared, inputs({0}), /*keep_output=*/true);
      for (std::size_t run = 0; run < runs.size(); ++run)
        EXPECT_TRUE(test::same_bits(found[model][run], alone.runner.run(inputs(runs[run])))) << model << " " << run;
    }
  }
}

}  // namespace
}  // namespace repsim::fit
