// Every way of writing that exporters have, one small model each (tests/fixtures/make_zoo.py): described, bundled
// without a share to the bit, and with a share like an independent splice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::bundle {
namespace {

struct Animal {
  const char* name;
  std::size_t layers;       ///< that inspect shows; 0: carried whole
  const char* reason = "";  ///< part of why it is carried whole
};

// Half, bfloat and double compute in their own precision after a cast, so their layers are of that type.
constexpr Animal kZoo[] = {
    {"half", 3},
    {"bfloat", 3},
    {"double", 3},
    {"quantised", 2},
    {"quantised.traced", 2},
    {"dynamic_quantised", 1},
    {"interface", 4},
    {"recurrent", 6},
    {"while", 3},
    {"early", 2},
    {"einsum", 3},
    {"computed_weights", 3},
    {"named_tuple", 3},
    {"nested", 3},
    {"remembers", 3},
    {"smooths", 0, "depends on the pictures before"},
    {"first_time", 2},
    {"attributes", 2},
    {"forks", 3},
    {"checks", 3},
    {"warns", 3},
    {"trains", 3},
    {"writes_into_the_image", 3},
    {"attention", 3},
    {"attention.traced", 3},
    {"transposed", 3},
    {"focus", 7},
    {"focus.traced", 7},
    {"squeeze_excite", 6},
    {"squeeze_excite.traced", 6},
    {"norms", 2},
    {"sequence", 2},
    {"heads", 5},
    {"tokens", 4},
    {"tokens.traced", 4},
    {"carried", 5},
    {"one_activation", 4},
    {"one_activation.traced", 4},
    {"frozen", 3},
    // Archives that older versions of Torch wrote.
    {"torch-1.8/carried", 5},
    {"torch-1.8/quantised", 2},
    {"torch-1.8/focus.traced", 7},
    {"torch-1.8/squeeze_excite.traced", 6},
    {"torch-1.8/while", 3},
    {"torch-1.8/frozen", 3},
    {"torch-1.13/carried", 5},
    {"torch-1.13/quantised", 2},
    {"torch-1.13/attention.traced", 3},
    {"torch-1.13/squeeze_excite.traced", 6},
    {"torch-1.13/frozen", 3},
};

class Zoo : public testing::TestWithParam<Animal> {
 protected:
  static test::Opened open(const char* name) {
    std::vector<model::Loaded> loaded;
    loaded.push_back(model::load(
        {"animal", test::fixture_path(std::string("zoo/") + name).string(), test::fixture_input(), {}}, ""));
    loaded.push_back(test::load_fixture("small"));
    return test::open_loaded(std::move(loaded));
  }
};

TEST_P(Zoo, HasTheLayersThatItShould) {
  const test::Opened opened = open(GetParam().name);
  EXPECT_EQ(opened.prepared[0].transparent, GetParam().layers > 0) << opened.prepared[0].opaque_reason;
  EXPECT_THAT(opened.prepared[0].opaque_reason, testing::HasSubstr(GetParam().reason));
  EXPECT_EQ(opened.program(0).layers.size(), GetParam().layers);
}

TEST_P(Zoo, KeepsItsBitsInABundle) {
  const test::Opened opened = open(GetParam().name);
  const auto loaded = opened.pointers();
  const Written written = write(opened.set, loaded, {}, "{}");
  torch::jit::Module bundle = test::load_bytes(written.bytes), original = torch::jit::load(loaded[0]->spec.path);
  original.eval();
  const capture::Stores stores = test::picture_stores(opened.set, 3, 8);
  const c10::InferenceMode no_gradients;
  for (std::int64_t frame = 0; frame < 3; ++frame) {
    const auto images = [&] { return test::images_of(stores, {frame}); };  // fresh: some write into theirs
    const c10::IValue own = original.forward(images());
    EXPECT_TRUE(test::same_bits(bundle.forward(images()).toTupleRef().elements()[0], own)) << "frame " << frame;
    EXPECT_TRUE(test::same_bits(test::run_head(bundle, "animal", images()), own) || GetParam().layers == 0)
        << "by run_animal, frame " << frame;
  }
  if (!opened.prepared[0].transparent) return;  // it may have left something in itself meanwhile
  std::int64_t stored = 0;
  for (const at::Tensor& tensor : graph::stored_tensors(bundle)) stored += static_cast<std::int64_t>(tensor.nbytes());
  EXPECT_EQ(stored, written.parameter_bytes);
  EXPECT_LE(written.parameter_bytes, opened.prepared[0].model_bytes + opened.prepared[1].model_bytes);
}

TEST_P(Zoo, TakesRepresentationsLikeAnIndependentSplice) {
  const test::Opened opened = open(GetParam().name);
  if (!opened.prepared[0].transparent) GTEST_SKIP() << "carried whole";
  const auto cuts = test::map_cuts(opened.program(0));
  if (cuts.empty()) GTEST_SKIP() << "no feature maps of float32";
  const auto loaded = opened.pointers();
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const std::vector<graph::Splice> splices{test::random_splice(opened, 0, 1, cuts[i].layers, i)};
    const Written written = write(opened.set, loaded, splices, "{}");
    torch::jit::Module bundle = test::load_bytes(written.bytes);
    const auto images = [&] { return test::images_of(test::picture_stores(opened.set, 1, i), {0}); };
    const c10::InferenceMode no_gradients;
    const c10::IValue outputs = bundle.forward(images());
    EXPECT_LT(test::difference(outputs.toTupleRef().elements()[0], test::spliced_output(opened, splices[0], images())),
              1e-5)
        << "cut " << i;
    torch::jit::Module donor = opened.loaded[1].module;
    EXPECT_TRUE(test::same_bits(outputs.toTupleRef().elements()[1], donor.forward(images()))) << "cut " << i;
    EXPECT_EQ(written.parameter_bytes, test::expected_bytes(opened, splices)) << "cut " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Zoo, testing::ValuesIn(kZoo), [](const auto& info) {
  std::string name = info.param.name;
  for (const char sign : {'.', '-', '/'}) std::replace(name.begin(), name.end(), sign, '_');
  return name;
});

// It is the same network with another memory: what both have bit by bit is stored once.
TEST(WholeModel, SharesItsParametersWithItsTwin) {
  std::vector<model::Loaded> loaded;
  for (const char* name : {"first", "second"}) {
    loaded.push_back(model::load({name, test::fixture_path("zoo/smooths").string(), test::fixture_input(), {}}, ""));
  }
  const test::Opened opened = test::open_loaded(std::move(loaded));
  ASSERT_FALSE(opened.prepared[0].transparent);
  const auto pointers = opened.pointers();
  const Written written = write(opened.set, pointers, {}, "{}");
  std::int64_t parameters = 0;
  for (const at::Tensor& one : opened.loaded[0].module.parameters())
    parameters += static_cast<std::int64_t>(one.nbytes());
  EXPECT_EQ(written.bytes_deduplicated, parameters);
  EXPECT_EQ(written.parameter_bytes, 2 * opened.prepared[0].model_bytes - parameters);
  // Each keeps its own memory.
  torch::jit::Module bundle = test::load_bytes(written.bytes), original = opened.loaded[0].module.deepcopy();
  const c10::InferenceMode no_gradients;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto images = [&] { return test::images_of(test::picture_stores(opened.set, 1, seed), {0}); };
    const c10::IValue own = original.forward(images()), outputs = bundle.forward(images());
    for (const std::size_t head : {0U, 1U}) EXPECT_TRUE(test::same_bits(outputs.toTupleRef().elements()[head], own));
  }
}

