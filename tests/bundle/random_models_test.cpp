// Invariants on generated modules: branches, loops, skips, concatenated pyramids, pooling, maps of odd sizes, lists and
// dicts on the way, in-place activations. A failure shows the seed and the code of the modules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "fixtures/invariants.hpp"
#include "fixtures/splice_oracle.hpp"

namespace repsim::bundle {
namespace {

/// Source text of a random forward and the weights that it reads.
class Generator {
 public:
  Generator(const std::string& name, std::uint64_t seed) : random_(seed), module_("__torch__." + name) {
    loaded_.spec = {name, name + ".pt", test::fixture_input(), {}};
  }

  model::Loaded make() {
    values_.push_back({"x", 3, 48, 64});
    convolve(3 + random_.below(3));  // small maps from here on: fast; some of odd sizes
    const std::int64_t steps = 4 + random_.below(5);
    for (std::int64_t i = 0; i < steps; ++i) step();
    finish();
    module_.register_attribute("training", c10::BoolType::get(), false);
    module_.define("def forward(self, x):\n" + code_);
    loaded_.module = module_;
    loaded_.module.eval();
    return loaded_;
  }

  [[nodiscard]] const std::string& code() const { return code_; }

 private:
  struct Value {
    std::string name;
    std::int64_t channels, height, width;
  };

  void line(const std::string& text) { code_ += "  " + text + "\n"; }
  std::string fresh() { return "v" + std::to_string(++count_); }
  Value pick() {
    return values_[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(values_.size() - 1))) + 1];
  }

  /// A convolution with weights of its own, as an expression.
  std::string convolution(const Value& from, std::int64_t stride, std::int64_t channels) {
    const std::string weight = "w" + std::to_string(++count_);
    const std::int64_t auxiliary = random_.below(2) == 0 ? 1 : 3;
    module_.register_parameter(weight, random_.tensor({channels, from.channels, auxiliary, auxiliary}, 0.5), false);
    module_.register_parameter(weight + "_bias", random_.tensor({channels}, 0.5), false);
    const std::string s = std::to_string(stride), p = std::to_string(auxiliary / 2);
    return "torch.conv2d(" + from.name + ", self." + weight + ", self." + weight + "_bias, [" + s + ", " + s + "], [" +
           p + ", " + p + "])";
  }

  /// What a stride leaves of a map, whose border is padded by half a kernel.
  static Value strided(const std::string& name, std::int64_t channels, const Value& from, std::int64_t stride) {
    return {name, channels, (from.height - 1) / stride + 1, (from.width - 1) / stride + 1};
  }

  Value convolved(const Value& from, std::int64_t stride, std::int64_t channels) {
    const std::string expression = convolution(from, stride, channels), name = fresh();
    line(name + " = " + expression);
    return strided(name, channels, from, stride);
  }

  void convolve(std::int64_t stride) {
    const Value from = values_.size() == 1 ? values_[0] : pick();
    Value value = convolved(from, stride, 2 + random_.below(5));
    const auto kind = random_.below(4);
    if (kind == 0) line("torch.relu_(" + value.name + ")");
    if (kind == 1) {
      const std::string name = fresh();
      line(name + " = torch.relu(" + value.name + ")");
      value.name = name;
    }
    values_.push_back(value);
  }

  /// What was there before is multiplied in place behind its readers: only later code sees the change.
  void scale_in_place() { line(pick().name + ".mul_(0.5)"); }

  void skip() {
    const Value from = pick();
    const Value auxiliary = convolved(from, 1, from.channels);
    const std::string name = fresh();
    line(name + " = " + from.name + " + " + auxiliary.name);
    values_.push_back({name, from.channels, from.height, from.width});
  }

  void concatenate() {
    const Value a = pick(), b = pick();
    const std::string resized = fresh(), name = fresh();
    line(resized + " = torch.adaptive_avg_pool2d(" + b.name + ", [" + std::to_string(a.height) + ", " +
         std::to_string(a.width) + "])");
    line(name + " = torch.cat([" + a.name + ", " + resized + "], 1)");
    values_.push_back({name, a.channels + b.channels, a.height, a.width});
  }

  void branch() {
    const Value from = pick();
    const std::string name = fresh();
    line("if bool(" + from.name + ".sum() > 0.0):");
    line("  " + name + " = torch.relu(" + from.name + ")");
    line("else:");
    line("  " + name + " = torch.neg(" + from.name + ")");
    values_.push_back({name, from.channels, from.height, from.width});
  }

  void pool() {
    const Value from = pick();
    const std::int64_t stride = 1 + random_.below(3);
    const std::string name = fresh(), s = std::to_string(stride), function = random_.below(2) == 0 ? "max" : "avg";
    line(name + " = torch." + function + "_pool2d(" + from.name + ", [3, 3], [" + s + ", " + s + "], [1, 1])");
    values_.push_back(strided(name, from.channels, from, stride));
  }

