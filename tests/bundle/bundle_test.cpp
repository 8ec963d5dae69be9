// The bundle as a user gets it: loaded with plain torch::jit from its bytes.
#include "repsim/bundle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fits.hpp"
#include "fixtures/fixtures.hpp"
#include "fixtures/relatives.hpp"
#include "fixtures/splice_oracle.hpp"

namespace repsim::bundle {
namespace {

using test::Opened;
using testing::ElementsAre;
using testing::HasSubstr;

Written written(const Opened& opened, const std::vector<graph::Splice>& splices = {}) {
  const auto loaded = opened.pointers();
  return write(opened.set, loaded, splices, "{\"manifest\": 1}\n");
}

std::vector<std::string> names_of(const Opened& opened) {
  std::vector<std::string> names;
  for (const model::Loaded& model : opened.loaded) names.push_back(model.spec.name);
  return identifiers(names);
}

class Sets : public testing::TestWithParam<std::vector<std::string>> {};

// Invariant 1 of docs/internals/contracts.md.
TEST_P(Sets, NoSharesKeepEveryHeadsBits) {
  const Opened opened = test::open_fixtures(GetParam());
  const std::string bytes = written(opened).bytes;
  const capture::Stores stores = test::picture_stores(opened.set, 2, 5);
  const auto names = names_of(opened);
  const c10::InferenceMode no_gradients;
  for (std::int64_t frame = 0; frame < 2; ++frame) {
    const auto images = test::images_of(stores, {frame});
    torch::jit::Module fresh = test::load_bytes(bytes);
    const c10::IValue outputs = fresh.forward(images);
    ASSERT_EQ(outputs.toTupleRef().elements().size(), opened.loaded.size());
    for (std::size_t i = 0; i < opened.loaded.size(); ++i) {
      const c10::IValue own = test::run_file(opened.loaded[i].spec.path, images[opened.set.groups[i]]);
      EXPECT_TRUE(test::same_bits(outputs.toTupleRef().elements()[i], own)) << names[i] << " by forward";
      torch::jit::Module single = test::load_bytes(bytes);
      EXPECT_TRUE(test::same_bits(test::run_head(single, names[i], images), own)) << names[i] << " by run_" << names[i];
    }
  }
}

// Invariant 3 of docs/internals/contracts.md.
TEST_P(Sets, HoldTheBytesThatArePromised) {
  const Opened opened = test::open_fixtures(GetParam());
  const Written result = written(opened);
  const test::Records records = test::records_of(result.bytes);
  EXPECT_EQ(test::storage_bytes(test::load_bytes(result.bytes)), result.parameter_bytes);
  EXPECT_EQ(records.tensors, result.parameter_bytes);
  EXPECT_EQ(result.parameter_bytes, test::expected_bytes(opened, {}));
  EXPECT_LE(static_cast<std::int64_t>(result.bytes.size()),
            records.tensors + records.others + records.count * test::kZipBytesPerRecord);
}

TEST_P(Sets, GiveTheSameBytesTwice) {
  EXPECT_EQ(written(test::open_fixtures(GetParam())).bytes, written(test::open_fixtures(GetParam())).bytes);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Sets,
                         testing::Values(std::vector<std::string>{"small", "wide"},
                                         std::vector<std::string>{"frozen_a", "frozen_b"},
                                         std::vector<std::string>{"dict", "list", "images", "bytes", "control"},
                                         std::vector<std::string>{"inplace", "shuffle", "tied", "one_frame"},
                                         std::vector<std::string>{"small.traced", "counter", "shuffle.traced"}),
                         [](const auto& info) {
                           std::string name;
                           for (const std::string& one : info.param) name += (name.empty() ? "" : "_") + one;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(Bundle, StoresAFrozenBackboneOnce) {
  const Opened opened = test::open_fixtures({"frozen_a", "frozen_b"});
  const Written result = written(opened);
  std::int64_t backbone = 0, tensors = 0;
  for (const graph::Parameter& parameter : opened.program(0).parameters) {
    if (!parameter.path.starts_with("backbone.")) continue;
    backbone += parameter.bytes;
    ++tensors;
  }
  EXPECT_EQ(result.bytes_deduplicated, backbone);
  EXPECT_EQ(result.deduplicated, tensors);
}

TEST(Bundle, CarriesTheManifestAsAnExtraFile) {
  std::istringstream stream(written(test::open_fixtures({"tied", "shuffle"})).bytes);
  std::unordered_map<std::string, std::string> extra{{"repsim.json", ""}};
  (void)torch::jit::load(stream, at::kCPU, extra);
  EXPECT_EQ(extra["repsim.json"], "{\"manifest\": 1}\n");
}

TEST(Bundle, NeedsNoOperatorOfOurs) {
  const std::string bytes = written(test::open_fixtures({"small", "wide"})).bytes;
  EXPECT_EQ(bytes.find("repsim::"), std::string::npos);
  const torch::jit::Module bundle = test::load_bytes(bytes);
  for (torch::jit::Node* node : bundle.get_method("forward").graph()->nodes()) {
    EXPECT_TRUE(node->kind().is_aten() || node->kind().is_prim()) << node->kind().toQualString();
  }
}

TEST(Bundle, SaysNothingAboutTheMachineThatMadeTheModels) {
  const test::TempFolder folder;
  torch::jit::load(test::fixture_path("tied").string()).save((folder / "m.pt").string());  // with debug records
  model::ModelSpec spec{"m", (folder / "m.pt").string(), test::fixture_input(), {}};
  std::vector<model::Loaded> loaded;
  loaded.push_back(model::load(spec, "flags"));
  loaded.push_back(test::load_fixture("counter"));
  std::istringstream stream(written(test::open_loaded(std::move(loaded))).bytes);
  caffe2::serialize::PyTorchStreamReader reader(&stream);
  for (const std::string& name : reader.getAllRecords()) EXPECT_EQ(name.find("debug_pkl"), std::string::npos) << name;
}

// Every cut of both detectors, adapters of seeded weights: invariants 2 and 3 on what was written.
class Shares : public testing::TestWithParam<int> {};

TEST_P(Shares, EqualAnIndependentSpliceAndHoldThePromisedBytes) {
  const Opened opened = test::open_fixtures({"small", "wide"});
  const ModelIndex receiver = GetParam();
  const capture::Stores stores = test::picture_stores(opened.set, 2, 9);
  const auto images = test::images_of(stores, {0, 1});
  const auto names = names_of(opened);
  const c10::InferenceMode no_gradients;
  for (const planner::DepthCut& cut : test::map_cuts(opened.program(receiver))) {
    const std::vector<graph::Splice> splices{
        test::random_splice(opened, receiver, 1 - receiver, cut.layers, cut.layers.size() * 7)};
    const Written result = written(opened, splices);
    torch::jit::Module bundle = test::load_bytes(result.bytes);
    const c10::IValue expected = test::spliced_output(opened, splices[0], images);
    const c10::IValue outputs = bundle.forward(images);
    EXPECT_LT(test::difference(outputs.toTupleRef().elements()[receiver], expected), 1e-5);
    EXPECT_LT(test::difference(test::run_head(bundle, names[receiver], images), expected), 1e-5);
    EXPECT_TRUE(test::same_bits(outputs.toTupleRef().elements()[1 - receiver],
                                test::run_file(opened.loaded[1 - receiver].spec.path, images[0])));
    EXPECT_EQ(test::storage_bytes(bundle), result.parameter_bytes);
    EXPECT_EQ(test::expected_bytes(opened, splices), result.parameter_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Receivers, Shares, testing::Values(0, 1),
                         [](const auto& info) { return info.param == 0 ? "small" : "wide"; });

// Invariants 2 and 3 with what fit() makes: a refit of the convolution behind both levels.
TEST(Refit, InTheBundleEqualsAnIndependentSplice) {
  const Opened opened = test::open_fixtures({"small", "wide"});
  const capture::Stores stores = test::picture_stores(opened.set, 16);
  const auto layer = [&](ModelIndex model, const std::string& name) {
    return graph::find_layer(opened.program(model), name);
  };
  const fit::Cut cut{0,
                     {{layer(0, "backbone.stage2.2"), 1, layer(1, "backbone.layer2.2")},
                      {layer(0, "backbone.stage3.2"), 1, layer(1, "backbone.layer3.2")}}};
  const fit::Attachment attachment = test::attachment_of(opened.set, cut);
  const std::vector<graph::Splice> splices{test::fit_on(opened.set, stores, {}, attachment).splice};
  ASSERT_EQ(splices[0].refits.size(), 1U);
  const Written result = written(opened, splices);
  torch::jit::Module bundle = test::load_bytes(result.bytes);
  const auto images = test::images_of(stores, {3});
  const c10::InferenceMode no_gradients;
  EXPECT_LT(test::difference(bundle.forward(images).toTupleRef().elements()[0],
                             test::spliced_output(opened, splices[0], images)),
            1e-5);
  EXPECT_EQ(result.parameter_bytes, test::expected_bytes(opened, splices));
  const std::int64_t separate = opened.prepared[0].model_bytes + opened.prepared[1].model_bytes;
  const std::int64_t unused = opened.program(0).unused_parameter_bytes + opened.program(1).unused_parameter_bytes;
  std::vector<LayerIndex> layers{cut.replacements[0].receiver_layer, cut.replacements[1].receiver_layer};
  EXPECT_EQ(result.parameter_bytes, separate - unused - graph::removed_by(opened.program(0), layers).bytes +
                                        attachment.bytes_added - attachment.bytes_folded);
}

// A convolution that two receivers have in common, refitted in one of them only: the other must keep its own weight.
TEST(Refit, OfOneModelLeavesItsTwinAlone) {
  const Opened opened = test::open_fixtures({"wide", "frozen_a", "frozen_b"});
  const auto layer = [&](ModelIndex model, const std::string& name) {
    return graph::find_layer(opened.program(model), name);
  };
  const int stem = layer(1, "backbone.stem.2");
  ASSERT_GE(stem, 0);
  const auto nodes = graph::refit_convolutions(opened.prepared[1], {stem});
  ASSERT_EQ(nodes.size(), 1U);  // backbone.stage1.0, the same in both
  graph::Splice splice = test::random_splice(opened, 1, 0, {stem}, 3);
  splice.replacements[0].donor_layer = layer(0, "backbone.stem.2");
  splice.replacements[0].resampling = {};
  splice.replacements[0].weight = splice.replacements[0].bias = at::Tensor();
  test::Random random(4);
  splice.refits.push_back({nodes[0], random.tensor({12, 10, 3, 3}, 0.3), random.tensor({12})});
  const std::vector<graph::Splice> splices{splice};
  const Written result = written(opened, splices);
  const auto images = test::images_of(test::picture_stores(opened.set, 1), {0});
  const c10::InferenceMode no_gradients;
  const c10::IValue outputs = test::load_bytes(result.bytes).forward(images);
  EXPECT_LT(test::difference(outputs.toTupleRef().elements()[1], test::spliced_output(opened, splice, images)), 1e-5);
  EXPECT_TRUE(
      test::same_bits(outputs.toTupleRef().elements()[2], test::run_file(opened.loaded[2].spec.path, images[0])));
}

// Invariants 2 and 3 with weights of a relative: the receiver computes what it would with the weights put together, the
// file holds the donor's weights once, and its other models keep their bits.
class WeightsOfRelatives : public testing::TestWithParam<const char*> {};

TEST_P(WeightsOfRelatives, EqualWeightsPutTogetherAndHoldThePromisedBytes) {
  const Opened opened = test::open_relatives(GetParam(), {0.4, 0.3});
  const std::vector<graph::Splice> splices{test::random_weights(opened, 1, 0, 3),
                                           test::random_weights(opened, 2, 0, 4)};
  ASSERT_GT(splices[0].weights.size(), 2U);
  const Written result = written(opened, splices);
  torch::jit::Module bundle = test::load_bytes(result.bytes);
  const auto images = test::images_of(test::picture_stores(opened.set, 2, 9), {0, 1});
  const auto names = names_of(opened);
  const c10::InferenceMode no_gradients;
  const c10::IValue outputs = bundle.forward(images);
  for (const graph::Splice& splice : splices) {
    const c10::IValue expected = test::output_with_weights(opened, splice, images[0]);
    EXPECT_LT(test::difference(outputs.toTupleRef().elements()[splice.receiver], expected), 1e-5);
    EXPECT_LT(test::difference(test::run_head(bundle, names[splice.receiver], images), expected), 1e-5);
    EXPECT_GT(test::difference(outputs.toTupleRef().elements()[splice.receiver],
                               test::run_file(opened.loaded[splice.receiver].spec.path, images[0])),
              1e-4);  // else the test would say nothing
  }
  EXPECT_TRUE(
      test::same_bits(outputs.toTupleRef().elements()[0], test::run_file(opened.loaded[0].spec.path, images[0])));
  EXPECT_EQ(test::storage_bytes(bundle), result.parameter_bytes);
  EXPECT_EQ(test::expected_bytes(opened, splices), result.parameter_bytes);
  EXPECT_LT(result.parameter_bytes, written(opened).parameter_bytes);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, WeightsOfRelatives, testing::Values("small", "wide", "shuffle", "mixer"));

// The donor takes layers itself, behind the weights that it gives: its weights stay, its layers change.
TEST(SharedWeights, OfADonorThatTakesLayersItself) {
  std::vector<model::Loaded> loaded;
  for (const char* name : {"small", "small", "wide"}) loaded.push_back(test::load_fixture(name));
  loaded[1].spec.name = "relative";
  test::change_weights(loaded[1].module, 0.3, 0.1, 7);
  const Opened opened = test::open_loaded(std::move(loaded));
  const auto cuts = test::map_cuts(opened.program(0));
  const graph::Splice layers = test::random_splice(opened, 0, 2, cuts.front().layers, 5);
  graph::Splice weights = test::random_weights(opened, 1, 0, 6);
  const graph::Removal removal = graph::removed_by(opened.program(0), cuts.front().layers);
  std::erase_if(weights.weights, [&](const graph::FittedWeight& one) {
    return std::binary_search(removal.parameters.begin(), removal.parameters.end(), one.donor_parameter);
  });
  ASSERT_FALSE(weights.weights.empty());
  const std::vector<graph::Splice> splices{layers, weights};
  const Written result = written(opened, splices);
  const auto images = test::images_of(test::picture_stores(opened.set, 1, 9), {0});
  const c10::InferenceMode no_gradients;
  const c10::IValue outputs = test::load_bytes(result.bytes).forward(images);
  EXPECT_LT(test::difference(outputs.toTupleRef().elements()[0], test::spliced_output(opened, layers, images)), 1e-5);
  EXPECT_LT(test::difference(outputs.toTupleRef().elements()[1], test::output_with_weights(opened, weights, images[0])),
            1e-5);
  EXPECT_EQ(test::expected_bytes(opened, splices), result.parameter_bytes);
}

// One share with both: the receiver takes layers of its donor, and the weights of layers that the cut leaves alone.
TEST_P(WeightsOfRelatives, StandBesideReplacedLayersOfOneShare) {
  const Opened opened = test::open_relatives(GetParam(), {0.4});
  const auto cuts = test::map_cuts(opened.program(1));
  if (cuts.empty()) GTEST_SKIP() << "no feature maps";
  int shared = 0;
  for (const planner::DepthCut& cut : cuts) {
    graph::Splice splice = test::random_splice(opened, 1, 0, cut.layers, 5);
    const graph::Removal removal = graph::removed_by(opened.program(1), cut.layers);
    std::set<int> gone(removal.parameters.begin(), removal.parameters.end());
    for (const graph::ConvRefit& refit : splice.refits)
      gone.insert(graph::convolution_geometry(opened.prepared[1], refit.node).weight_parameter);
    splice.weights = test::random_weights(opened, 1, 0, 6).weights;
    std::erase_if(splice.weights, [&](const graph::FittedWeight& one) { return gone.count(one.parameter) > 0; });
    // The oracle: the weights put together in a model of its own, and the same layers taken there.
    std::vector<model::Loaded> loaded;
    loaded.push_back(test::load_fixture(GetParam()));
    loaded.push_back(test::load_fixture(GetParam()));
    loaded[1].spec.name = "relative";
    loaded[1].module = test::with_weights(opened, splice);
    const Opened changed = test::open_loaded(std::move(loaded));
    graph::Splice layers = splice;
    layers.weights.clear();
    const auto images = test::images_of(test::picture_stores(opened.set, 2, 9), {0, 1});
    const Written result = written(opened, {splice});
    const c10::InferenceMode no_gradients;
    const c10::IValue outputs = test::load_bytes(result.bytes).forward(images);
    EXPECT_LT(test::difference(outputs.toTupleRef().elements()[1], test::spliced_output(changed, layers, images)), 1e-5)
        << cut.layers.front();
    EXPECT_EQ(test::expected_bytes(opened, {splice}), result.parameter_bytes);
    shared += splice.weights.empty() ? 0 : 1;
  }
  EXPECT_GT(shared, 0);
}

// Two different pictures sizes are two arguments.
TEST(Bundle, TakesOneArgumentPerInputGroup) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(test::load_fixture("small"));
  loaded.push_back(test::load_fixture("shuffle"));
  loaded[1].spec.input->width = 96;
  loaded.push_back(test::load_fixture("tied"));
  const Opened opened = test::open_loaded(std::move(loaded));
  ASSERT_THAT(opened.set.groups, ElementsAre(0, 1, 0));
  torch::jit::Module bundle = test::load_bytes(written(opened).bytes);
  EXPECT_EQ(bundle.get_method("forward").num_inputs(), 3U);
  EXPECT_EQ(bundle.get_method("run_shuffle").num_inputs(), 2U);
  const auto images = test::images_of(test::picture_stores(opened.set, 1), {0});
  const c10::InferenceMode no_gradients;
  EXPECT_TRUE(test::same_bits(bundle.forward(images).toTupleRef().elements()[1],
                              test::run_file(opened.loaded[1].spec.path, images[1])));
  EXPECT_TRUE(test::same_bits(bundle.run_method("run_shuffle", images[1]),
                              test::run_file(opened.loaded[1].spec.path, images[1])));
}

TEST(Identifiers, MapWhatIsNone) {
  EXPECT_THAT(identifiers({"night-cam", "3d", "ok_1"}), ElementsAre("night_cam", "_3d", "ok_1"));
}

TEST(Identifiers, RefuseTwoNamesThatBecomeOne) {
  EXPECT_THAT(test::error_text([] { (void)identifiers({"a-b", "a.b"}); }),
              testing::AllOf(testing::StartsWith("input: "), HasSubstr("a-b"), HasSubstr("a.b"), HasSubstr("--model")));
}

TEST(Identifiers, KeepClearOfTheMethodsOfOtherModels) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(test::load_fixture("tied"));
  loaded.push_back(test::load_fixture("shuffle"));
  loaded[1].spec.name = "run_tied";
  const Opened opened = test::open_loaded(std::move(loaded));
  try {
    torch::jit::Module bundle = test::load_bytes(written(opened).bytes);
    const auto images = test::images_of(test::picture_stores(opened.set, 1), {0});
    EXPECT_EQ(bundle.forward(images).toTupleRef().elements().size(), 2U);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
  }
}

}  // namespace
}  // namespace repsim::bundle
