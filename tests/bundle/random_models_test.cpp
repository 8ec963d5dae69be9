// Invariants on generated modules: branches, skips, concatenated pyramids, in-place activations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"

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
    convolve(4);  // small maps from here on: fast
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

  Value convolved(const Value& from, std::int64_t stride, std::int64_t channels) {
    const std::string weight = "w" + std::to_string(count_), name = fresh();
    const std::int64_t side = random_.below(2) == 0 ? 1 : 3;
    module_.register_parameter(weight, random_.tensor({channels, from.channels, side, side}, 0.5), false);
    module_.register_parameter(weight + "_bias", random_.tensor({channels}, 0.5), false);
    const std::string s = std::to_string(stride), p = std::to_string(side / 2);
    line(name + " = torch.conv2d(" + from.name + ", self." + weight + ", self." + weight + "_bias, [" + s + ", " + s +
         "], [" + p + ", " + p + "])");
    return {name, channels, (from.height - 1) / stride + 1, (from.width - 1) / stride + 1};
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
    const Value side = convolved(from, 1, from.channels);
    const std::string name = fresh();
    line(name + " = " + from.name + " + " + side.name);
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

  void write_slice() {
    const Value from = pick();
    line(from.name + "[:, 0:1] = " + from.name + "[:, 1:2] * 2.0");
  }

  void step() {
    switch (random_.below(8)) {
      case 0:
        return convolve(2);
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
      default:
        return write_slice();
    }
  }

  void finish() {
    // The last value and another one through a convolution each, so that weights lie behind most layers.
    const Value first = convolved(values_.back(), 1, 3), second = convolved(pick(), 1, 2);
    line("return (" + first.name + ", " + second.name + ")");
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

Case generated(std::uint64_t seed) {
  Generator first("first", 2 * seed), second("second", 2 * seed + 1);
  std::vector<model::Loaded> loaded;
  loaded.push_back(first.make());
  loaded.push_back(second.make());
  return {test::open_loaded(std::move(loaded)),
          "seed " + std::to_string(seed) + "\n" + first.code() + "---\n" + second.code()};
}

constexpr std::uint64_t kSeeds = 150;

TEST(RandomModels, KeepTheirBitsInABundle) {
  const c10::InferenceMode no_gradients;
  std::int64_t transparent = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case one = generated(seed);
    SCOPED_TRACE(one.code);
    const auto loaded = one.opened.pointers();
    torch::jit::Module bundle = test::load_bytes(write(one.opened.set, loaded, {}, "{}").bytes);
    const auto images = test::images_of(test::picture_stores(one.opened.set, 2, seed), {0, 1});
    const c10::IValue outputs = bundle.forward(images);
    for (std::size_t i = 0; i < 2; ++i) {
      torch::jit::Module original = one.opened.loaded[i].module;
      ASSERT_TRUE(test::same_bits(outputs.toTupleRef().elements()[i], original.forward({images[0]})));
      transparent += one.opened.prepared[i].transparent ? 1 : 0;
    }
  }
  // Carrying a model whole is always right, and useless: these are ordinary.
  EXPECT_EQ(transparent, static_cast<std::int64_t>(2 * kSeeds));
}

TEST(RandomModels, SharedEqualAnIndependentSpliceInThePromisedBytes) {
  const c10::InferenceMode no_gradients;
  std::int64_t compared = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Case one = generated(seed);
    if (!one.opened.prepared[0].transparent || !one.opened.prepared[1].transparent) continue;
    SCOPED_TRACE(one.code);
    const auto cuts = test::map_cuts(one.opened.program(0));
    if (cuts.empty() || one.opened.program(1).layers.empty()) continue;
    const auto& cut = cuts[seed % cuts.size()].layers;
    const std::vector<graph::Splice> splices{test::random_splice(one.opened, 0, 1, cut, seed)};
    const auto loaded = one.opened.pointers();
    const Written written = write(one.opened.set, loaded, splices, "{}");
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

// Layer by layer from the second model or from the third.
TEST(RandomModels, SharedFromTwoDonorsEqualAnIndependentSpliceInThePromisedBytes) {
  const c10::InferenceMode no_gradients;
  std::int64_t mixed = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds / 3; ++seed) {
    Generator receiver("first", 5 * seed), one("second", 5 * seed + 1), other("third", 5 * seed + 2);
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::vector<model::Loaded> loaded;
    for (Generator* generator : {&receiver, &one, &other}) loaded.push_back(generator->make());
    const test::Opened opened = test::open_loaded(std::move(loaded));
    auto cuts = test::map_cuts(opened.program(0));
    std::erase_if(cuts, [](const planner::DepthCut& cut) { return cut.layers.size() < 2; });
    if (cuts.empty()) continue;
    const auto& cut = cuts[seed % cuts.size()].layers;
    std::vector<graph::Splice> splices{test::random_splice(opened, 0, 1, cut, seed)};
    const graph::Splice from_third = test::random_splice(opened, 0, 2, cut, seed + 1000);
    for (std::size_t i = seed % 2; i < cut.size(); i += 2) splices[0].overrides[i] = from_third.overrides[i];
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
