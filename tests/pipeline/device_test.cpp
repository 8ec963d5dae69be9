// --device: what runs on another device than the CPU is brought there whole, and a GPU finds what the CPU finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/jit.h>

#include <cmath>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/signature_jobs.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kModels[] = {"small",        "small.traced", "wide",   "tied",  "shuffle", "shuffle.traced",
                                   "inplace",      "dict",         "list",   "bytes", "control", "one_frame",
                                   "landmark_ssd", "ssd",          "yolov5", "yolov8"};

std::vector<graph::Place> layers_of(const graph::Prepared& model) {
  std::vector<graph::Place> places;
  for (const graph::Layer& layer : model.program.layers) places.push_back(graph::place_of(layer));
  return places;
}

bool has_gpu() {
  return session::torch_devices().starts_with("CUDA, ") && !session::torch_devices().ends_with("no GPU found");
}

TEST(Device, SaysWhatIsMissing) {
  if (has_gpu()) GTEST_SKIP() << "this machine has a GPU";
  test::TempFolder folder;
  test::write_avi(folder / "video.avi", 30, test::patches);
  Settings settings;
  settings.models = {test::fixture_spec("small"), test::fixture_spec("wide")};
  settings.videos = {{(folder / "video.avi").string()}};
  settings.frames = 24;
  settings.device = config::parse_device("cuda").value();
  SilentProgress silent;
  const std::string missing = session::torch_devices() == "CPU only" ? "built without CUDA" : "finds no GPU";
  EXPECT_THAT(test::error_text([&] { (void)plan(settings, folder / "out", false, silent); }),
              AllOf(StartsWith("input: --device cuda: "), HasSubstr(missing), HasSubstr("--device cpu")));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

/// What a traced or scripted forward makes of its own: on the CPU by name, or by default.
constexpr const char* kMakesTensors = R"(
def f(x):
    zeros = torch.zeros([2, 3, 4, 4])
    ones = torch.ones([2, 1, 4, 4], dtype=6, layout=0, device=torch.device("cpu"))
    few = torch.arange(3)
    scale = torch.tensor([1.0, 2.0, 3.0])
    like = torch.zeros_like(x) + x.new_ones([1])
    grid = torch.linspace(0., 1., 4)
    both = torch.cat([x, zeros + scale.view([1, 3, 1, 1]), ones, like], 1)
    if x.size(0) > 1:
        both = both + torch.full([1], 2.0)
    return both[:, few] * grid
)";

// A device without values shows on any machine that nothing of a graph stays on the CPU: an operation on tensors of
// two devices is an error.
TEST(Device, BringsWholeGraphsThere) {
  const auto unit = torch::jit::compile(kMakesTensors);
  torch::jit::Graph& graph = *torch::jit::toGraphFunction(unit->get_function("f")).graph();
  std::vector<graph::Place> places;
  int number = 0;
  for (torch::jit::Node* node : graph.nodes()) {
    if (node->kind() != c10::prim::Constant && node->outputs().size() == 1 &&
        node->output()->type()->isSubtypeOf(*c10::TensorType::get()))
      places.push_back({number, 0});
    ++number;
  }
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kMeta)}) {
    const graph::Runner runner(graph, {}, places, /*keep_output=*/false, device);
    std::size_t seen = 0;
    runner.run({at::ones({2, 3, 4, 4})}, [&](int, const at::Tensor& value) {
      EXPECT_EQ(value.device().type(), device.type()) << seen;
      ++seen;
    });
    EXPECT_EQ(seen, places.size());
    EXPECT_GE(seen, 12U);
  }
}

class OnAGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_gpu()) GTEST_SKIP() << "no GPU with CUDA (" << session::torch_devices() << ")";
  }
};

TEST_F(OnAGpu, LayersAndResultsAreThoseOfTheCpu) {
  for (const char* name : kModels) {
    test::Opened opened = test::open_fixtures({name});
    graph::Prepared& model = opened.prepared[0];
    const video::FrameStore store = test::picture_store(opened.set.specs[0], 2);
    const c10::IValue input =
        test::input_of(store, model.batchable ? std::vector<std::int64_t>{0, 1} : std::vector<std::int64_t>{0});
    const auto run = [&](at::Device device) {
      std::vector<at::Tensor> values(model.program.layers.size());
      const graph::Runner runner(*model.graph, model.parameters, layers_of(model), /*keep_output=*/true, device);
      const c10::IValue result = runner.run({input}, [&](LayerIndex layer, const at::Tensor& value) {
        EXPECT_EQ(value.device().type(), device.type()) << name;
        values[layer] = value.to(at::kCPU, at::kDouble, false, /*copy=*/true);
      });
      for (const at::Tensor& tensor : model::tensors_of(result)) {
        EXPECT_TRUE(tensor.is_cpu()) << name;
        values.push_back(tensor.to(at::kDouble));
      }
      return values;
    };
    const std::vector<at::Tensor> cpu = run(at::kCPU), gpu = run(at::Device(at::kCUDA, 0));
    ASSERT_EQ(cpu.size(), gpu.size()) << name;
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      ASSERT_EQ(cpu[i].defined(), gpu[i].defined()) << name << " " << i;
      if (!cpu[i].defined() || cpu[i].numel() == 0) continue;
      ASSERT_EQ(cpu[i].sizes(), gpu[i].sizes()) << name << " " << i;
      EXPECT_LE((cpu[i] - gpu[i]).abs().max().item<double>(), 1e-3 * cpu[i].abs().max().item<double>())
          << name << " " << i;
    }
  }
}

