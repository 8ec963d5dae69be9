// Auxiliary inputs of corrections: which are worth their weights, and what a fit makes of them.
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_solve.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "../../src/fit/fitting/auxiliary_inputs.hpp"
#include "../../src/fit/fitting/patches.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fits.hpp"
#include "fixtures/fixtures.hpp"
#include "fixtures/splice_oracle.hpp"
#include "fixtures/views.hpp"
#include "repsim/fit/fitting.hpp"

namespace repsim::fit {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kChannels = 3, kNeighbours = 9 * kChannels, kOutputs = 6, kSamples = 400;
constexpr int kRank = 2;

/// Samples of one block, centred: the map's neighbourhood, the auxiliary inputs, and what the map has to return.
struct Block {
  at::Tensor x, y;
};

/// A map with auxiliary inputs of these widths and made-up samples, and these samples for an oracle.
struct Made {
  MapSums map;
  std::vector<std::int64_t> widths;
  Block fitted, judged;

  /// @param depends  per auxiliary input how much of it is in what the map has to return
  Made(std::vector<std::int64_t> input_widths, const std::vector<double>& depends, std::uint64_t seed)
      : widths(std::move(input_widths)) {
    test::Random random(seed);
    map.geometry = graph::pointwise_geometry();
    map.channels = kChannels;
    map.corrections = true;
    map.ridges.correction = 1e-2;
    std::vector<at::Tensor> laws{random.tensor({kNeighbours, kOutputs}, 0.1)};
    for (std::size_t i = 0; i < widths.size(); ++i) {
      map.auxiliary_inputs.push_back({{1, static_cast<int>(i)}, {}, widths[i]});
      laws.push_back(random.tensor({widths[i], kOutputs}) * depends[i]);
    }
    const at::Tensor law = at::cat(laws),
                     mixing = random.tensor({law.size(0), law.size(0)}, 0.2) + at::eye(law.size(0));
    for (Block* one : {&fitted, &judged}) {
      one->x = random.tensor({kSamples, law.size(0)}).mm(mixing) + 2;
      one->y = one->x.mm(law) + random.tensor({kSamples, kOutputs}, 0.5);
      NormalEquations& sums = map.blocks.emplace_back();
      sums.add(one->x, one->y);
      one->x = (one->x - one->x.mean(0)).to(at::kDouble);
      one->y = (one->y - one->y.mean(0)).to(at::kDouble);
    }
  }
};

at::Tensor ridge_regression(const at::Tensor& x, const at::Tensor& y, double strength) {
  const at::Tensor n = at::scalar_tensor(static_cast<double>(x.size(0)), at::kDouble);
  const at::Tensor gram = x.t().mm(x) / n + strength * at::eye(x.size(1), at::kDouble);
  return at::linalg_solve(gram, x.t().mm(y) / n);
}

double error(const at::Tensor& left) { return left.square().sum().item<double>() / static_cast<double>(left.size(0)); }

/// One regression per set of auxiliary inputs, on samples: what best_auxiliary_inputs() works out from sums alone.
class BruteForce {
 public:
  explicit BruteForce(const Made& made) : made_(made) {
    const at::Tensor near = made.fitted.x.narrow(1, 0, kNeighbours);
    std::vector<std::int64_t> middles;
    for (std::int64_t i = 0; i < kChannels; ++i) middles.push_back(4 * kChannels + i);  // the kernel's middle
    const at::Tensor own = at::tensor(middles, at::kLong);
    const double mean_own = made.fitted.x.index_select(1, own).square().mean().item<double>();
    base_ = ridge_regression(made.fitted.x.index_select(1, own), made.fitted.y, made.map.ridges.map * mean_own);
    strength_ = made.map.ridges.correction * near.square().mean().item<double>();
    left_fitted_ = made.fitted.y - made.fitted.x.index_select(1, own).mm(base_);
    left_judged_ = made.judged.y - made.judged.x.index_select(1, own).mm(base_);
    const at::Tensor full = near.mm(ridge_regression(near, left_fitted_, strength_));
    const at::Tensor vectors = std::get<1>(at::linalg_eigh(full.t().mm(full)));
    up_ = vectors.narrow(1, kOutputs - kRank, kRank);
  }

