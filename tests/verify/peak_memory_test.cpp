// The measured peak of activations, and the prediction beside it.
#include <gtest/gtest.h>

#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

TEST(PeakAllocatedBytes, IsTheMostThatIsHeldAtATime) {
  const c10::InferenceMode no_gradients;
  constexpr std::int64_t kElements = 1 << 16;
  const auto bytes = [](std::int64_t tensors) { return 4 * kElements * tensors; };
  at::Tensor before = at::zeros({kElements});
  EXPECT_EQ(peak_allocated_bytes([] {}), 0);
  EXPECT_EQ(peak_allocated_bytes([&] { before.reset(); }), 0);  // from before: not counted when it goes either
  EXPECT_EQ(peak_allocated_bytes([] {
              for (int i = 0; i < 3; ++i) const at::Tensor one = at::empty({kElements});
            }),
            bytes(1));
  EXPECT_EQ(peak_allocated_bytes([] {
              const at::Tensor one = at::empty({kElements});
              {
                const at::Tensor two = at::empty({2 * kElements});
              }
              const at::Tensor three = at::empty({kElements});
            }),
            bytes(3));
}

struct Peaks {
  PeakMemory predicted, measured;
};

Peaks peaks_of(const test::Opened& opened) {
  const capture::Stores stores = test::picture_stores(opened.set, 2);
  const test::TempFolder folder;
  const auto loaded = opened.pointers();
  test::write_text(folder / "bundle.pt", bundle::write(opened.set, loaded, {}, "{}").bytes);
  BundleCheck check;
  check.bundle_path = (folder / "bundle.pt").string();
  std::vector<int> all;
  Peaks peaks;
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    Head head;
    head.group = opened.set.groups[i];
    check.models.push_back({loaded[i], head});
    all.push_back(static_cast<int>(i));
    peaks.predicted.separate_bytes =
        std::max(peaks.predicted.separate_bytes, graph::peak_activation_bytes(opened.prepared[i].program));
  }
  check.set = &opened.set;
  check.frames = &stores;
  SilentProgress silent;
  const RunCost cost = measure_run_cost(check, 1, silent);
  EXPECT_GT(cost.latency.separate_ms, 0);
  EXPECT_GT(cost.latency.bundle_ms, 0);
  peaks.measured = cost.peak;
  const graph::Assembly assembly = graph::assemble(opened.set.models, opened.set.groups, {}, all);
  std::vector<c10::IValue> images;
  for (const int group : assembly.input_groups)
    images.push_back(test::input_of(stores[static_cast<std::size_t>(group)], {0}));
  peaks.predicted.bundle_bytes = graph::peak_activation_bytes(graph::describe_merged(assembly, images));
  return peaks;
}

/// Both figures of both kinds: measured is between `least` and `most` times what was predicted.
void expect_within(const Peaks& peaks, double least, double most) {
  const auto ratio = [](std::int64_t measured, std::int64_t predicted) {
    return static_cast<double>(measured) / static_cast<double>(predicted);
  };
  const double separate = ratio(peaks.measured.separate_bytes, peaks.predicted.separate_bytes),
               together = ratio(peaks.measured.bundle_bytes, peaks.predicted.bundle_bytes);
  EXPECT_GE(separate, least);
  EXPECT_LE(separate, most);
  EXPECT_GE(together, least);
  EXPECT_LE(together, most);
}

// No operation here takes scratch memory. 64x48x3 floats are 36864 bytes; while they are joined to the input, the copy
// and the result of twice its size are held.
TEST(PeakMemory, IsWhatLivenessPredictsWhereNothingTakesScratchMemory) {
  const test::TempFolder folder;
  torch::jit::Module module("m");
  module.define(R"(
def forward(self, x):
    copy = torch.relu(x)
    both = torch.cat([copy, x], 1)
    small = torch.avg_pool2d(both, [2, 2])
    return torch.relu(small)
)");
  module.save((folder / "m.pt").string());
  std::vector<model::Loaded> loaded;
  loaded.push_back(model::load({"m", (folder / "m.pt").string(), test::fixture_input(), {}}, "flags"));
  const Peaks peaks = peaks_of(test::open_loaded(std::move(loaded)));
  EXPECT_EQ(peaks.predicted.bundle_bytes, 3 * 36864);
  expect_within(peaks, 1, 1);
}

// Convolutions take scratch memory from the allocator (unfolded inputs, other layouts), which no graph shows. On maps
// as small as these it weighs more than the maps do.
TEST(PeakMemory, OfSmallModelsIsAboveThePredictionByTheScratchOfConvolutions) {
  for (const std::vector<std::string>& names :
       std::vector<std::vector<std::string>>{{"small", "wide"}, {"shuffle", "dict"}, {"small", "shuffle", "wide"}}) {
    SCOPED_TRACE(names[0]);
    expect_within(peaks_of(test::open_fixtures(names)), 1, 2.5);
  }
}

TEST(PeakMemory, OfDetectorsIsAtMostHalfAboveThePrediction) {
  std::vector<model::Loaded> loaded;
  for (const std::string name : {"plain", "mobile", "residual"}) {
    model::InputSpec input;
    input.width = 320;
    input.height = 240;
    loaded.push_back(model::load({name, std::string(REPSIM_SOURCE_DIR) + "/demo/" + name + ".pt", input, {}}, "flags"));
  }
  expect_within(peaks_of(test::open_loaded(std::move(loaded))), 0.95, 1.5);
}

}  // namespace
}  // namespace repsim::verify
