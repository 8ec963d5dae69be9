// Every way of writing that exporters have, one small model each (tests/fixtures/make_zoo.py): described, inspected,
// captured, bundled without a share to the bit, and with a share like an independent splice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "fixtures/invariants.hpp"
#include "fixtures/splice_oracle.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::bundle {
namespace {

struct Animal {
  const char* name;
  std::size_t layers;           ///< that inspect shows; 0: opaque
  const char* reason = "";      ///< part of why it is opaque
  const char* folder = "zoo/";  ///< below tests/fixtures
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
    {"frozen.traced", 3},
    {"profiled", 3},
    {"exported", 3},
    {"exported.traced", 3},
    {"exported_frozen", 3},
    {"no_grad", 3},
    {"chosen", 0, "chooses a module while it runs"},
    {"reassigned", 0, "writes its attribute block while running"},
    {"replaced", 0, "depends on the pictures before"},
    {"writes_later", 3},
    {"channels_last.traced", 3},
    {"autocast.traced", 3},
    {"weight_norm.traced", 3},
    // Detectors of tests/fixtures/make.py.
    {"yolov5", 6, "", ""},
    {"yolov5.traced", 6, "", ""},
    {"ssd", 8, "", ""},
    {"ssd.traced", 8, "", ""},
    {"ssd_regressions", 8, "", ""},
    {"landmark_ssd", 10, "", ""},
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

model::ModelSpec zoo_spec(const std::string& name) {
  return {name, test::fixture_path("zoo/" + name).string(), test::fixture_input(), {}};
}

class Zoo : public testing::TestWithParam<Animal> {
 protected:
  static model::ModelSpec spec_of(const Animal& animal) {
    return {"animal", test::fixture_path(std::string(animal.folder) + animal.name).string(), test::fixture_input(), {}};
  }