  [[nodiscard]] double judged_error(const std::vector<std::size_t>& auxiliary_inputs) const {
    const at::Tensor map = ridge_regression(inputs(made_.fitted, auxiliary_inputs), left_fitted_.mm(up_), strength_);
    return error(left_judged_.mm(up_) - inputs(made_.judged, auxiliary_inputs).mm(map));
  }

  /// What an auxiliary input takes off the error, relative to the variance of what the map returns.
  [[nodiscard]] double brings(std::size_t auxiliary) const {
    return (judged_error({}) - judged_error({auxiliary})) / error(made_.judged.y);
  }

  /// What the weakest channel takes off the error, per weight.
  [[nodiscard]] double least() const {
    const at::Tensor map = ridge_regression(inputs(made_.fitted, {}), left_fitted_.mm(up_), strength_).select(1, 0);
    const at::Tensor of = left_judged_.mm(up_).select(1, 0);
    return (error(of.unsqueeze(1)) - error((of - inputs(made_.judged, {}).mv(map)).unsqueeze(1))) /
           (kNeighbours + kOutputs);
  }

  [[nodiscard]] std::vector<std::size_t> greedy(std::size_t most) const {
    std::vector<std::size_t> taken;
    while (taken.size() < most) {
      double best = std::max(0.0, least());
      std::optional<std::size_t> found;
      for (std::size_t auxiliary = 0; auxiliary < made_.widths.size(); ++auxiliary) {
        if (std::find(taken.begin(), taken.end(), auxiliary) != taken.end()) continue;
        std::vector<std::size_t> with = taken;
        with.push_back(auxiliary);
        const double per_weight =
            (judged_error(taken) - judged_error(with)) / static_cast<double>(kRank * made_.widths[auxiliary]);
        if (per_weight > best) best = per_weight, found = auxiliary;
      }
      if (!found) break;
      taken.push_back(*found);
    }
    return taken;
  }

 private:
  [[nodiscard]] at::Tensor inputs(const Block& block, const std::vector<std::size_t>& auxiliary_inputs) const {
    std::vector<at::Tensor> parts{block.x.narrow(1, 0, kNeighbours)};
    for (const std::size_t auxiliary : auxiliary_inputs) {
      std::int64_t begin = kNeighbours;
      for (std::size_t i = 0; i < auxiliary; ++i) begin += made_.widths[i];
      parts.push_back(block.x.narrow(1, begin, made_.widths[auxiliary]));
    }
    return at::cat(parts, 1);
  }

  const Made& made_;
  double strength_ = 0;
  at::Tensor base_, left_fitted_, left_judged_, up_;
};

TEST(BestAuxiliaryInputs, AreThoseOfRegressionsOnAllSubsetsThatGreedMeets) {
  std::size_t most_taken = 0;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    const Made made({2, 5, 1, 4, 3}, {0.3, 0.05, 0.5, 0.0, 0.15}, seed);
    const BruteForce oracle(made);
    for (const std::size_t most : {std::size_t{1}, std::size_t{5}}) {
      const std::vector<std::size_t> taken = best_auxiliary_inputs({&made.map, 1}, kRank, most);
      EXPECT_EQ(taken, oracle.greedy(most)) << seed;
      most_taken = std::max(most_taken, taken.size());
    }
  }
  EXPECT_GE(most_taken, 3U);
}

TEST(BestAuxiliaryInputs, AreNoneWhereNothingDependsOnThem) {
  const Made made({4, 4}, {0, 0}, 7);
  EXPECT_THAT(best_auxiliary_inputs({&made.map, 1}, kRank, 2), IsEmpty());
}

TEST(BestAuxiliaryInputs, AddUpOverTheMapsOfACut) {
  std::int64_t of_neither_alone = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Made one({3, 3, 3}, {1, 0.8, 0}, 2 * seed), two({3, 3, 3}, {0, 0.8, 1}, 2 * seed + 1);
    const BruteForce first(one), second(two);
    std::vector<double> brings;
    for (std::size_t auxiliary = 0; auxiliary < 3; ++auxiliary)
      brings.push_back(first.brings(auxiliary) + second.brings(auxiliary));
    const auto most = static_cast<std::size_t>(std::max_element(brings.begin(), brings.end()) - brings.begin());
    const std::vector<MapSums> both{one.map, two.map};
    EXPECT_THAT(best_auxiliary_inputs(both, kRank, 1), ElementsAre(most)) << seed;
    const bool alone = best_auxiliary_inputs({&one.map, 1}, kRank, 1).front() == most ||
                       best_auxiliary_inputs({&two.map, 1}, kRank, 1).front() == most;
    of_neither_alone += alone ? 0 : 1;
  }
  EXPECT_GT(of_neither_alone, 0);
}

