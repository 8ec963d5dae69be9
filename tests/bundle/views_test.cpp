// Models whose weights are views: what is written is what is used, and every figure is that of an archive's records.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "repsim/bundle.hpp"

namespace repsim::bundle {
namespace {

/// The weights of a small network.
struct ViewWeights {
  at::Tensor first, second, third, bias;  // [8,3,3,3], [12,8,3,3], [6,12,1,1], [12]
};

constexpr std::int64_t kFirst = 8 * 27, kSecond = 12 * 72, kThird = 72, kBias = 12;

const char* const kViewForward = R"(
def forward(self, x):
  y = torch.relu(torch.conv2d(x, self.first, None, [2, 2], [1, 1]))
  y = torch.relu(torch.conv2d(y, self.second, self.bias, [2, 2], [1, 1]))
  return torch.conv2d(y, self.third)
)";

void save_views(const std::filesystem::path& path, const ViewWeights& weights,
                const std::string& forward = kViewForward, const std::map<std::string, at::Tensor>& more = {}) {
  torch::jit::Module module("__torch__.M");
  module.register_parameter("first", weights.first, false);
  module.register_parameter("second", weights.second, false);
  module.register_parameter("third", weights.third, false);
  module.register_parameter("bias", weights.bias, false);
  for (const auto& [name, tensor] : more) module.register_buffer(name, tensor);
  module.define(forward);
  module.save(path.string());
}

model::Loaded load_views(const std::filesystem::path& path, const std::string& name = "m") {
  return model::load({name, path.string(), test::fixture_input(), {}}, "flags");
}

/// Views of one tensor of values in -0.3..0.3.
class Storage {
 public:
  explicit Storage(std::int64_t elements) : whole_(test::Random(3).tensor({elements}, 0.3)) {}
  at::Tensor next(const std::vector<std::int64_t>& shape) {
    std::int64_t elements = 1;
    for (const std::int64_t side : shape) elements *= side;
    begin_ += elements;
    return whole_.narrow(0, begin_ - elements, elements).view(shape);
  }
  void skip(std::int64_t elements) { begin_ += elements; }
  [[nodiscard]] const at::Tensor& whole() const { return whole_; }

