#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <latch>
#include <system_error>
#include <thread>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/machine.hpp"
#include "repsim/config.hpp"
#include "repsim/session.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::session {
namespace {

class WarningsToLog : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override { log::debug("torch: " + std::string(warning.msg())); }
};

bool built_with_cuda() { return at::hasCUDA() || at::detail::getCUDAHooks().hasCUDART(); }

int gpu_count() { return at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0; }

std::string gpus(int count) { return std::to_string(count) + (count == 1 ? " GPU" : " GPUs"); }

/// OpenMP ends the process where it cannot start a thread, so it is tried before.
/// @throws Error{kInput}
void check_threads(int count) {
  constexpr int kOthers = 2;  // beside those that compute: decoding, waiting for signals
  std::latch all_tried(1);
  std::vector<std::jthread> started;
  try {
    for (int i = 1; i < count + kOthers; ++i) started.emplace_back([&all_tried] { all_tried.wait(); });
  } catch (const std::system_error&) {
    all_tried.count_down();
    throw input_error("the system starts no more than " + std::to_string(started.size()) + " of " +
                          std::to_string(count + kOthers - 1) + " threads",
                      "--threads", "fewer --threads, or a higher limit on processes or memory (ulimit -u, -v)");
  }
  all_tried.count_down();
}

/// @throws as Runtime does
at::Device open_device(const config::Device& device) {
  if (device.kind == config::Device::Kind::kCpu) return at::kCPU;
  const int number = device.number.value_or(0);
  const int count = gpu_count();
  if (number >= count) {
    const bool built = built_with_cuda();
    throw input_error(!built       ? "this LibTorch (" + torch_version() + ") is built without CUDA"
                      : count == 0 ? "LibTorch finds no GPU with CUDA on this machine"
                                   : "this machine has " + gpus(count) + " only",
                      "--device " + config::to_string(device),
                      !built       ? "build repsim with a CUDA build of Torch (cmake -DCMAKE_PREFIX_PATH=...), or "
                                     "--device cpu"
                      : count == 0 ? "check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES, or --device cpu"
                                   : "--device cuda:0");
  }
  // Tensor cores round to 10 bits, and convolutions that are chosen by trial differ from run to run.
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setBenchmarkCuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
  return {at::kCUDA, static_cast<c10::DeviceIndex>(number)};
}

}  // namespace

std::string torch_version() { return TORCH_VERSION; }

std::string torch_devices() {
  if (!built_with_cuda()) return "CPU only";
  const int count = gpu_count();
  return count == 0 ? "CUDA, no GPU found" : "CUDA, " + gpus(count);
}

ThreadCount::ThreadCount(int threads) : before_(at::get_num_threads()) {
  const int count = threads > 0 ? threads : default_threads();
  check_threads(count);
  at::set_num_threads(count);
}

ThreadCount::~ThreadCount() { at::set_num_threads(before_); }

Runtime::Runtime(const RuntimeOptions& options)
    : threads_(options.threads), device_(open_device(options.device)), memory_limit_(options.memory_limit) {}

void check_files(const InputFiles& files) {
  model::load_libraries(files.libraries);
  for (const video::VideoSource& video : files.videos) video::check_readable(video.path);
  // The video's size and frames are not known yet; to see that the file can be read, any size will do.
  video::VideoInfo unknown;
  unknown.width = unknown.height = 1;
  if (files.truth) static_cast<void>(verify::read_truth(*files.truth, unknown));
  for (const video::VideoSource& video : files.videos) {
    if (video.truth) static_cast<void>(verify::read_truth(*video.truth, unknown));
  }
}

void log_torch_output() {
  static WarningsToLog handler;
  c10::WarningUtils::set_warning_handler(&handler);
  torch::jit::setPrintHandler([](const std::string& text) { log::debug("a model prints: " + text); });
}

}  // namespace repsim::session
