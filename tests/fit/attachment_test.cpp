// How cuts are attached, and what attachments cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fit_fixtures.hpp"

namespace repsim::fit {
namespace {

TEST(MixedCut, OfAModelThatTakesFromSeveralCountsTheirAdapters) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "shuffle"});
  AttachmentOptions options;
  options.refit = false;
  const Attachment attachment = test::attachment_of(opened.set, mixed_cut(opened), options);
  EXPECT_EQ(attachment.elements_added, (16 * 14 + 16) + (20 * 8 + 20));
  EXPECT_THAT(attachment.size_changes, testing::ElementsAre(SizeChange::kNone, SizeChange::kResize));
}

TEST(Attachment, CountsTheBytesOfARefitByItsChannels) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const int fine = graph::find_layer(opened.program(0), "backbone.stage2.2"),
            coarse = graph::find_layer(opened.program(0), "backbone.stage3.2");
  const int first = graph::find_layer(opened.program(1), "backbone.layer2.2"),
            second = graph::find_layer(opened.program(1), "backbone.layer3.2");
  const Attachment attachment = test::attachment_of(opened.set, {0, {{fine, 1, first}, {coarse, 1, second}}}, {});
  // 1x1 convolution to 16 channels: 32 inputs instead of 36, and a bias that it did not have.
  EXPECT_EQ(attachment.elements_added, 16 * (14 + 18 - 16 - 20) + 16);
  EXPECT_EQ(attachment.bytes_added, 4 * attachment.elements_added);
  EXPECT_EQ(attachment.bytes_folded, 4 * 4 * 16);  // mean, variance, scale and shift of the normalisation behind it
  EXPECT_GT(attachment.flops_folded, 0);
}

/// A convolution behind `x`, a normalisation, and `code` with what they give: y and z.
model::Loaded normalised_model(const std::string& name, const std::string& code, bool training = false) {
  test::Random random(11);
  model::Loaded loaded;
  loaded.spec = {name, name + ".pt", test::fixture_input(), {}};
  torch::jit::Module module("__torch__." + name);
  module.register_parameter("stem", random.tensor({6, 3, 4, 4}), false);
  module.register_parameter("w", random.tensor({5, 6, 1, 1}), false);
  for (const char* each : {"scale", "shift", "mean"}) module.register_parameter(each, random.tensor({5}), false);
  module.register_parameter("variance", random.tensor({5}).abs() + 0.1, false);
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define("def forward(self, x):\n  a = torch.relu(torch.conv2d(x, self.stem, None, [4, 4]))\n" +
                std::string("  y = torch.conv2d(a, self.w)\n  z = torch.batch_norm(y, self.scale, self.shift, ") +
                (training ? "None, None, True" : "self.mean, self.variance, False") +
                ", 0.1, 0.001, False)\n  return " + code + "\n");
  loaded.module = std::move(module);
  loaded.module.eval();
  return loaded;
}
std::optional<graph::Normalisation> behind_the_second(const test::Opened& opened) {
  const std::vector<int> nodes = graph::refit_convolutions(opened.prepared[0], {0});
  EXPECT_EQ(nodes.size(), 1U);
  return graph::normalisation_behind(opened.prepared[0], nodes.at(0));
}
test::Opened opened_with(const std::string& code, bool training = false) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(normalised_model("normalised", code, training));
  return test::open_loaded(std::move(loaded));
}

TEST(Normalisation, IsTheAffineMapThatItComputes) {
  const test::Opened opened = opened_with("torch.relu(z)");
  const auto found = behind_the_second(opened);
  ASSERT_TRUE(found);
  const auto of = [&](const char* name) { return opened.loaded[0].module.attr(name).toTensor().to(at::kDouble); };
  const at::Tensor scale = of("scale") / (of("variance") + 1e-3).sqrt();
  EXPECT_LT(largest(found->scale - scale), 1e-12);
  EXPECT_LT(largest(found->shift - (of("shift") - of("mean") * scale)), 1e-12);
  EXPECT_EQ(found->parameters.size(), 4U);
  EXPECT_EQ(opened.program(0).ops.at(found->op).kind, "aten::batch_norm");
}