TEST(BestAuxiliaryInputs, NeedTwoBlocks) {
  Made made({2}, {1}, 5);
  made.map.blocks[1] = NormalEquations();
  EXPECT_THAT(best_auxiliary_inputs({&made.map, 1}, kRank, 1), IsEmpty());
}

/// Both levels of `small` from `wide`, refitted in one convolution, or with adapters; the models see equal parts of the
/// frame, or not.
struct WithAuxiliaryInputs : testing::TestWithParam<std::tuple<bool, bool>> {
  test::Opened opened;
  capture::Stores stores;
  Cut cut;
  std::vector<DonorLayer> offered;
  SilentProgress silent;

  WithAuxiliaryInputs() {
    std::vector<model::Loaded> loaded;
    loaded.push_back(test::fed("small", "small", 64, 64, model::Resize::kLetterbox));
    loaded.push_back(std::get<1>(GetParam()) ? test::fed("wide", "wide", 64, 64, model::Resize::kLetterbox)
                                             : test::fed("wide", "wide", 96, 48, model::Resize::kCrop));
    opened = test::open_loaded(std::move(loaded));
    stores = test::scenes(opened, 16);
    cut = {
        0,
        {replacement("backbone.stage2.2", "backbone.layer2.2"), replacement("backbone.stage3.2", "backbone.layer3.2")}};
    for (std::size_t layer = 0; layer < opened.program(1).layers.size(); ++layer) {
      const auto& one = opened.program(1).layers[layer];
      if (one.shape.size() == 3 && one.dtype == "Float") offered.push_back({1, static_cast<int>(layer)});
    }
  }
  Replacement replacement(const std::string& receiver, const std::string& donor) {
    return {graph::find_layer(opened.program(0), receiver), 1, graph::find_layer(opened.program(1), donor)};
  }
  [[nodiscard]] AttachmentOptions options(std::vector<DonorLayer> auxiliary_inputs) const {
    AttachmentOptions result;
    result.refit = std::get<0>(GetParam());
    result.rank = 3;
    result.auxiliary_inputs = std::move(auxiliary_inputs);
    return result;
  }
  [[nodiscard]] Fitted fitted(const AttachmentOptions& options) {
    return test::fit_on(opened.set, stores, {}, test::attachment_of(opened.set, cut, options));
  }
};

// Invariants 2 and 3 of docs/internals/contracts.md.
TEST_P(WithAuxiliaryInputs, ShareEqualsAnIndependentSpliceInThePromisedBytes) {
  const AttachmentOptions with = options({offered.front(), offered.back()}), without = options({});
  const Attachment attachment = test::attachment_of(opened.set, cut, with),
                   plain = test::attachment_of(opened.set, cut, without);
  ASSERT_EQ(attachment.auxiliary_inputs, with.auxiliary_inputs);
  ASSERT_EQ(attachment.is_refit(), with.refit);
  const std::vector<graph::Splice> splices{fitted(with).splice};
  const auto loaded = opened.pointers();
  const bundle::Written written = bundle::write(opened.set, loaded, splices, "{}");
  torch::jit::Module bundle = test::load_bytes(written.bytes);
  const auto images = test::images_of(stores, {3, 4});
  const c10::InferenceMode no_gradients;
  const c10::IValue expected = test::spliced_output(opened, splices[0], images);
  EXPECT_LT(test::difference(bundle.forward(images).toTupleRef().elements()[0], expected), 1e-5);
  EXPECT_LT(test::difference(test::run_head(bundle, "small", images), expected), 1e-5);
  EXPECT_EQ(written.parameter_bytes, test::expected_bytes(opened, splices));
  const std::int64_t separate = opened.prepared[0].model_bytes + opened.prepared[1].model_bytes -
                                opened.program(0).unused_parameter_bytes - opened.program(1).unused_parameter_bytes;
  const std::vector<LayerIndex> layers{cut.replacements[0].receiver_layer, cut.replacements[1].receiver_layer};
  EXPECT_EQ(written.parameter_bytes, separate - graph::removed_by(opened.program(0), layers).bytes +
                                         attachment.bytes_added - attachment.bytes_folded);
  EXPECT_GT(attachment.bytes_added, plain.bytes_added);
  EXPECT_GT(attachment.flops_added, plain.flops_added);
}

