// Models whose code does more than to compute values from its inputs: they stay as they are, and so do the others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "models.hpp"
#include "repsim/bundle.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const char* const kConvolution = "torch.conv2d(x, self.weight, None, [4, 4])";

/// A model with a weight, a list of one tensor and a dictionary, whose forward has these lines.
model::Loaded model_of(const std::string& lines, const std::string& name = "m") {
  model::Loaded loaded;
  loaded.spec = {name, name + ".pt", test::fixture_input(), {}};
  loaded.module = torch::jit::Module("__torch__.M");
  loaded.module.register_parameter("weight", test::Random(7).tensor({6, 3, 5, 5}, 0.3), false);
  c10::List<at::Tensor> list;
  list.push_back(at::zeros({1}));
  loaded.module.register_attribute("list", c10::ListType::ofTensors(), list);
  c10::Dict<std::string, at::Tensor> dict;
  dict.insert("a", at::zeros({1}));
  loaded.module.register_attribute("dict", c10::DictType::create(c10::StringType::get(), c10::TensorType::get()), dict);
  loaded.module.define("def forward(self, x):\n" + lines);
  loaded.module.eval();
  return loaded;
}

std::string line(const std::string& text) { return "  " + text + "\n"; }

Prepared prepared_of(const model::Loaded& loaded) { return prepare(loaded, trace_run(loaded)); }

const std::string kOwn = "keeps values in a list or a dictionary of its own";

TEST(SideEffects, WritesIntoOwnListsAndDictionariesAreSeen) {
  const std::string result = line(std::string("y = ") + kConvolution);
  for (const std::string write :
       {"self.list[0] = y.mean().reshape([1])", "self.list.append(y.mean().reshape([1]))", "self.list.clear()",
        "self.list.extend([y])", "self.list.insert(0, y)", "self.dict[\"b\"] = y", "self.dict.clear()"}) {
    const Prepared prepared = prepared_of(model_of(result + line(write) + line("return y")));
    EXPECT_EQ(prepared.opaque_reason, kOwn) << write;
    EXPECT_FALSE(prepared.rewritable) << write;
  }
}

TEST(SideEffects, AWriteInABranchIsSeen) {
  const std::string lines = line(std::string("y = ") + kConvolution) + line("if bool(x.mean() > 1000):") +
                            "    self.list.append(y)\n" + line("return y");
  EXPECT_EQ(prepared_of(model_of(lines)).opaque_reason, kOwn);
}

// What a model puts into a list of this run, and what it only reads, is nobody's state.
TEST(SideEffects, ListsOfTheRunAndReadsAreFine) {
  const std::string result = line(std::string("y = ") + kConvolution);
  for (const std::string use :
       {"z = [y]\n  z.append(y + self.list[0])\n  y = z[1]", "y = y + self.list[0] + self.dict[\"a\"]",
        "z = {\"c\": y}\n  z[\"d\"] = y + self.dict[\"a\"]\n  y = z[\"d\"]"}) {
    EXPECT_EQ(prepared_of(model_of(result + line(use) + line("return y"))).opaque_reason, "") << use;
  }
}

TEST(SideEffects, TheModelIsAsItsFileHadItAfterPreparing) {
  const model::Loaded loaded =
      model_of(line(std::string("y = ") + kConvolution) + line("self.list.append(y)") + line("return y"));
  (void)prepared_of(loaded);
  EXPECT_EQ(loaded.module.attr("list").toListRef().size(), 1U);
}

TEST(SideEffects, ASeedIsSeen) {
  const std::string lines = line("torch.manual_seed(3)") + line("x = x + torch.rand_like(x) * 0.1") +
                            line(std::string("return ") + kConvolution);
  EXPECT_EQ(prepared_of(model_of(lines)).opaque_reason, "sets the seed of random numbers");
}

/// What the bundle's methods return for `x` in this order.
std::vector<at::Tensor> results_of(const torch::jit::Module& bundle, const std::vector<std::string>& methods,
                                   const at::Tensor& x) {
  const c10::InferenceMode no_gradients;
  std::vector<at::Tensor> results;
  for (const std::string& method : methods) results.push_back(bundle.get_method(method)({x.clone()}).toTensor());
  return results;
}