  /// One convolution several times: a number of times that is written there, or one that the picture decides.
  void loop() {
    const Value from = pick();
    const Value state = {fresh(), from.channels, from.height, from.width};
    const std::string times =
        random_.below(2) == 0 ? std::to_string(1 + random_.below(3)) : "int(" + from.name + ".abs().max().clamp(0, 2))";
    const std::string expression = convolution(state, 1, state.channels);
    line(state.name + " = " + from.name);
    line("for i" + state.name + " in range(" + times + "):");
    line("  " + state.name + " = torch.relu(" + expression + ") * 0.5");
    values_.push_back(state);
  }

  void through_a_list() {
    const Value one = pick(), two = pick();
    const std::string list = fresh(), name = fresh();
    line(list + " = [" + one.name + "]");
    line(list + ".append(torch.neg(" + two.name + "))");
    const bool first = random_.below(2) == 0;
    line(name + " = torch.relu(" + list + "[" + (first ? "0" : "1") + "])");
    const Value& taken = first ? one : two;
    values_.push_back({name, taken.channels, taken.height, taken.width});
  }

  void through_a_dict() {
    const Value one = pick(), two = pick();
    const std::string dict = fresh(), name = fresh();
    line(dict + " = {\"one\": " + one.name + "}");
    line(dict + "[\"two\"] = " + two.name);
    line(name + " = " + dict + "[\"two\"] * 2.0");
    values_.push_back({name, two.channels, two.height, two.width});
  }

  void write_slice() {
    const Value from = pick();
    line(from.name + "[:, 0:1] = " + from.name + "[:, 1:2] * 2.0");
  }

  void step() {
    switch (random_.below(12)) {
      case 0:
        return convolve(2 + random_.below(2));
      case 1:
      case 2:
        return convolve(1);
      case 3:
        return skip();
      case 4:
        return concatenate();
      case 5:
        return branch();
      case 6:
        return scale_in_place();
      case 7:
        return pool();
      case 8:
        return loop();
      case 9:
        return through_a_list();
      case 10:
        return through_a_dict();
      default:
        return write_slice();
    }
  }

  void finish() {
    // The last value and another one through a convolution each, so that weights lie behind most layers.
    const Value first = convolved(values_.back(), 1, 3), second = convolved(pick(), 1, 2);
    switch (random_.below(3)) {
      case 0:
        return line("return (" + first.name + ", " + second.name + ")");
      case 1:
        return line("return [" + first.name + ", " + second.name + "]");
      default:
        return line("return {\"first\": " + first.name + ", \"second\": " + second.name + "}");
    }
  }

  test::Random random_;
  torch::jit::Module module_;
  model::Loaded loaded_;
  std::vector<Value> values_;
  std::string code_;
  int count_ = 0;
};

struct Case {
  test::Opened opened;
  std::string code;
};

/// @param first_seed  of the first model; those of the others follow
Case generated(std::uint64_t seed, std::uint64_t first_seed, const std::vector<const char*>& names) {
  std::vector<model::Loaded> loaded;
  std::string code = "seed " + std::to_string(seed) + "\n";
  for (std::size_t i = 0; i < names.size(); ++i) {
    Generator generator(names[i], first_seed + i);
    loaded.push_back(generator.make());
    code += "--- " + std::string(names[i]) + "\n" + generator.code();
  }
  return {test::open_loaded(std::move(loaded)), code};
}

Case generated(std::uint64_t seed) { return generated(seed, 2 * seed, {"first", "second"}); }

constexpr std::uint64_t kSeeds = 150;

bool all_rewritable(const Case& one) {
  return std::all_of(one.opened.prepared.begin(), one.opened.prepared.end(),
                     [](const graph::Prepared& model) { return model.rewritable; });
}

/// "conv2d <- third relu, ...": what is replaced by what.
std::string described(const test::Opened& opened, const graph::Splice& splice) {
  const auto source = [&](const auto& one) {
    return opened.loaded[one.donor].spec.name + " " + opened.program(one.donor).layers[one.donor_layer].name + ", ";
  };
  std::string text;
  for (const graph::FittedReplacement& one : splice.replacements) {
    text += opened.program(splice.receiver).layers[one.receiver_layer].name + " <- ";
    text += source(one);
    for (const graph::AuxiliaryInput& auxiliary : one.correction.auxiliary_inputs)
      text += "beside " + source(auxiliary);
  }
  return text;
}

TEST(RandomModels, KeepTheirBitsInABundle) {
  const c10::InferenceMode no_gradients;
  std::int64_t rewritable = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case one = generated(seed);
    SCOPED_TRACE(one.code);
    const auto loaded = one.opened.pointers();
    const std::string bytes = write(one.opened.set, loaded, {}, "{}").bytes;
    ASSERT_TRUE(write(one.opened.set, loaded, {}, "{}").bytes == bytes);
    torch::jit::Module bundle = test::load_bytes(bytes);
    const auto images = test::images_of(test::picture_stores(one.opened.set, 2, seed), {0, 1});
    const c10::IValue outputs = bundle.forward(images);
    for (std::size_t i = 0; i < 2; ++i) {
      torch::jit::Module original = one.opened.loaded[i].module;
      ASSERT_TRUE(test::same_bits(outputs.toTupleRef().elements()[i], original.forward({images[0]})));
      rewritable += one.opened.prepared[i].rewritable ? 1 : 0;
    }
  }
  // Carrying a model whole is always right, and useless: these are ordinary, but for writes behind loops of no round.
  EXPECT_GE(rewritable, static_cast<std::int64_t>(2 * kSeeds * 95 / 100));
}