TEST_P(WithAuxiliaryInputs, ShareExplainsMore) {
  const std::vector<double> before = fitted(options({})).residuals, with = fitted(options(offered)).residuals;
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_LT(with[i], before[i]) << i;
}

TEST_P(WithAuxiliaryInputs, FlopsAreThoseOfTheMergedGraph) {
  const AttachmentOptions with = options({offered.front(), offered.back()});
  const auto flops = [&](const AttachmentOptions& options) {
    const std::vector<graph::Splice> splices{fitted(options).splice};
    const std::vector<ModelIndex> wanted{0, 1};
    const graph::Assembly assembly = graph::assemble(opened.set.models, opened.set.groups, splices, wanted);
    std::vector<c10::IValue> images;
    for (const int group : assembly.input_groups) {
      const model::InputSpec& spec = opened.set.specs[group];
      images.push_back(model::make_input(spec, model::example_frames(spec, 1)));
    }
    // Resizing to a map's size is no part of what a share states.
    std::int64_t sum = 0;
    for (const graph::Op& op : graph::describe_merged(assembly, images).ops)
      sum += op.kind == "aten::adaptive_avg_pool2d" || op.kind == "aten::upsample_bilinear2d" ? 0 : op.flops;
    return sum;
  };
  const Attachment attachment = test::attachment_of(opened.set, cut, with),
                   plain = test::attachment_of(opened.set, cut, options({}));
  EXPECT_EQ(flops(with) - flops(options({})), attachment.flops_added - plain.flops_added);
}

TEST_P(WithAuxiliaryInputs, SumsAreReusedToTheBit) {
  const AttachmentOptions with = options({offered[1], offered[3]});
  const Attachment attachment = test::attachment_of(opened.set, cut, with);
  const CutSums plain = test::gather_on(opened.set, stores, attachment);
  Reuse reuse(1 << 26, 1 << 26);
  const auto solved = [&](const Attachment& of) {
    return solve(test::corrections_on(opened.set, stores, of, plain, &reuse), of);
  };
  const AttachmentOptions without = options({});
  (void)solved(test::attachment_of(opened.set, cut, without));  // of other regressors: not to be taken for these
  const Fitted first = solved(attachment), again = solved(attachment), alone = fitted(with);
  EXPECT_EQ(first.residuals, alone.residuals);
  EXPECT_EQ(again.residuals, alone.residuals);
}

TEST_P(WithAuxiliaryInputs, AreChosenAmongThoseOfferedAlikeEachTime) {
  const AttachmentOptions with = options({});
  const Attachment attachment = test::attachment_of(opened.set, cut, with);
  const CutSums plain = test::gather_on(opened.set, stores, attachment);
  const auto chosen = [&](const std::vector<DonorLayer>& among, std::size_t most) {
    return CutFitter(opened.set, {{&stores}}, {}, silent).choose_auxiliary_inputs(attachment, plain, among, most);
  };
  const std::vector<DonorLayer> auxiliary_inputs = chosen(offered, 3);
  EXPECT_LE(auxiliary_inputs.size(), 3U);
  for (const DonorLayer& one : auxiliary_inputs)
    EXPECT_NE(std::find(offered.begin(), offered.end(), one), offered.end());
  EXPECT_EQ(chosen(offered, 3), auxiliary_inputs);
  EXPECT_THAT(chosen({}, 3), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, WithAuxiliaryInputs, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const testing::TestParamInfo<std::tuple<bool, bool>>& one) {
                           return std::string(std::get<0>(one.param) ? "Refitted" : "Adapted") +
                                  (std::get<1>(one.param) ? "InOneView" : "FromAnotherView");
                         });

}  // namespace
}  // namespace repsim::fit