// Both models have one weight. What the second writes into it must not reach the first.
TEST(SideEffects, AWeightThatAModelWritesIntoIsNoOtherModels) {
  for (const std::string write : {"self.weight.clamp_(-0.1, 0.1)", "self.weight.mul_(0.5)",
                                  "self.weight.view([-1]).add_(1.0)", "self.weight[0].zero_()"}) {
    const std::vector<model::Loaded> loaded{
        model_of(line(std::string("return ") + kConvolution), "plain"),
        model_of(line(write) + line(std::string("return ") + kConvolution), "writes")};
    std::vector<Prepared> prepared;
    capture::ModelSet set;
    set.specs = {test::fixture_input()};
    set.groups = {0, 0};
    for (const model::Loaded& one : loaded) prepared.push_back(prepared_of(one));
    for (const Prepared& one : prepared) set.models.push_back(&one);
    ASSERT_FALSE(prepared[1].rewritable) << write;
    EXPECT_FALSE(prepared[1].keeps_weights) << write;
    const std::vector<const model::Loaded*> pointers{&loaded[0], &loaded[1]};
    const bundle::Written written = bundle::write(set, pointers, {}, "{}");
    std::istringstream stream(written.bytes);
    const at::Tensor x = model::example_frames(test::fixture_input(), 1);
    const std::vector<at::Tensor> results =
        results_of(torch::jit::load(stream), {"run_plain", "run_writes", "run_plain"}, x);
    EXPECT_TRUE(at::equal(results[0], results[2])) << write;
    EXPECT_FALSE(at::equal(results[0], results[1])) << write;
  }
}

// Opaque models that leave their weights alone share equal ones as before.
TEST(SideEffects, AnOpaqueModelThatOnlyReadsItsWeightsKeepsThem) {
  const std::string lines =
      line(std::string("y = ") + kConvolution) + line("self.list.append(y)") + line("return torch.relu_(y + 1)");
  const Prepared prepared = prepared_of(model_of(lines));
  EXPECT_FALSE(prepared.rewritable);
  EXPECT_TRUE(prepared.keeps_weights);
}

TEST(SideEffects, OutputsWithoutComparableNumbersAreInputErrors) {
  const std::map<std::string, std::string> cases{{"torch.quantize_per_tensor(y, 0.1, 0, 12)", "a quantised tensor"},
                                                 {"y.to_sparse()", "a sparse tensor"},
                                                 {"torch.to(y, 24)", "a tensor of the type Float8_e4m3fn"}};
  for (const auto& [output, kind] : cases) {
    const model::Loaded loaded = model_of(line(std::string("y = ") + kConvolution) + line("return " + output));
    EXPECT_THAT(test::error_text([&] { (void)trace_run(loaded); }),
                AllOf(HasSubstr("the model returns " + kind), HasSubstr("before the export")));
  }
}

// The tensors of packed weights are made for the asking. Their places in memory say nothing.
TEST(StoredMemory, PackedWeightsCountTheSameEachTime) {
  const test::Opened first = test::open_fixtures({"zoo/quantised"});
  for (int round = 0; round < 5; ++round) {
    const test::Opened again = test::open_fixtures({"zoo/quantised"});
    EXPECT_EQ(again.prepared[0].model_bytes, first.prepared[0].model_bytes);
    EXPECT_EQ(again.prepared[0].program.unused_parameter_bytes, first.prepared[0].program.unused_parameter_bytes);
  }
}

TEST(StoredMemory, ScalesOfQuantisedChannelsCount) {
  const at::Tensor weight = at::quantize_per_channel(at::ones({4, 3}), at::ones({4}, at::kDouble) * 0.1,
                                                     at::zeros({4}, at::kLong), 0, at::kQInt8);
  const std::vector<at::Tensor> tensors{weight};
  EXPECT_EQ(StoredMemory().add(tensors).bytes, 4 * 3 + 4 * 8 + 4 * 8);
}

}  // namespace
}  // namespace repsim::graph
