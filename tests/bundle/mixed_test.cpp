// Invariants 2 and 3 of docs/internals/contracts.md for receivers that take layers of one cut from several donors.
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

LayerIndex layer(const Opened& opened, ModelIndex model, const std::string& name) {
  const int found = graph::find_layer(opened.program(model), name);
  EXPECT_GE(found, 0) << name;
  return found;
}

graph::Splice fitted(const Opened& opened, const capture::Stores& stores, const fit::Cut& cut, bool refit,
                     const std::vector<graph::Splice>& before = {}) {
  fit::AttachmentOptions options;
  options.refit = refit;
  const fit::Attachment attachment = test::attachment_of(opened.set, cut, options);
  EXPECT_EQ(attachment.is_refit(), refit);
  return test::fit_on(opened.set, stores, before, attachment).splice;
}

Written written(const Opened& opened, const std::vector<graph::Splice>& splices) {
  const auto loaded = opened.pointers();
  return write(opened.set, loaded, splices, "{}");
}

/// Both levels of `small`: the fine one from wide, the coarse one from shuffle.
fit::Cut mixed_cut(const Opened& opened) {
  return {0,
          {{layer(opened, 0, "backbone.stage2.2"), 1, layer(opened, 1, "backbone.layer2.2")},
           {layer(opened, 0, "backbone.stage3.2"), 2, layer(opened, 2, "branches.1.2")}}};
}

/// Bytes of all that the models need, the receiver's cut taken off, and what the merged adds.
std::int64_t promised_bytes(const Opened& opened, const fit::Cut& cut, bool refit) {
  fit::AttachmentOptions options;
  options.refit = refit;
  const fit::Attachment attachment = test::attachment_of(opened.set, cut, options);
  std::int64_t bytes = attachment.bytes_added - attachment.bytes_folded -
                       graph::removed_by(opened.program(cut.receiver), cut.receiver_layers()).bytes;
  for (const graph::Prepared& model : opened.prepared)
    bytes += model.model_bytes - model.program.unused_parameter_bytes;
  return bytes;
}

void expect_equal_to_the_splice(const Opened& opened, const capture::Stores& stores) {
  const fit::Cut cut = mixed_cut(opened);
  const c10::InferenceMode no_gradients;
  for (const bool refit : {true, false}) {
    const std::vector<graph::Splice> splices{fitted(opened, stores, cut, refit)};
    const Written result = written(opened, splices);
    torch::jit::Module bundle = test::load_bytes(result.bytes);
    for (const auto& positions : {std::vector<std::int64_t>{15}, std::vector<std::int64_t>{0, 5, 11}}) {
      const auto images = test::images_of(stores, positions);
      const c10::IValue expected = test::spliced_output(opened, splices[0], images);
      const c10::IValue outputs = bundle.forward(images);
      EXPECT_LT(test::difference(outputs.toTupleRef().elements()[0], expected), 1e-5) << refit;
      EXPECT_LT(test::difference(test::run_head(bundle, "small", images), expected), 1e-5) << refit;
      for (const std::size_t donor : {1U, 2U}) {
        EXPECT_TRUE(test::same_bits(outputs.toTupleRef().elements()[donor],
                                    test::run_file(opened.loaded[donor].spec.path, images[opened.set.groups[donor]])));
      }
    }
    EXPECT_EQ(test::storage_bytes(bundle), result.parameter_bytes);
    EXPECT_EQ(test::expected_bytes(opened, splices), result.parameter_bytes);
    EXPECT_EQ(promised_bytes(opened, cut, refit), result.parameter_bytes) << refit;
  }
}

TEST(MixedShare, EqualsAnIndependentSpliceAndHoldsThePromisedBytes) {
  const Opened opened = test::open_fixtures({"small", "wide", "shuffle"});
  expect_equal_to_the_splice(opened, test::picture_stores(opened.set, 16));
}

// Three models that see three parts of the frame: each donor is lined up by matrices of its own. wide needs rows only,
// shuffle columns too, though its map is as wide as the receiver's.
TEST(MixedShare, OfDonorsThatSeeDifferentPartsEqualsAnIndependentSplice) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(test::fed("small", "small", 64, 64, Resize::kLetterbox));
  loaded.push_back(test::fed("wide", "wide", 64, 48, Resize::kStretch));
  loaded.push_back(test::fed("shuffle", "shuffle", 16, 24, Resize::kCrop));
  Opened opened = test::open_loaded(std::move(loaded));
  const capture::Stores stores = test::scenes(opened, 16);
  ASSERT_EQ(opened.set.specs.size(), 3U);
  expect_equal_to_the_splice(opened, stores);
}

// wide takes its stem from shuffle, small takes from wide as it then is, and from shuffle.
TEST(MixedShare, OnADonorThatTakesItselfEqualsAnIndependentSplice) {
  const Opened opened = test::open_fixtures({"small", "wide", "shuffle"});
  const capture::Stores stores = test::picture_stores(opened.set, 16);
  const fit::Cut first{1, {{layer(opened, 1, "backbone.stem.2"), 2, layer(opened, 2, "stem.2")}}};
  std::vector<graph::Splice> splices{fitted(opened, stores, first, false)};
  splices.push_back(fitted(opened, stores, mixed_cut(opened), true, splices));
  const Written result = written(opened, splices);
  torch::jit::Module bundle = test::load_bytes(result.bytes);
  const auto images = test::images_of(stores, {2, 7});
  const c10::InferenceMode no_gradients;
  const c10::IValue outputs = bundle.forward(images);
  EXPECT_LT(test::difference(outputs.toTupleRef().elements()[0],
                             test::spliced_output(opened, splices[1], images, {splices[0]})),
            1e-5);
  EXPECT_LT(test::difference(outputs.toTupleRef().elements()[1], test::spliced_output(opened, splices[0], images)),
            1e-5);
  // The oracle tells a donor as it is from one that takes.
  EXPECT_GT(test::difference(outputs.toTupleRef().elements()[0], test::spliced_output(opened, splices[1], images)),
            1e-3);
  EXPECT_EQ(test::storage_bytes(bundle), result.parameter_bytes);
  EXPECT_EQ(test::expected_bytes(opened, splices), result.parameter_bytes);
}

}  // namespace
}  // namespace repsim::bundle