TEST(Normalisation, KeepsParametersThatSomethingElseReads) {
  const auto found = behind_the_second(opened_with("z + self.shift.view(1, 5, 1, 1)"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->parameters.size(), 3U);
}

TEST(Normalisation, OfAValueThatIsReadElsewhereStays) { EXPECT_FALSE(behind_the_second(opened_with("z + y.relu()"))); }

TEST(Normalisation, ByStatisticsOfThePictureStays) { EXPECT_FALSE(behind_the_second(opened_with("z", true))); }

// Two heads, one level each: 14 and 18 channels become 16 and 16, so that the changes cancel out and yet both matter.
TEST(Attachment, RefitsNoSeveralConvolutionsOnOtherChannels) {
  const test::Opened opened = test::open_fixtures({"wide", "small"});
  const int fine = graph::find_layer(opened.program(0), "backbone.layer2.2"),
            coarse = graph::find_layer(opened.program(0), "backbone.layer3.2"),
            given = graph::find_layer(opened.program(1), "backbone.stage2.2");
  ASSERT_EQ(graph::refit_convolutions(opened.prepared[0], {fine, coarse}).size(), 2U);
  const Attachment attachment = test::attachment_of(opened.set, {0, {{fine, 1, given}, {coarse, 1, given}}}, {});
  EXPECT_FALSE(attachment.is_refit());
  EXPECT_TRUE(attachment.adds_linear());
  EXPECT_EQ(attachment.maps.size(), 2U);
  EXPECT_EQ(attachment.elements_added, 14 * 16 + 14 + 18 * 16 + 18);
}

TEST(Attachment, CountsTheBytesOfAdapters) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const int fine = graph::find_layer(opened.program(0), "backbone.stage1.2"),
            given = graph::find_layer(opened.program(1), "backbone.layer2.2");
  AttachmentOptions options;
  options.refit = false;
  const Attachment attachment = test::attachment_of(opened.set, {0, {{fine, 1, given}}}, options);
  EXPECT_TRUE(attachment.adds_linear() && attachment.size_changes.at(0) == SizeChange::kResize);
  EXPECT_EQ(attachment.elements_added, 12 * 14 + 12);
}

TEST(Attachment, ByRefitHasAMapPerConvolution) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "shuffle"});
  const Cut cut = mixed_cut(opened);
  const Attachment attachment = test::attachment_of(opened.set, cut);
  const std::vector<int> nodes = graph::refit_convolutions(opened.prepared[0], cut.receiver_layers());
  ASSERT_EQ(nodes.size(), 1U);
  EXPECT_EQ(attachment.cut, cut);
  const Refit& refit = std::get<Refit>(attachment.method);
  ASSERT_EQ(refit.convolutions.size(), 1U);
  EXPECT_EQ(refit.convolutions[0].node, nodes[0]);
  ASSERT_TRUE(refit.convolutions[0].normalisation.has_value());
  ASSERT_EQ(attachment.folded().size(), 1U);
  EXPECT_EQ(attachment.folded()[0].node, refit.convolutions[0].normalisation->node);
  ASSERT_EQ(attachment.maps.size(), 1U);
  const AttachedMap& map = attachment.maps[0];
  EXPECT_EQ(map.place.node, nodes[0]);
  EXPECT_TRUE(map.reads_input);
  EXPECT_THAT(map.donors, testing::ElementsAre(1, 2));
  EXPECT_THAT(map.map_shape, testing::ElementsAre(16, 6, 8));
  EXPECT_TRUE(attachment.is_fitted());
  EXPECT_FALSE(attachment.adds_linear());
}

TEST(Attachment, ByAdaptersHasAMapPerReplacement) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "shuffle"});
  const Cut cut = mixed_cut(opened);
  AttachmentOptions options;
  options.refit = false;
  const Attachment attachment = test::attachment_of(opened.set, cut, options);
  EXPECT_TRUE(std::get<Adapters>(attachment.method).linear);
  EXPECT_TRUE(attachment.folded().empty());
  ASSERT_EQ(attachment.maps.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const AttachedMap& map = attachment.maps[i];
    const graph::Layer& layer = opened.program(0).layers[cut.replacements[i].receiver_layer];
    EXPECT_EQ(map.place.node, layer.node);
    EXPECT_FALSE(map.reads_input);
    EXPECT_THAT(map.donors, testing::ElementsAre(cut.replacements[i].donor));
    EXPECT_EQ(map.map_shape, layer.shape);
    EXPECT_EQ(map.geometry.layer, cut.replacements[i].receiver_layer);
  }
  EXPECT_TRUE(attachment.is_fitted() && attachment.adds_linear());
}

TEST(Attachment, WithoutAdaptersOrRefitNeedsTheSameChannels) {
  const test::Opened opened = test::open_fixtures({"small", "wide", "frozen_a"});
  AttachmentOptions options;
  options.refit = options.linear = false;
  const LayerIndex layer = graph::find_layer(opened.program(0), "backbone.stage1.2");
  const LayerIndex other = graph::find_layer(opened.program(1), "backbone.layer2.2");
  EXPECT_FALSE(plan_attachment(opened.set, {0, {{layer, 1, other}}}, options).has_value());
  const std::optional<Attachment> same = plan_attachment(opened.set, {0, {{layer, 2, layer}}}, options);
  ASSERT_TRUE(same.has_value());
  EXPECT_FALSE(same->is_fitted());
  EXPECT_EQ(same->bytes_added, 0);
}

}  // namespace
}  // namespace repsim::fit