TEST_F(OnAGpu, GramMatricesAreThoseOfTheCpu) {
  test::Random random(3);
  for (const std::vector<std::int64_t>& shape : std::vector<std::vector<std::int64_t>>{
           {16, 3, 5, 7}, {16, 64, 33, 21}, {16, 4096}, {16, 4097}, {5, 10'000}, {16, 0}}) {
    const at::Tensor value = random.tensor(shape) + 100;  // a large common part
    const auto n = static_cast<std::size_t>(shape[0]);
    std::vector<double> cpu(n * n), gpu(n * n);
    capture::centred_gram(value, cpu.data());
    capture::centred_gram(value.to(at::Device(at::kCUDA, 0)), gpu.data());
    const double largest = std::abs(*std::max_element(cpu.begin(), cpu.end()));
    for (std::size_t i = 0; i < cpu.size(); ++i) EXPECT_NEAR(cpu[i], gpu[i], 1e-5 * largest) << shape[1] << " " << i;
  }
}

/// One job on both devices.
struct Both {
  test::TempFolder folder;
  Settings settings;

  explicit Both(const std::vector<std::string>& models) {
    settings = test::fixture_settings(folder, models);
    settings.frames = 44;
    settings.threads = 2;
    settings.max_trials = 6;
    settings.min_fidelity = 0;
  }
  report::Plan plan_on(const std::string& device) {
    Settings here = settings;
    here.device = config::parse_device(device).value();
    SilentProgress silent;
    return plan(here, folder / device, true, silent).plan;
  }
};

TEST_F(OnAGpu, SimilaritiesAreThoseOfTheCpu) {
  Both both({"small", "wide", "one_frame"});
  const auto matrix = [&](const std::string& device) {
    Settings here = both.settings;
    here.device = config::parse_device(device).value();
    SilentProgress silent;
    return similarity(here, both.folder / ("s" + device), true, silent).similarity.values;
  };
  const std::vector<double> cpu = matrix("cpu"), gpu = matrix("cuda");
  ASSERT_EQ(cpu.size(), gpu.size());
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    ASSERT_EQ(std::isnan(cpu[i]), std::isnan(gpu[i])) << i;
    if (std::isnan(cpu[i])) continue;
    EXPECT_NEAR(cpu[i], gpu[i], 1e-3) << i;
  }
}

TEST_F(OnAGpu, APlanIsThatOfTheCpu) {
  Both both({"small", "wide"});
  both.settings.share = {{"small", "wide"}};
  const report::Plan cpu = both.plan_on("cpu"), gpu = both.plan_on("cuda");
  ASSERT_EQ(cpu.shares.size(), gpu.shares.size());
  for (std::size_t i = 0; i < cpu.shares.size(); ++i) {
    ASSERT_EQ(cpu.shares[i].replaced.size(), gpu.shares[i].replaced.size());
    for (std::size_t k = 0; k < cpu.shares[i].replaced.size(); ++k) {
      EXPECT_EQ(cpu.shares[i].replaced[k].receiver_layer, gpu.shares[i].replaced[k].receiver_layer);
      EXPECT_EQ(cpu.shares[i].replaced[k].donor_layer, gpu.shares[i].replaced[k].donor_layer);
      EXPECT_NEAR(cpu.shares[i].replaced[k].residual, gpu.shares[i].replaced[k].residual, 1e-3);
    }
  }
  for (std::size_t i = 0; i < cpu.models.size(); ++i)
    EXPECT_NEAR(cpu.models[i].fidelity.value.value_or(-1), gpu.models[i].fidelity.value.value_or(-1), 1e-3)
        << cpu.models[i].name;
}

// An edited or unchanged plan is fitted on the device that is asked for, and is the same bytes there again.
TEST_F(OnAGpu, ABundleIsMadeAgainToTheByte) {
  Both both({"small", "wide"});
  both.settings.share = {{"small", "wide"}};
  const report::Plan made = both.plan_on("cuda");
  RebuildSettings again;
  again.plan = both.folder / "cuda";
  again.out = both.folder / "again.pt";
  again.threads = both.settings.threads;
  again.device = config::parse_device("cuda").value();
  SilentProgress silent;
  EXPECT_EQ(rebuild(again, silent).sha256, made.bundle_sha256);
}

TEST_F(OnAGpu, OneThatIsNotThereIsRefused) {
  Both both({"small", "wide"});
  both.settings.device = config::parse_device("cuda:63").value();
  SilentProgress silent;
  EXPECT_THAT(test::error_text([&] { (void)plan(both.settings, both.folder / "out", false, silent); }),
              AllOf(StartsWith("input: --device cuda:63: this machine has"), HasSubstr("cuda:0")));
}

}  // namespace
}  // namespace repsim::pipeline
