// Adapters and refits against solutions by other means.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fit_fixtures.hpp"
#include "fixtures/splice_oracle.hpp"

namespace repsim::fit {
namespace {

TEST_F(Twins, AdapterRecoversAnExactLinearRelation) {
  AttachmentOptions options;
  options.refit = false;
  const Cut cut{0, {{0, 1, 0}}};
  const Attachment attachment = test::attachment_of(opened.set, cut, options);
  const Fitted fitted = test::fit_on(opened.set, stores, {}, attachment, {1e-9, std::nullopt});
  ASSERT_EQ(fitted.residuals.size(), 1U);
  EXPECT_LT(fitted.residuals[0], 1e-6);
  const c10::IValue image = test::input_of(stores[0], {0, 5});
  const auto own = opened.loaded[0].module.forward({image});
  EXPECT_LT(test::difference(own, test::spliced_output(opened, fitted.splice, {image})), 1e-3);
}

TEST_F(Twins, RefitRecoversAConvolutionBehindAnExactLinearRelation) {
  // Cut where pooling does not stand between: the maximum of a linear map is not linear.
  const Cut cut{0, {{0, 1, 0}}};
  const Attachment attachment = test::attachment_of(opened.set, cut);
  ASSERT_TRUE(attachment.is_refit());
  ASSERT_EQ(attachment.maps.size(), 1U);
  const Fitted fitted = test::fit_on(opened.set, stores, {}, attachment, {1e-9, std::nullopt});
  EXPECT_EQ(fitted.splice.refits.size(), 1U);
  EXPECT_LT(fitted.residuals[0], 1.0);
}

/// What the normalisation behind the neck of `small` makes of the neck's result [rows, C]: the least squares of that
/// are the weights of both in one, since a ridge relative to the regressors does not see how large the results are.
at::Tensor normalised(const test::Opened& opened, const at::Tensor& rows) {
  const torch::jit::Module norm = opened.loaded[0].module.attr("neck").toModule().attr("1").toModule();
  const auto of = [&](const char* name) { return norm.attr(name).toTensor().to(at::kDouble); };
  return (rows.to(at::kDouble) - of("running_mean")) / (of("running_var") + 1e-5).sqrt() * of("weight") + of("bias");
}

/// What a fit returns for a refit, recomputed from all samples by a library solver.
TEST(Refit, EqualsALeastSquaresLibraryOnPatches) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const capture::Stores stores = test::picture_stores(opened.set, 16);
  const graph::Program &receiver = opened.program(0), &donor = opened.program(1);
  const auto layer = [](const graph::Program& program, const std::string& name) {
    const int found = graph::find_layer(program, name);
    EXPECT_GE(found, 0) << name;
    return found;
  };
  const Cut cut{0,
                {{layer(receiver, "backbone.stage2.2"), 1, layer(donor, "backbone.layer2.2")},
                 {layer(receiver, "backbone.stage3.2"), 1, layer(donor, "backbone.layer3.2")}}};
  SilentProgress silent;
  const AttachmentOptions options;
  const Attachment attachment = test::attachment_of(opened.set, cut, options);
  ASSERT_TRUE(attachment.is_refit());
  ASSERT_EQ(attachment.maps.size(), 1U);
  const Fitted fitted = test::fit_on(opened.set, stores, {}, attachment);

