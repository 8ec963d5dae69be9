// Corrections, several cuts in one pass, and frames in several parts.
#include <ATen/ops/arange.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fit_fixtures.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/splice_oracle.hpp"

namespace repsim::fit {
namespace {

/// A whole pyramid of `small` from `wide`, refitted in one convolution, or with adapters.
struct Corrected : testing::TestWithParam<bool> {
  test::Opened opened = test::open_fixtures({"small", "wide"});
  capture::Stores stores = test::picture_stores(opened.set, 16);
  Cut cut{
      0,
      {replacement("backbone.stage2.2", "backbone.layer2.2"), replacement("backbone.stage3.2", "backbone.layer3.2")}};
  SilentProgress silent;

  Replacement replacement(const std::string& receiver, const std::string& donor) {
    return {graph::find_layer(opened.program(0), receiver), 1, graph::find_layer(opened.program(1), donor)};
  }
  static AttachmentOptions options(int rank) {
    AttachmentOptions result;
    result.refit = GetParam();
    result.rank = rank;
    return result;
  }
};

// Invariants 2 and 3 of docs/internals/contracts.md, with corrections.
TEST_P(Corrected, ShareEqualsAnIndependentSpliceInThePromisedBytes) {
  const Attachment attachment = test::attachment_of(opened.set, cut, options(3)),
                   plain = test::attachment_of(opened.set, cut, options(0));
  ASSERT_EQ(attachment.rank, 3);
  ASSERT_EQ(attachment.is_refit(), GetParam());
  const std::vector<graph::Splice> splices{test::fit_on(opened.set, stores, {}, attachment).splice};
  const auto loaded = opened.pointers();
  const bundle::Written written = bundle::write(opened.set, loaded, splices, "{}");
  torch::jit::Module bundle = test::load_bytes(written.bytes);
  const auto images = test::images_of(stores, {3, 4});
  const c10::InferenceMode no_gradients;
  EXPECT_LT(test::difference(bundle.forward(images).toTupleRef().elements()[0],
                             test::spliced_output(opened, splices[0], images)),
            1e-5);
  EXPECT_EQ(written.parameter_bytes, test::expected_bytes(opened, splices));
  const std::int64_t separate = opened.prepared[0].model_bytes + opened.prepared[1].model_bytes -
                                opened.program(0).unused_parameter_bytes - opened.program(1).unused_parameter_bytes;
  const std::vector<LayerIndex> layers{cut.replacements[0].receiver_layer, cut.replacements[1].receiver_layer};
  EXPECT_EQ(written.parameter_bytes, separate - graph::removed_by(opened.program(0), layers).bytes +
                                         attachment.bytes_added - attachment.bytes_folded);
  EXPECT_GT(attachment.bytes_added, plain.bytes_added);
  EXPECT_GT(attachment.flops_added, plain.flops_added);
}

TEST_P(Corrected, ShareExplainsMoreTheHigherTheRank) {
  double before = 1;
  for (const int rank : {0, 2, 6}) {
    const Attachment attachment = test::attachment_of(opened.set, cut, options(rank));
    const Fitted fitted = test::fit_on(opened.set, stores, {}, attachment);
    const double worst = *std::max_element(fitted.residuals.begin(), fitted.residuals.end());
    EXPECT_LT(worst, before) << rank;
    before = worst;
  }
}

// What solving has in common for all ranks is done once, and changes no bit.
TEST_P(Corrected, SharesOfSeveralRanksAreSolvedTogetherAsAlone) {
  std::vector<Attachment> attachments;
  for (const int rank : {2, 4, 6}) attachments.push_back(test::attachment_of(opened.set, cut, options(rank)));
  const Attachment without = test::attachment_of(opened.set, cut, options(0));
  const CutSums plain = test::gather_on(opened.set, stores, without);
  const CutSums gathered = test::corrections_on(opened.set, stores, attachments[0], plain);
  const std::vector<Fitted> together = solve_ranks(gathered, attachments);
  ASSERT_EQ(together.size(), attachments.size());
  for (std::size_t i = 0; i < attachments.size(); ++i) {
    const Fitted alone = solve(gathered, attachments[i]);
    EXPECT_EQ(together[i].residuals, alone.residuals);
    const auto same = [&](const graph::Correction& a, const graph::Correction& b) {
      ASSERT_EQ(a.defined(), b.defined());
      if (!a.defined()) return;
      EXPECT_EQ(a.down.size(0), attachments[i].rank);
      EXPECT_TRUE(at::equal(a.down, b.down));
      EXPECT_TRUE(at::equal(a.up, b.up));
    };
    ASSERT_EQ(together[i].splice.refits.size(), alone.splice.refits.size());
    for (std::size_t k = 0; k < alone.splice.refits.size(); ++k)
      same(together[i].splice.refits[k].correction, alone.splice.refits[k].correction);
    for (std::size_t k = 0; k < alone.splice.replacements.size(); ++k)
      same(together[i].splice.replacements[k].correction, alone.splice.replacements[k].correction);
  }
}

// With given ridges, frames in two parts give the samples of all frames.
TEST_P(Corrected, PartsOfTheFramesFitAsAllOfThem) {
  const std::int64_t frames = stores.front().size();
  std::vector<std::int64_t> first_at, second_at;
  for (std::int64_t i = 0; i < frames; ++i) (i % 3 == 0 ? first_at : second_at).push_back(i);
  capture::Stores first, second;
  for (const video::FrameStore& store : stores) {
    first.push_back(store.some(first_at));
    second.push_back(store.some(second_at));
  }
  const std::vector<FrameSubset> parts{{&first}, {&second}};
  const FixedRidges ridges{1e-3, 1e-3};
  for (const int rank : {0, 4}) {
    const Attachment attachment = test::attachment_of(opened.set, cut, options(rank));
    const Fitted all = test::fit_on(opened.set, stores, {}, attachment, ridges),
                 in_parts = CutFitter(opened.set, parts, {}, silent).fit(attachment, ridges);
    ASSERT_EQ(in_parts.residuals.size(), all.residuals.size());
    for (std::size_t k = 0; k < all.residuals.size(); ++k)
      EXPECT_NEAR(in_parts.residuals[k], all.residuals[k], 1e-6) << rank;
    for (std::size_t k = 0; k < all.splice.refits.size(); ++k) {
      const at::Tensor &a = in_parts.splice.refits[k].weight, &b = all.splice.refits[k].weight;
      EXPECT_LT(largest(a - b), 1e-5 * largest(b)) << rank;
    }
  }
}

// One pass for several cuts changes no bit of any: a plan is fitted so, and fitted again one by one.
TEST_P(Corrected, CutsAreGatheredTogetherAsAlone) {
  const std::vector<Cut> cuts{cut, {0, {cut.replacements[0]}}, {0, {cut.replacements[1]}}};
  std::vector<Attachment> attachments;
  for (const Cut& one : cuts) attachments.push_back(test::attachment_of(opened.set, one, options(0)));
  const std::vector<CutSums> together = CutFitter(opened.set, {{&stores}}, {}, silent).gather(attachments);
  ASSERT_EQ(together.size(), cuts.size());
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const Fitted one = solve(together[i], attachments[i]), alone = test::fit_on(opened.set, stores, {}, attachments[i]);
    EXPECT_EQ(one.residuals, alone.residuals);
    ASSERT_EQ(one.splice.refits.size(), alone.splice.refits.size());
    for (std::size_t k = 0; k < one.splice.refits.size(); ++k)
      EXPECT_TRUE(at::equal(one.splice.refits[k].weight, alone.splice.refits[k].weight));
    for (std::size_t k = 0; k < one.splice.replacements.size(); ++k) {
      const at::Tensor &a = one.splice.replacements[k].weight, &b = alone.splice.replacements[k].weight;
      ASSERT_EQ(a.defined(), b.defined());
      EXPECT_TRUE(!a.defined() || at::equal(a, b));
    }
  }
}

TEST(Gather, TakesCutsOfTwoReceiversTogetherAsAlone) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const capture::Stores stores = test::picture_stores(opened.set, 20);
  const std::vector<Cut> cuts{{0, {{1, 1, 1}}}, {1, {{1, 0, 1}}}, {0, {{0, 1, 0}}}};
  WeightsOf weights;
  for (const ModelIndex receiver : {0, 1}) {
    for (int frame = 0; frame < 20; ++frame)
      weights[receiver].boxes.push_back({{0.2 + 0.3 * receiver, 0.1, 0.5 + 0.3 * receiver, 0.6, 0.9, 0}});
  }
  std::vector<Attachment> attachments;
  attachments.reserve(cuts.size());
  for (const Cut& one : cuts) attachments.push_back(test::attachment_of(opened.set, one, {}));
  SilentProgress silent;
  Reuse reuse(std::int64_t{1} << 28, std::int64_t{1} << 28);
  for (Reuse* kept : {static_cast<Reuse*>(nullptr), &reuse}) {
    const std::vector<CutSums> together =
        CutFitter(opened.set, {{&stores, &weights, kept}}, {}, silent).gather(attachments);
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      const Fitted one = solve(together[i], attachments[i]),
                   alone = test::fit_on(opened.set, stores, {}, attachments[i], {}, &weights),
                   alike = test::fit_on(opened.set, stores, {}, attachments[i]);
      EXPECT_EQ(one.residuals, alone.residuals);
      EXPECT_NE(one.residuals, alike.residuals);
    }
  }
}