TEST(RandomModels, SharedEqualAnIndependentSpliceInThePromisedBytes) {
  const c10::InferenceMode no_gradients;
  std::int64_t compared = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case one = generated(seed);
    if (!all_rewritable(one)) continue;
    SCOPED_TRACE(one.code);
    const auto cuts = test::map_cuts(one.opened.program(0));
    if (cuts.empty() || one.opened.program(1).layers.empty()) continue;
    const auto& cut = cuts[seed % cuts.size()].layers;
    const std::vector<graph::Splice> splices{test::random_splice(one.opened, 0, 1, cut, seed)};
    SCOPED_TRACE(described(one.opened, splices[0]));
    const auto loaded = one.opened.pointers();
    const Written written = write(one.opened.set, loaded, splices, "{}");
    ASSERT_TRUE(write(one.opened.set, loaded, splices, "{}").bytes == written.bytes);
    torch::jit::Module bundle = test::load_bytes(written.bytes);
    ASSERT_EQ(written.parameter_bytes, test::expected_bytes(one.opened, splices));
    ASSERT_EQ(written.parameter_bytes, test::storage_bytes(bundle));
    const auto images = test::images_of(test::picture_stores(one.opened.set, 1, seed), {0});
    const c10::IValue outputs = bundle.forward(images);
    torch::jit::Module donor = one.opened.loaded[1].module;
    ASSERT_LT(
        test::difference(outputs.toTupleRef().elements()[0], test::spliced_output(one.opened, splices[0], images)),
        1e-5);
    ASSERT_TRUE(test::same_bits(outputs.toTupleRef().elements()[1], donor.forward({images[0]})));
    ++compared;
  }
  EXPECT_GT(compared, static_cast<std::int64_t>(kSeeds / 2));
}

TEST(RandomModels, HaveTheSimilaritiesOfAReferenceInFloat64) {
  for (std::uint64_t seed = 1; seed <= kSeeds; seed += 10) {
    const Case one = generated(seed);
    if (!all_rewritable(one)) continue;
    SCOPED_TRACE(one.code);
    test::expect_reference_similarity(one.opened, test::picture_stores(one.opened.set, 16, seed));
    if (HasFatalFailure()) return;
  }
}

// Layer by layer from the second model or from the third.
TEST(RandomModels, SharedFromTwoDonorsEqualAnIndependentSpliceInThePromisedBytes) {
  const c10::InferenceMode no_gradients;
  std::int64_t mixed = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds / 3; ++seed) {
    const Case one = generated(seed, 5 * seed, {"first", "second", "third"});
    if (!all_rewritable(one)) continue;
    SCOPED_TRACE(one.code);
    const test::Opened& opened = one.opened;
    auto cuts = test::map_cuts(opened.program(0));
    std::erase_if(cuts, [](const planner::DepthCut& cut) { return cut.layers.size() < 2; });
    if (cuts.empty()) continue;
    const auto& cut = cuts[seed % cuts.size()].layers;
    std::vector<graph::Splice> splices{test::random_splice(opened, 0, 1, cut, seed)};
    const graph::Splice from_third = test::random_splice(opened, 0, 2, cut, seed + 1000);
    for (std::size_t i = seed % 2; i < cut.size(); i += 2) splices[0].replacements[i] = from_third.replacements[i];
    SCOPED_TRACE(described(opened, splices[0]));
    const auto pointers = opened.pointers();
    const Written written = write(opened.set, pointers, splices, "{}");
    torch::jit::Module bundle = test::load_bytes(written.bytes);
    ASSERT_EQ(written.parameter_bytes, test::expected_bytes(opened, splices));
    ASSERT_EQ(written.parameter_bytes, test::storage_bytes(bundle));
    const auto images = test::images_of(test::picture_stores(opened.set, 1, seed), {0});
    const c10::IValue expected = test::spliced_output(opened, splices[0], images);
    const c10::IValue outputs = bundle.forward(images);
    ASSERT_LT(test::difference(outputs.toTupleRef().elements()[0], expected), 1e-5);
    ASSERT_LT(test::difference(test::run_head(bundle, "first", images), expected), 1e-5);
    for (const std::size_t donor : {1U, 2U}) {
      torch::jit::Module original = opened.loaded[donor].module;
      ASSERT_TRUE(test::same_bits(outputs.toTupleRef().elements()[donor], original.forward({images[0]})));
    }
    ++mixed;
  }
  EXPECT_GT(mixed, static_cast<std::int64_t>(kSeeds / 10));
}

}  // namespace
}  // namespace repsim::bundle
