// Donors that see another part of the frame than their receivers.
#include "../../src/fit/attachment/coordinates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "fixtures/fits.hpp"
#include "fixtures/splice_oracle.hpp"
#include "fixtures/views.hpp"
#include "repsim/fit/fitting.hpp"
#include "repsim/fit/screening.hpp"

namespace repsim::fit {
namespace {

using model::Resize;
using test::Opened;

model::InputSpec spec_of(std::int64_t width, std::int64_t height, Resize resize) {
  model::InputSpec spec;
  spec.width = width;
  spec.height = height;
  spec.resize = resize;
  return spec;
}

/// A set of two models with these inputs on frames of this size; coordinates need nothing else of it.
capture::ModelSet seeing(const model::InputSpec& receiver, const model::InputSpec& donor, std::int64_t width,
                         std::int64_t height) {
  capture::ModelSet set;
  set.groups = {0, 1};
  set.specs = {receiver, donor};
  for (const auto& spec : set.specs) set.views.push_back(video::input_to_frame(spec, width, height));
  return set;
}

// A point of the receiver's input and where the alignment puts it in the donor's are one point of the frame.
TEST(Alignment, KeepsPointsOfTheFrame) {
  const auto stretch = spec_of(320, 240, Resize::kStretch), letterbox = spec_of(416, 416, Resize::kLetterbox),
             crop = spec_of(300, 200, Resize::kCrop);
  for (const auto& [receiver, donor] :
       {std::pair{stretch, letterbox}, {letterbox, stretch}, {crop, letterbox}, {letterbox, crop}, {stretch, crop}}) {
    const capture::ModelSet set = seeing(receiver, donor, 768, 576);
    const graph::Alignment aligned = alignment(set, 0, 1);
    EXPECT_FALSE(aligned.identity());
    for (const double at : {0.0, 0.3, 1.0}) {
      const video::AffineMap &own = set.views[0], &other = set.views[1];
      EXPECT_NEAR(own.scale_x * at + own.offset_x,
                  other.scale_x * (aligned.scale_x * at + aligned.offset_x) + other.offset_x, 1e-12);
      EXPECT_NEAR(own.scale_y * at + own.offset_y,
                  other.scale_y * (aligned.scale_y * at + aligned.offset_y) + other.offset_y, 1e-12);
    }
  }
}

// Whatever the size: what sees the whole frame lines up, and so does a letterbox or crop of the frame's own shape.
TEST(Alignment, IsNoneWhereBothSeeTheSame) {
  const auto stretch = spec_of(320, 320, Resize::kStretch);
  for (const auto& other :
       {spec_of(64, 352, Resize::kStretch), spec_of(320, 240, Resize::kLetterbox), spec_of(640, 480, Resize::kCrop)}) {
    EXPECT_TRUE(alignment(seeing(stretch, other, 768, 576), 0, 1).identity());
    EXPECT_TRUE(alignment(seeing(other, stretch, 768, 576), 0, 1).identity());
  }
  EXPECT_TRUE(
      alignment(seeing(spec_of(640, 640, Resize::kLetterbox), spec_of(320, 320, Resize::kLetterbox), 768, 576), 0, 1)
          .identity());
  capture::ModelSet unknown = seeing(stretch, spec_of(64, 64, Resize::kCrop), 768, 576);
  unknown.views.clear();
  EXPECT_TRUE(alignment(unknown, 0, 1).identity());
  unknown.views.resize(1);
  EXPECT_THAT(test::error_text([&] { (void)alignment(unknown, 0, 1); }), testing::StartsWith("internal: "));
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

// float32 products of float32 weights against loops in float64.
TEST(Matrices, EqualNaiveLoopsOverBothMaps) {
  test::Random random(5);
  const Resize kinds[] = {Resize::kStretch, Resize::kLetterbox, Resize::kCrop};
  for (int round = 0; round < 60; ++round) {
    const auto any = [&](Resize resize) { return spec_of(64 + random.below(300), 64 + random.below(300), resize); };
    const capture::ModelSet set = seeing(any(kinds[round % 3]), any(kinds[(round + 1 + round / 30) % 3]),
                                         200 + random.below(400), 200 + random.below(400));
    const graph::Alignment aligned = alignment(set, 0, 1);
    const std::vector<std::int64_t> from{3, 2 + random.below(20), 2 + random.below(20)},
        to{5, 1 + random.below(20), 1 + random.below(20)};
    const at::Tensor map = random.tensor({2, from[0], from[1], from[2]});
    const at::Tensor found = matrices(aligned, from, to).apply(map);
    EXPECT_LT(largest_difference(found, test::resampled(map, to[1], to[2], set.views[0], set.views[1])), 1e-5) << round;
    EXPECT_LT(largest_difference(found.narrow(0, 1, 1), matrices(aligned, from, to).apply(map.narrow(0, 1, 1))), 1e-6);
  }
}

// One rule for both: where coordinates agree it is what the resize of equal coordinates does (torch takes float32 for
// its positions: 1e-5).
TEST(Matrices, AgreeWithTheResizeOfEqualCoordinates) {
  const at::Tensor map = test::Random(6).tensor({1, 4, 12, 18});
  const graph::Alignment same;
  EXPECT_LT(largest_difference(matrices(same, {4, 12, 18}, {4, 6, 6}).apply(map), at::adaptive_avg_pool2d(map, {6, 6})),
            1e-5);
  EXPECT_LT(largest_difference(matrices(same, {4, 12, 18}, {4, 30, 18}).apply(map),
                               at::upsample_bilinear2d(map, {30, 18}, false)),
            1e-5);
}

/// What is seen through a window of the receiver's input, from `left` to `right`.
graph::Alignment window(double left, double right) { return {1 / (right - left), 1, -left / (right - left), 0}; }

TEST(CellsInView, AreThoseThatAllDonorsSee) {
  const at::Tensor rows = at::arange(16, at::kFloat).view({1, 16, 1});  // 2 rows of 8 cells
  const auto seen = [&](const std::vector<graph::Alignment>& alignments) {
    const at::Tensor kept = cells_in_view(rows, alignments, 2, 8).flatten();
    return std::vector<float>(kept.data_ptr<float>(), kept.data_ptr<float>() + kept.numel());
  };
  const graph::Alignment left = window(0, 0.5), right = window(0.25, 1), end = window(0.75, 1);
  EXPECT_THAT(seen({left}), testing::ElementsAre(0, 1, 2, 3, 8, 9, 10, 11));
  EXPECT_THAT(seen({left, right}), testing::ElementsAre(2, 3, 10, 11));
  EXPECT_THAT(seen({right, graph::Alignment{}, left}), testing::ElementsAre(2, 3, 10, 11));
  EXPECT_EQ(seen({left, end}).size(), 16U);  // nothing that both see: fitting on all is the best that is left
  EXPECT_EQ(seen({graph::Alignment{}}).size(), 16U);
  EXPECT_EQ(seen({}).size(), 16U);
}

/// Three detectors that see three parts of the frame; both levels of the first may come from the others.
struct ThreeViews : testing::Test {
  Opened opened;
  capture::Stores stores;
  SilentProgress silent;
  Replacement fine, coarse;
  ThreeViews() {
    std::vector<model::Loaded> loaded;
    loaded.push_back(test::fed("small", "small", 64, 64, Resize::kLetterbox));
    loaded.push_back(test::fed("wide", "wide", 96, 48, Resize::kCrop));        // above and below it sees nothing
    loaded.push_back(test::fed("shuffle", "shuffle", 48, 64, Resize::kCrop));  // left and right
    opened = test::open_loaded(std::move(loaded));
    stores = test::scenes(opened, 16);
    fine = {layer(0, "backbone.stage2.2"), 1, layer(1, "backbone.layer2.2")};
    coarse = {layer(0, "backbone.stage3.2"), 2, layer(2, "branches.1.2")};
  }
  [[nodiscard]] LayerIndex layer(ModelIndex model, const std::string& name) const {
    return graph::find_layer(opened.program(model), name);
  }
  [[nodiscard]] Fitted fitted(const std::vector<Replacement>& replacements, const AttachmentOptions& options) {
    const Cut cut{0, replacements};
    return test::fit_on(opened.set, stores, {}, test::attachment_of(opened.set, cut, options));
  }
};

// Every replacement has its own donor's coordinates: adapters of a mixed cut are those that each donor alone would get.
TEST_F(ThreeViews, AreLinedUpEachByItself) {
  AttachmentOptions options;
  options.refit = false;
  const Fitted mixed = fitted({fine, coarse}, options);
  const std::vector<Fitted> alone{fitted({fine}, options), fitted({coarse}, options)};
  for (std::size_t i = 0; i < 2; ++i) {
    const graph::FittedReplacement &one = mixed.splice.replacements.at(i), &other = alone[i].splice.replacements.at(0);
    EXPECT_EQ(one.donor, static_cast<int>(i) + 1);
    EXPECT_TRUE(one.resampling.vertical.defined() || one.resampling.horizontal.defined());
    EXPECT_EQ(one.resampling.vertical.defined(), other.resampling.vertical.defined());
    EXPECT_EQ(one.resampling.horizontal.defined(), other.resampling.horizontal.defined());
    EXPECT_TRUE(at::equal(one.weight, other.weight)) << i;
    EXPECT_TRUE(at::equal(one.bias, other.bias)) << i;
    EXPECT_EQ(mixed.residuals.at(i), alone[i].residuals.at(0));
  }
}

// The neck is a 1x1 convolution on cat(fine, upsampled coarse). Where one donor sees nothing it fits nothing.
TEST_F(ThreeViews, AreRefittedWhereAllDonorsSee) {
  const Fitted mixed = fitted({fine, coarse}, {});
  ASSERT_EQ(mixed.splice.refits.size(), 1U);
  std::vector<std::int64_t> all(16);
  for (std::size_t i = 0; i < 16; ++i) all[i] = static_cast<std::int64_t>(i);
  const auto value = [&](ModelIndex model, int index) {
    const auto at = static_cast<std::size_t>(model);
    return test::layer_value(opened.prepared[at], index, test::input_of(stores[at], all));
  };
  const auto given = [&](const Replacement& replacement) {
    const at::Tensor map = value(replacement.donor, replacement.donor_layer);
    const auto& wanted = opened.program(0).layers[replacement.receiver_layer].shape;
    return matrices(alignment(opened.set, 0, replacement.donor), map.sizes().slice(1), wanted).apply(map);
  };
  const auto neck_input = [](const at::Tensor& first, const at::Tensor& second) {
    return at::cat({first, at::upsample_nearest2d(second, {first.size(2), first.size(3)})}, 1);
  };
  const at::Tensor x = neck_input(given(fine), given(coarse));
  const at::Tensor y =
      at::conv2d(neck_input(value(0, fine.receiver_layer), value(0, coarse.receiver_layer)),
                 opened.loaded[0].module.attr("neck").toModule().attr("0").toModule().attr("weight").toTensor());
  const auto solved = [&](const std::vector<ModelIndex>& donors) {
    NormalEquations sums;
    std::vector<bool> seen(static_cast<std::size_t>(x.size(2) * x.size(3)), true);
    for (const ModelIndex donor : donors) {
      const auto by_one = graph::cells_in_view(alignment(opened.set, 0, donor), x.size(2), x.size(3));
      for (std::size_t i = 0; i < seen.size(); ++i) seen[i] = seen[i] && by_one[i];
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const auto cell = static_cast<std::int64_t>(i);
      if (seen[i]) sums.add(x.flatten(2).select(2, cell), y.flatten(2).select(2, cell));
    }
    return sums.solve(kRidge).weight;
  };
  // The normalisation behind it is part of the new weights.
  const torch::jit::Module norm = opened.loaded[0].module.attr("neck").toModule().attr("1").toModule();
  const at::Tensor scale = norm.attr("weight").toTensor() / (norm.attr("running_var").toTensor() + 1e-5).sqrt();
  const at::Tensor weight = (mixed.splice.refits[0].weight.flatten(1) / scale.unsqueeze(1)).to(at::kDouble);
  EXPECT_LT(largest_difference(weight, solved({1, 2})), 1e-5);  // float32 weights
  for (const std::vector<int>& others : {std::vector<int>{1}, {2}, {}})
    EXPECT_GT(largest_difference(weight, solved(others)), 1e-3);
}

/// One detector twice: the receiver sees a square letterbox of the frame, the donor the stretched frame.
struct SameWeights : testing::Test {
  Opened opened;
  capture::Stores stores;
  SilentProgress silent;
  SameWeights() {
    std::vector<model::Loaded> loaded;
    loaded.push_back(test::fed("boxed", "small", 64, 64, Resize::kLetterbox));
    loaded.push_back(test::fed("plain", "small", 64, 48, Resize::kStretch));
    opened = test::open_loaded(std::move(loaded));
    stores = test::scenes(opened, 32);
  }
  [[nodiscard]] capture::ModelSet unaligned() const {
    capture::ModelSet set = opened.set;
    set.views.clear();
    return set;
  }
  [[nodiscard]] LayerIndex layer(const std::string& name) const { return graph::find_layer(opened.program(0), name); }
};

// Equal layers of equal weights, moved by whole cells: aligned they differ at the letterbox's border only, as resized
// they show other places. (Half a cell, as at stage3, is another value in a random network.)
TEST_F(SameWeights, AreFoundAlikeOnceTheyLineUp) {
  for (const std::string name : {"backbone.stage1.2", "backbone.stage2.2"}) {
    const std::vector<Screening> pair{{0, 1, {{layer(name), layer(name)}}}};
    const double aligned = screen(opened.set, stores, pair, silent)[0][0],
                 resized = screen(unaligned(), stores, pair, silent)[0][0];
    EXPECT_GT(aligned, 0.85) << name;
    EXPECT_LT(resized, aligned - 0.2) << name;
  }
}

TEST_F(SameWeights, LeaveALineUpOfTheFirstLayerExactInsideTheFrame) {
  // 64x64 letterbox of 64x48: the frame's pixels are the same, eight rows further down.
  const int stem = layer("backbone.stem.2");
  const auto& shape = opened.program(0).layers[stem].shape;
  const at::Tensor own = test::layer_value(opened.prepared[0], stem, test::input_of(stores[0], {3})),
                   given = test::layer_value(opened.prepared[1], stem, test::input_of(stores[1], {3}));
  const at::Tensor moved =
      matrices(alignment(opened.set, 0, 1), given.sizes().slice(1), own.sizes().slice(1)).apply(given);
  ASSERT_EQ(shape[1], 32);  // rows 4 to 27 show the frame; the outer ones of these see the border as well
  EXPECT_LT(largest_difference(own.narrow(2, 5, 22), moved.narrow(2, 5, 22)), 1e-5);
  EXPECT_EQ(moved.narrow(2, 0, 4).abs().max().item<double>(), 0) << "the donor sees nothing there";
}

TEST_F(SameWeights, LeaveASmallerResidualOnceTheyLineUp) {
  AttachmentOptions options;
  for (const bool refit : {true, false}) {
    options.refit = refit;
    const Cut cut{0, {{layer("backbone.stage1.2"), 1, layer("backbone.stage1.2")}}};
    const auto residual = [&](const capture::ModelSet& set) {
      const Attachment attachment = test::attachment_of(set, cut, options);
      EXPECT_EQ(attachment.is_refit(), refit);
      return test::fit_on(set, stores, {}, attachment).residuals[0];
    };
    EXPECT_LT(residual(opened.set), residual(unaligned()) - 0.2) << (refit ? "refit" : "adapters");
  }
}

TEST_F(SameWeights, CountTheirMatricesOnce) {
  const int first = layer("backbone.stem.2"), fine = layer("backbone.stage2.2");
  AttachmentOptions options;
  options.refit = options.linear = false;
  const auto bytes = [&](const std::vector<Replacement>& replacements) {
    return test::attachment_of(opened.set, {0, replacements}, options).bytes_added;
  };
  // Heights of 64 / 2 and 64 / 8 cells from 48 / 2 and 48 / 8; widths agree and need no matrix.
  EXPECT_EQ(bytes({{first, 1, first}}), 4 * 32 * 24);
  EXPECT_EQ(bytes({{fine, 1, fine}}), 4 * 8 * 6);
  EXPECT_EQ(bytes({{fine, 1, fine}, {fine, 1, fine}}), 4 * 8 * 6);
  EXPECT_EQ(bytes({{first, 1, first}, {fine, 1, fine}}), 4 * (32 * 24 + 8 * 6));
  const Attachment attachment = test::attachment_of(opened.set, {0, {{fine, 1, fine}}}, options);
  EXPECT_TRUE(attachment.size_changes.at(0) == SizeChange::kResample);
  EXPECT_EQ(attachment.flops_added, 2 * 16 * (8 * 6) * 8);  // 16 channels, 8 columns
}

}  // namespace
}  // namespace repsim::fit