  // The neck is a 1x1 convolution on cat(fine, upsampled coarse).
  std::vector<std::int64_t> all(16);
  for (std::size_t i = 0; i < 16; ++i) all[i] = static_cast<std::int64_t>(i);
  const c10::IValue image = test::input_of(stores[0], all);
  const auto rows = [](const at::Tensor& map) { return map.permute({0, 2, 3, 1}).reshape({-1, map.size(1)}); };
  const auto level = [&](ModelIndex model, int index) {
    return test::layer_value(opened.prepared[model], index, image);
  };
  const auto seen = [&](const at::Tensor& fine, const at::Tensor& coarse) {
    return at::cat({fine, at::upsample_nearest2d(coarse, {6, 8})}, 1);
  };
  const at::Tensor x = seen(level(1, cut.replacements[0].donor_layer), level(1, cut.replacements[1].donor_layer));
  const at::Tensor own =
      seen(level(0, cut.replacements[0].receiver_layer), level(0, cut.replacements[1].receiver_layer));
  const at::Tensor y =
      at::conv2d(own, opened.loaded[0].module.attr("neck").toModule().attr("0").toModule().attr("weight").toTensor());
  const Solved expected = reference(rows(x), normalised(opened, rows(y)), kRidge);
  const graph::ConvRefit& refit = fitted.splice.refits.at(0);
  ASSERT_GE(refit.normalisation, 0);
  // float32 weights of a solution in float64.
  EXPECT_LT(largest(refit.weight.flatten(1).to(at::kDouble) - expected.weight), 1e-5);
  EXPECT_LT(largest(refit.bias.to(at::kDouble) - expected.bias), 1e-5);
  EXPECT_NEAR(fitted.residuals[0], 1 - reference(rows(x), rows(y), kRidge).r2, 1e-6);
}

TEST(MixedCut, IsRefittedJointlyOverAllDonors) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "shuffle"});
  const capture::Stores stores = test::picture_stores(opened.set, 16);
  const Cut cut = mixed_cut(opened);
  EXPECT_THAT(cut.donors(), testing::ElementsAre(1, 2));
  SilentProgress silent;
  const AttachmentOptions options;
  const Attachment attachment = test::attachment_of(opened.set, cut, options);
  ASSERT_TRUE(attachment.is_refit());
  ASSERT_EQ(attachment.maps.size(), 1U);
  EXPECT_EQ(attachment.elements_added, 16 * (14 + 8 - 16 - 20) + 16);  // channels of both donors, and a bias
  const Fitted fitted = test::fit_on(opened.set, stores, {}, attachment);

  // The neck is a 1x1 convolution on cat(fine, upsampled coarse).
  std::vector<std::int64_t> all(16);
  for (std::size_t i = 0; i < 16; ++i) all[i] = static_cast<std::int64_t>(i);
  const c10::IValue image = test::input_of(stores[0], all);
  const auto level = [&](ModelIndex model, int index) {
    return test::layer_value(opened.prepared[model], index, image);
  };
  const auto seen = [](const at::Tensor& fine, const at::Tensor& coarse) {
    return at::cat({fine, at::upsample_nearest2d(coarse, {6, 8})}, 1).permute({0, 2, 3, 1});
  };
  const at::Tensor x = seen(level(1, cut.replacements[0].donor_layer),
                            at::adaptive_avg_pool2d(level(2, cut.replacements[1].donor_layer), {3, 4}));
  const at::Tensor own =
      seen(level(0, cut.replacements[0].receiver_layer), level(0, cut.replacements[1].receiver_layer));
  const at::Tensor neck =
      opened.loaded[0].module.attr("neck").toModule().attr("0").toModule().attr("weight").toTensor();
  const at::Tensor y = own.reshape({-1, own.size(3)}).mm(neck.flatten(1).t());
  const Solved expected = reference(x.reshape({-1, x.size(3)}), normalised(opened, y), kRidge);
  const graph::ConvRefit& refit = fitted.splice.refits.at(0);
  // float32 weights of a solution in float64.
  EXPECT_LT(largest(refit.weight.flatten(1).to(at::kDouble) - expected.weight), 1e-5);
  EXPECT_LT(largest(refit.bias.to(at::kDouble) - expected.bias), 1e-5);
  EXPECT_NEAR(fitted.residuals[0], 1 - reference(x.reshape({-1, x.size(3)}), y, kRidge).r2, 1e-6);
}

TEST(Fit, IsTheSameInEveryRun) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const capture::Stores stores = test::picture_stores(opened.set, 16);
  SilentProgress silent;
  for (const bool refit : {true, false}) {
    AttachmentOptions options;
    options.refit = refit;
    const Cut cut{1, {{1, 0, 1}}};
    const Attachment attachment = test::attachment_of(opened.set, cut, options);
    const Fitted one = test::fit_on(opened.set, stores, {}, attachment),
                 two = test::fit_on(opened.set, stores, {}, attachment);
    ASSERT_EQ(one.splice.refits.size(), two.splice.refits.size());
    for (std::size_t i = 0; i < one.splice.refits.size(); ++i)
      EXPECT_TRUE(at::equal(one.splice.refits[i].weight, two.splice.refits[i].weight));
    for (std::size_t i = 0; i < one.splice.replacements.size(); ++i) {
      if (!one.splice.replacements[i].weight.defined()) continue;
      EXPECT_TRUE(at::equal(one.splice.replacements[i].weight, two.splice.replacements[i].weight));
    }
  }
}

}  // namespace
}  // namespace repsim::fit