// The interpreter asks a warning for its source, which a joint graph does not keep.
TEST(WarningModel, RunsInAJointGraph) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(model::load({"w", test::fixture_path("zoo/warns").string(), test::fixture_input(), {}}, ""));
  const test::Opened opened = test::open_loaded(std::move(loaded));
  const std::vector<int> wanted{0};
  const graph::Assembly joint = graph::assemble(opened.set.models, opened.set.groups, {}, wanted);
  const graph::Runner runner(*joint.graph, joint.parameter_values(), {}, /*keep_output=*/true);
  const c10::IValue image = test::input_of(test::picture_stores(opened.set, 1)[0], {0});
  EXPECT_TRUE(test::same_bits(runner.run({image}), test::run_file(opened.loaded[0].spec.path, image)));
}

// A quantised model gives its float layers, and takes what comes before them.
TEST(QuantisedModel, NamesWhatIsNoLayer) {
  const test::Opened opened = test::open_loaded([] {
    std::vector<model::Loaded> loaded;
    loaded.push_back(model::load({"q", test::fixture_path("zoo/quantised").string(), test::fixture_input(), {}}, ""));
    return loaded;
  }());
  std::vector<std::string> reasons;
  for (const graph::NoLayer& other : opened.program(0).others) reasons.push_back(other.reason);
  EXPECT_THAT(reasons, testing::Contains("quantised"));
}

}  // namespace
}  // namespace repsim::bundle
