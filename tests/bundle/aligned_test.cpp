// Invariants 2 and 3 of docs/internals/contracts.md for shares between models that see different parts of the frame.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fits.hpp"
#include "fixtures/splice_oracle.hpp"
#include "fixtures/views.hpp"

namespace repsim::bundle {
namespace {

using model::Resize;
using test::Opened;

fit::Cut backbone_cut(const Opened& opened, ModelIndex receiver, ModelIndex donor,
                      const std::vector<std::string>& taken, const std::vector<std::string>& given) {
  fit::Cut cut{receiver, {}};
  for (std::size_t i = 0; i < taken.size(); ++i) {
    cut.replacements.push_back({graph::find_layer(opened.program(receiver), taken[i]), donor,
                                graph::find_layer(opened.program(donor), given[i])});
  }
  return cut;
}

const std::vector<std::string> kSmall{"backbone.stage2.2", "backbone.stage3.2"},
    kWide{"backbone.layer2.2", "backbone.layer3.2"};

graph::Splice fitted(const Opened& opened, const capture::Stores& stores, const fit::Cut& cut, bool refit,
                     std::vector<graph::Splice> before = {}) {
  fit::AttachmentOptions options;
  options.refit = refit;
  return test::fit_on(opened.set, stores, before, test::attachment_of(opened.set, cut, options)).splice;
}

std::string written_bytes(const Opened& opened, const std::vector<graph::Splice>& splices, std::int64_t& parameters) {
  const auto loaded = opened.pointers();
  const Written written = write(opened.set, loaded, splices, "{}");
  parameters = written.parameter_bytes;
  return written.bytes;
}

struct Views {
  const char* name;
  std::int64_t receiver_width, receiver_height;
  Resize receiver;
  std::int64_t donor_width, donor_height;
  Resize donor;
};

class Aligned : public testing::TestWithParam<Views> {};

// The oracle carries cells over the frame by loops in float64; 1e-5: products in another order.
TEST_P(Aligned, SharesEqualAnIndependentSpliceAndHoldThePromisedBytes) {
  const Views& views = GetParam();
  std::vector<model::Loaded> loaded;
  loaded.push_back(test::fed("small", "small", views.receiver_width, views.receiver_height, views.receiver));
  loaded.push_back(test::fed("wide", "wide", views.donor_width, views.donor_height, views.donor));
  Opened opened = test::open_loaded(std::move(loaded));
  const capture::Stores stores = test::scenes(opened, 18);
  const fit::Cut cut = backbone_cut(opened, 0, 1, kSmall, kWide);
  const c10::InferenceMode no_gradients;
  for (const bool refit : {true, false}) {
    const std::vector<graph::Splice> splices{fitted(opened, stores, cut, refit)};
    std::int64_t parameters = 0;
    torch::jit::Module bundle = test::load_bytes(written_bytes(opened, splices, parameters));
    for (const auto& positions : {std::vector<std::int64_t>{16}, std::vector<std::int64_t>{0, 5, 17}}) {
      const auto images = test::images_of(stores, positions);
      const c10::IValue expected = test::spliced_output(opened, splices[0], images);
      const c10::IValue outputs = bundle.forward(images);
      EXPECT_LT(test::difference(outputs.toTupleRef().elements()[0], expected), 1e-5) << refit;
      EXPECT_LT(test::difference(test::run_head(bundle, "small", images), expected), 1e-5) << refit;
      EXPECT_TRUE(
          test::same_bits(outputs.toTupleRef().elements()[1], test::run_file(opened.loaded[1].spec.path, images[1])));
    }
    EXPECT_EQ(test::storage_bytes(bundle), parameters);
    EXPECT_EQ(test::expected_bytes(opened, splices), parameters);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Aligned,
    testing::Values(Views{"letterbox_from_stretch", 64, 64, Resize::kLetterbox, 64, 48, Resize::kStretch},
                    Views{"stretch_from_letterbox", 64, 48, Resize::kStretch, 96, 96, Resize::kLetterbox},
                    Views{"letterbox_from_crop", 96, 64, Resize::kLetterbox, 48, 64, Resize::kCrop},
                    Views{"crop_from_stretch", 48, 48, Resize::kCrop, 64, 96, Resize::kStretch}),
    [](const auto& info) { return std::string(info.param.name); });

// Two receivers that see the same take from one donor: what lines them up is the same, and in the file once.
TEST(AlignedReceivers, ShareTheirMatrices) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(test::fed("one", "small", 64, 64, Resize::kLetterbox));
  loaded.push_back(test::fed("two", "dict", 64, 64, Resize::kLetterbox));
  loaded.push_back(test::fed("wide", "wide", 64, 48, Resize::kStretch));
  Opened opened = test::open_loaded(std::move(loaded));
  const capture::Stores stores = test::scenes(opened, 16);
  std::vector<graph::Splice> splices;
  for (const ModelIndex receiver : {0, 1})
    splices.push_back(fitted(opened, stores, backbone_cut(opened, receiver, 2, kSmall, kWide), true, splices));
  std::int64_t parameters = 0;
  const torch::jit::Module bundle = test::load_bytes(written_bytes(opened, splices, parameters));
  EXPECT_EQ(test::storage_bytes(bundle), parameters);
  EXPECT_EQ(test::expected_bytes(opened, splices), parameters);
  // Nothing trains them: they are buffers. One matrix per level, rows only.
  std::vector<std::string> matrices;
  for (const auto& buffer : bundle.named_buffers()) {
    if (buffer.name.ends_with(".rows") || buffer.name.ends_with(".columns")) matrices.push_back(buffer.name);
  }
  EXPECT_THAT(matrices, testing::UnorderedElementsAre("one.shared.0.rows", "one.shared.1.rows"));
}

}  // namespace
}  // namespace repsim::bundle