 private:
  at::Tensor whole_;
  std::int64_t begin_ = 0;
};

ViewWeights flat(std::int64_t before = 0, std::int64_t behind = 0) {
  Storage storage(before + kFirst + kSecond + kThird + kBias + behind);
  storage.skip(before);
  ViewWeights weights;
  weights.first = storage.next({8, 3, 3, 3});
  weights.second = storage.next({12, 8, 3, 3});
  weights.third = storage.next({6, 12, 1, 1});
  weights.bias = storage.next({12});
  return weights;
}

struct ViewCase {
  std::string name;
  std::function<ViewWeights()> make;
  std::int64_t elements = kFirst + kSecond + kThird + kBias;  ///< different ones that the model uses
  std::string forward = kViewForward;
};

// NOLINTNEXTLINE(readability-function-size): a list
const std::vector<ViewCase>& view_cases() {
  static const std::vector<ViewCase> cases{
      {"Flat", [] { return flat(); }},
      {"Slices", [] { return flat(5000, 30000); }},
      {"Unaligned", [] { return flat(1, 0); }},
      {"Pruned",
       [] {
         ViewWeights weights = flat();
         weights.first = test::Random(4).tensor({16, 3, 3, 3}, 0.3).slice(0, 0, 16, 2);
         weights.second = test::Random(5).tensor({12, 20, 3, 3}, 0.3).narrow(1, 4, 8);
         return weights;
       }},
      {"Expanded",
       [] {
         ViewWeights weights = flat();
         weights.bias = at::full({1}, 0.1).expand({12});
         weights.third = test::Random(6).tensor({1, 12, 1, 1}, 0.3).expand({6, 12, 1, 1});
         return weights;
       },
       kFirst + kSecond + 12 + 1},
      {"Transposed",
       [] {
         ViewWeights weights = flat();
         weights.second = test::Random(7).tensor({8, 12, 3, 3}, 0.3).transpose(0, 1);
         return weights;
       }},
      {"ChannelsLast",
       [] {
         ViewWeights weights = flat();
         weights.second = weights.second.contiguous(at::MemoryFormat::ChannelsLast).narrow(0, 0, 12);
         return weights;
       }},
      {"ColumnsOfOneMatrix",
       [] {
         ViewWeights weights = flat();
         const at::Tensor both = test::Random(8).tensor({24, 72}, 0.2);
         weights.second = both.narrow(0, 0, 12).view({12, 8, 3, 3});
         weights.third = both.narrow(0, 12, 12).narrow(1, 3, 6).t().unsqueeze(2).unsqueeze(3);
         return weights;
       }},
      {"Overlapping",
       [] {
         ViewWeights weights = flat();
         const at::Tensor shared = test::Random(9).tensor({78}, 0.3);
         weights.third = shared.narrow(0, 0, 72).view({6, 12, 1, 1});
         weights.bias = shared.narrow(0, 66, 12);
         return weights;
       },
       kFirst + kSecond + 78},
      {"TiedTransposed",
       [] {
         ViewWeights weights = flat();
         const at::Tensor matrix = test::Random(10).tensor({12, 12}, 0.3);
         weights.third = matrix.narrow(0, 0, 6).unsqueeze(2).unsqueeze(3);
         weights.bias = matrix.t().select(0, 0);
         return weights;
       },
       // the column and the rows have elements in common: one memory, from the first of them to the last
       kFirst + kSecond + 11 * 12 + 1},
  };
  return cases;
}

class ViewModels : public testing::TestWithParam<ViewCase> {};

TEST_P(ViewModels, HoldWhatTheyUseOnceAndKeepTheirBits) {
  const test::TempFolder folder;
  const std::filesystem::path path = folder / "m.pt";
  save_views(path, GetParam().make(), GetParam().forward);
  std::vector<model::Loaded> loaded;
  loaded.push_back(load_views(path));
  loaded.push_back(load_views(path, "again"));
  const test::Opened opened = test::open_loaded(std::move(loaded));
  for (const graph::Prepared& model : opened.prepared) {
    EXPECT_TRUE(model.rewritable) << model.opaque_reason;
    EXPECT_EQ(model.model_bytes, test::records_of(test::read_text(path)).tensors);
    EXPECT_EQ(model.model_bytes - model.program.unused_parameter_bytes, 4 * GetParam().elements);
  }
  const Written result = write(opened.set, opened.pointers(), {}, "{}");
  EXPECT_EQ(result.parameter_bytes, 4 * GetParam().elements);
  EXPECT_EQ(result.elements, GetParam().elements);
  EXPECT_EQ(result.bytes_deduplicated, 4 * GetParam().elements);  // the second model's
  EXPECT_EQ(test::records_of(result.bytes).tensors, result.parameter_bytes);

  const c10::InferenceMode no_gradients;
  const auto images = test::images_of(test::picture_stores(opened.set, 1, 2), {0});
  torch::jit::Module bundle = test::load_bytes(result.bytes);
  const c10::IValue own = test::run_file(path.string(), images[0]);
  EXPECT_TRUE(test::same_bits(test::run_head(bundle, "m", images), own));
  EXPECT_TRUE(test::same_bits(test::run_head(bundle, "again", images), own));
}

INSTANTIATE_TEST_SUITE_P(Kinds, ViewModels, testing::ValuesIn(view_cases()),
                         [](const auto& info) { return info.param.name; });

// A model that writes into a part of a buffer while it runs sees that in the whole.
TEST(ViewModel, ThatWritesIntoAViewKeepsItsMeaning) {
  const test::TempFolder folder;
  const std::filesystem::path path = folder / "m.pt";
  Storage storage(2000);
  storage.skip(100);
  const at::Tensor whole = storage.next({40});
  save_views(path, flat(300), R"(
def forward(self, x):
  self.part.fill_(x.mean())
  y = torch.relu(torch.conv2d(x, self.first, None, [2, 2], [1, 1]))
  y = torch.relu(torch.conv2d(y, self.second, self.bias, [2, 2], [1, 1]))
  return torch.conv2d(y, self.third) + self.whole.sum()
)",
             {{"whole", whole}, {"part", whole.narrow(0, 10, 4)}});
  std::vector<model::Loaded> loaded;
  loaded.push_back(load_views(path));
  loaded.push_back(test::load_fixture("small"));
  const test::Opened opened = test::open_loaded(std::move(loaded));
  EXPECT_FALSE(opened.prepared[0].rewritable);
  const Written result = write(opened.set, opened.pointers(), {}, "{}");
  const test::Records records = test::records_of(result.bytes);
  EXPECT_EQ(records.tensors, result.parameter_bytes);
  EXPECT_EQ(result.parameter_bytes, 4 * (kFirst + kSecond + kThird + kBias + 40) + opened.prepared[1].model_bytes -
                                        opened.prepared[1].program.unused_parameter_bytes);
  const c10::InferenceMode no_gradients;
  const auto stores = test::picture_stores(opened.set, 2, 2);
  torch::jit::Module bundle = test::load_bytes(result.bytes);
  for (const std::int64_t frame : {0, 1}) {
    const auto images = test::images_of(stores, {frame});
    EXPECT_TRUE(test::same_bits(test::run_head(bundle, "m", images), test::run_file(path.string(), images[0])));
  }
}

}  // namespace
}  // namespace repsim::bundle