/// Two models with so many channels at the cut that a correction sees combinations of them.
model::Loaded broad(const std::string& name, std::uint64_t seed) {
  test::Random random(seed);
  model::Loaded loaded;
  loaded.spec = {name, name + ".pt", test::fixture_input(), {}};
  torch::jit::Module module("__torch__." + name);
  module.register_parameter("w", random.tensor({130, 3, 4, 4}), false);
  module.register_parameter("head", random.tensor({3, 130, 3, 3}, 0.1), false);
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define(R"(
    def forward(self, x):
      y = torch.relu(torch.conv2d(x, self.w, None, [4, 4], [0, 0]))
      return torch.conv2d(y, self.head, None, [1, 1], [1, 1])
  )");
  loaded.module = std::move(module);
  loaded.module.eval();
  return loaded;
}

TEST(Projection, MakesACorrectionOfManyChannelsOneOfFew) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(broad("receiver", 31));
  loaded.push_back(broad("donor", 32));
  const test::Opened opened = test::open_loaded(std::move(loaded));
  ASSERT_TRUE(opened.prepared[0].rewritable) << opened.prepared[0].opaque_reason;
  const capture::Stores stores = test::picture_stores(opened.set, 32);
  SilentProgress silent;
  const Cut cut{0, {{0, 1, 0}}};
  AttachmentOptions options;
  options.refit = false;
  options.rank = 4;
  const Attachment attachment = test::attachment_of(opened.set, cut, options);
  const CutSums plain = test::gather_on(opened.set, stores, attachment);
  const auto reading = [&](std::int64_t max_regressors) {
    return test::corrections_on(opened.set, stores, attachment, plain, nullptr, max_regressors);
  };
  const CutSums gathered = reading(kMaxTrialRegressors), all = reading(kMaxRegressors);
  EXPECT_TRUE(reads_more(plain, kMaxTrialRegressors, kMaxRegressors));
  EXPECT_FALSE(reads_more(plain, 130 * 9, kMaxRegressors));
  EXPECT_FALSE(all.maps[0].projection.defined());
  EXPECT_LE(solve(all, attachment).residuals[0], solve(gathered, attachment).residuals[0] + 1e-3);
  ASSERT_TRUE(gathered.maps[0].projection.defined());
  EXPECT_LT(gathered.maps[0].projection.size(0), 130);
  const Fitted fitted = solve(gathered, attachment);
  const graph::FittedReplacement& one = fitted.splice.replacements[0];
  EXPECT_EQ(one.correction.down.sizes(), (std::vector<std::int64_t>{4, 130, 3, 3}));
  // The residual is that of the map as the bundle will compute it, on the samples that fitted.
  AttachmentOptions without = options;
  without.rank = 0;
  const Fitted base = solve(plain, test::attachment_of(opened.set, cut, without));
  EXPECT_LT(fitted.residuals[0], base.residuals[0]);
  const std::vector<graph::Splice> splices{fitted.splice};
  const auto pointers = opened.pointers();
  const bundle::Written written = bundle::write(opened.set, pointers, splices, "{}");
  torch::jit::Module bundle = test::load_bytes(written.bytes);
  const auto images = test::images_of(stores, {3, 4});
  const c10::InferenceMode no_gradients;
  EXPECT_LT(test::difference(bundle.forward(images).toTupleRef().elements()[0],
                             test::spliced_output(opened, splices[0], images)),
            1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, Corrected, testing::Bool(),
                         [](const auto& info) { return info.param ? "refit" : "adapters"; });

}  // namespace
}  // namespace repsim::fit