  static test::Opened open(const Animal& animal) {
    std::vector<model::Loaded> loaded;
    loaded.push_back(model::load(spec_of(animal), ""));
    loaded.push_back(test::load_fixture("small"));
    return test::open_loaded(std::move(loaded));
  }
};

TEST_P(Zoo, HasTheLayersThatItShould) {
  const test::Opened opened = open(GetParam());
  EXPECT_EQ(opened.prepared[0].rewritable, GetParam().layers > 0) << opened.prepared[0].opaque_reason;
  EXPECT_THAT(opened.prepared[0].opaque_reason, testing::HasSubstr(GetParam().reason));
  EXPECT_EQ(opened.program(0).layers.size(), GetParam().layers);
}

TEST_P(Zoo, IsInspectedAsTextAndAsJson) {
  const report::Inspection inspection = pipeline::inspect(spec_of(GetParam()));
  const std::string text = report::to_text(inspection);
  const Json json = report::to_json(inspection);
  EXPECT_EQ(json, parse_json(json.dump(), "inspect"));
  EXPECT_EQ(json["transparent"], GetParam().layers > 0) << json["opaque_reason"];
  ASSERT_EQ(json["layers"].size(), GetParam().layers);
  std::set<std::string> names;
  for (const Json& layer : json["layers"]) {
    const std::string name = layer["name"];
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_FALSE(layer["shape"].empty()) << name;
    EXPECT_GT(layer["flops"], 0) << name;
    EXPECT_THAT(text, testing::HasSubstr("\n" + name + " "));
    for (const std::string source : layer["inputs"]) EXPECT_TRUE(names.contains(source)) << source;
  }
  for (const Json& other : json["not_layers"]) EXPECT_NE(other["reason"], "") << other["name"];
  EXPECT_THAT(text, testing::HasSubstr(json["transparent"] ? " layers in execution order"
                                                           : "the model is opaque, because it " +
                                                                 json["opaque_reason"].get<std::string>()));
}

// Half, quantised and one frame at a time too: finite, like a reference in float64, and each layer is most like itself.
TEST_P(Zoo, HasTheSimilaritiesOfAReferenceInFloat64) {
  const test::Opened opened = open(GetParam());
  if (!opened.prepared[0].rewritable) GTEST_SKIP() << "opaque";
  const capture::Stores stores = test::picture_stores(opened.set, 16, 5);
  SilentProgress silent;
  const similarity::Signatures signatures = capture::signatures(opened.prepared[0], stores[0], silent);
  EXPECT_EQ(signatures.layers.size(), GetParam().layers);
  for (const double value : signatures.values) ASSERT_TRUE(std::isfinite(value));
  const similarity::Matrix own = similarity::cka(signatures, signatures);
  for (std::size_t i = 0; i < own.rows.size(); ++i) {
    EXPECT_NEAR(own.at(i, i), 1, 1e-12) << own.rows[i];
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_DOUBLE_EQ(own.at(i, j), own.at(j, i));
      EXPECT_LE(std::abs(own.at(i, j)), 1 + 1e-12);
    }
  }
  // A last bit decides between two steps of 8 bits.
  const bool steps = std::string(GetParam().name).find("quantised") != std::string::npos;
  test::expect_reference_similarity(opened, stores, steps ? 1e-3 : 1e-5);
}

TEST_P(Zoo, KeepsItsBitsInABundle) {
  const test::Opened opened = open(GetParam());
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
  if (!opened.prepared[0].rewritable) return;  // it may have left something in itself meanwhile
  EXPECT_EQ(test::records_of(written.bytes).tensors, written.parameter_bytes);
  EXPECT_LE(written.parameter_bytes, opened.prepared[0].model_bytes + opened.prepared[1].model_bytes);
}

TEST_P(Zoo, TakesRepresentationsLikeAnIndependentSplice) {
  const test::Opened opened = open(GetParam());
  if (!opened.prepared[0].rewritable) GTEST_SKIP() << "opaque";
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
  ASSERT_FALSE(opened.prepared[0].rewritable);
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

// Checks, prints and loops are never dead code, so what one model does so might come into the methods of all.
TEST(RunMethods, ComputeNothingOfModelsThatTheyDoNotNeed) {
  std::vector<model::Loaded> loaded;
  for (const char* name : {"checks", "while", "early"}) loaded.push_back(model::load(zoo_spec(name), "flags"));
  loaded.push_back(test::load_fixture("small"));
  loaded.push_back(test::load_fixture("bytes"));  // its input is another
  const test::Opened opened = test::open_loaded(std::move(loaded));
  for (const bool with_share : {false, true}) {
    std::vector<graph::Splice>
        splices;  // `small` takes a layer of `checks`, whose checks and prints are not needed for it
    if (with_share)
      splices.push_back(test::random_splice(opened, 3, 0, test::map_cuts(opened.program(3))[0].layers, 1));
    const auto pointers = opened.pointers();
    const Written written = write(opened.set, pointers, splices, "{}");
    const torch::jit::Module bundle = test::load_bytes(written.bytes);
    for (const char* name : {"small", "bytes"}) {
      const torch::jit::Method method = bundle.get_method(std::string("run_") + name);
      EXPECT_EQ(method.num_inputs(), 2U) << name;  // the bundle itself and one image
      const std::string code = method.graph()->toString(false);
      for (const char* foreign : {"prim::Print", "prim::RaiseException", "prim::Loop"})
        EXPECT_THAT(code, testing::Not(testing::HasSubstr(foreign))) << name << (with_share ? " with a share" : "");
    }
  }
}

// The interpreter asks a warning for its source, which a merged graph does not keep.
TEST(WarningModel, RunsInAJointGraph) {
  std::vector<model::Loaded> loaded;
  loaded.push_back(model::load({"w", test::fixture_path("zoo/warns").string(), test::fixture_input(), {}}, ""));
  const test::Opened opened = test::open_loaded(std::move(loaded));
  const std::vector<ModelIndex> wanted{0};
  const graph::Assembly merged = graph::assemble(opened.set.models, opened.set.groups, {}, wanted);
  const graph::Runner runner(*merged.graph, merged.parameter_values(), {}, /*keep_output=*/true);
  const c10::IValue image = test::input_of(test::picture_stores(opened.set, 1)[0], {0});
  EXPECT_TRUE(test::same_bits(runner.run({image}), test::run_file(opened.loaded[0].spec.path, image)));
}

std::vector<std::string> layer_names(const std::string& name) {
  const model::Loaded loaded = model::load(zoo_spec(name), "flags");
  std::vector<std::string> names;
  for (const graph::Layer& layer : graph::prepare(loaded, graph::trace_run(loaded)).program.layers)
    names.push_back(layer.name);
  return names;
}

// Freezing leaves no module to name a layer after: operations are numbered, alike whoever froze and however it was
// made.
TEST(LayersOfFrozenArchives, AreNamedAlikeTracedAndScriptedAndByEveryTorch) {
  for (const char* name : {"frozen", "frozen.traced", "exported_frozen", "torch-1.8/frozen", "torch-1.13/frozen"}) {
    EXPECT_THAT(layer_names(name), testing::ElementsAre("forward:conv2d", "forward:conv2d@2", "forward:conv2d@3"))
        << name;
  }
}

TEST(LayersOfAModelWithFurtherMethods, AreThoseOfForward) {
  for (const char* name : {"exported", "exported.traced", "profiled"})
    EXPECT_THAT(layer_names(name), testing::ElementsAre("stem.2", "middle.2", "head")) << name;
}

// The weights are computed from others: cast, or scaled.
TEST(LayersWithComputedWeights, CountTheParametersBehindThem) {
  for (const char* name : {"autocast.traced", "weight_norm.traced"}) {
    const model::Loaded loaded = model::load(zoo_spec(name), "flags");
    std::int64_t counted = 0, all = 0;
    for (const graph::Layer& layer : graph::prepare(loaded, graph::trace_run(loaded)).program.layers) {
      EXPECT_GT(layer.parameters, 0) << name << ": " << layer.name;
      counted += layer.parameters;
    }
    for (const at::Tensor& parameter : loaded.module.parameters()) all += parameter.numel();
    EXPECT_GE(counted, all) << name;
  }
}

struct Place {
  const char* model;
  const char* name;
  const char* reason;
};

class NoLayers : public testing::TestWithParam<Place> {};

TEST_P(NoLayers, AreListedWithTheReasonAsTextAndAsJson) {
  const Place& place = GetParam();
  const report::Inspection inspection = pipeline::inspect(zoo_spec(place.model));
  const std::string text = report::to_text(inspection);
  std::vector<std::string> reasons;
  const Json json = report::to_json(inspection);
  for (const Json& other : json["not_layers"]) {
    if (other["name"] == place.name) reasons.push_back(other["reason"]);
  }
  EXPECT_THAT(reasons, testing::Contains(place.reason)) << text;
  EXPECT_THAT(text, testing::HasSubstr(std::string("  ") + place.name + ": " + place.reason));
}

INSTANTIATE_TEST_SUITE_P(
    All, NoLayers,
    testing::Values(Place{"quantised", "middle.0", "quantised"}, Place{"writes_later", "forward:exp", "constant"},
                    Place{"writes_later", "forward:view", "shape computation"},
                    Place{"writes_later", "middle.2", "overwritten in place later"},
                    Place{"tokens", "forward:permute", "view of another layer"},
                    Place{"while", "forward:Loop", "inside control flow that runs a varying number of times"}),
    [](const auto& info) { return std::string(info.param.model) + std::to_string(info.index); });

std::string refusal_of(const std::string& name) {
  return test::error_text([&] { (void)model::load(zoo_spec(name), "flags"); });
}

// What torch.jit.save leaves out of such models is gone: nobody can load them.
TEST(OptimisedArchives, SayThatTheModelIsToBeSavedBefore) {
  EXPECT_THAT(refusal_of("optimised"),
              testing::AllOf(testing::StartsWith("input: "), testing::HasSubstr("optimised.pt"),
                             testing::HasSubstr("save the model before torch.jit.optimize_for_inference")));
  EXPECT_THAT(refusal_of("torch-1.8/mobile"),
              testing::AllOf(testing::StartsWith("input: "), testing::HasSubstr("mobile.pt"),
                             testing::HasSubstr("the class xnnpack.Conv2dOpContext"),
                             testing::HasSubstr("save the model before torch.utils.mobile_optimizer")));
}

}  // namespace
}  // namespace repsim::bundle
