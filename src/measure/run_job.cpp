#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/script.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <set>

#include "driver_memory.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/out_of_memory.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/config.hpp"
#include "repsim/failure_text.hpp"
#include "repsim/measure_process.hpp"
#include "repsim/session.hpp"
#include "repsim/verify.hpp"

namespace repsim::measure {
namespace {

using Batch = std::vector<c10::IValue>;  // per input group

/// Seconds of the processor, of all threads of this process.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// A tensor or a list of tensors on another device.
c10::IValue moved(const c10::IValue& value, at::Device device) {
  if (value.isTensor()) return value.toTensor().to(device);
  c10::List<at::Tensor> list;
  for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(tensor.to(device));
  return list;
}

/// Reads the inputs and keeps those that the job's calls take.
std::vector<Batch> read_inputs(const Job& job, at::Device device) {
  std::set<int> wanted;
  for (const std::vector<Call>* calls : {&job.calls, &job.alone}) {
    for (const Call& call : *calls) wanted.insert(call.groups.begin(), call.groups.end());
  }
  std::vector<Batch> batches;
  try {
    const std::string bytes = read_file(job.inputs);
    const c10::IValue stored = torch::jit::pickle_load(std::vector<char>(bytes.begin(), bytes.end()));
    for (const c10::IValue& batch : stored.toTupleRef().elements()) {
      Batch& groups = batches.emplace_back();
      int group = 0;
      for (const c10::IValue& value : batch.toTupleRef().elements())
        groups.push_back(wanted.contains(group++) ? moved(value, device) : c10::IValue());
    }
  } catch (const c10::Error& error) {
    log::debug(error.what());
    throw input_error("the inputs cannot be read", job.inputs);
  }
  return batches;
}

/// A call with its module.
class LoadedCall {
 public:
  LoadedCall(const Call& call, torch::jit::Module module) : call_(call), module_(std::move(module)) {}

  void run(const Batch& batch) {
    std::vector<c10::IValue> arguments;
    for (const int group : call_.groups) arguments.push_back(batch.at(static_cast<std::size_t>(group)));
    try {
      (void)module_.get_method(call_.method)(std::move(arguments));
    } catch (const std::exception& error) {
      rethrow_out_of_memory(error);
      log::debug(error.what());
      throw input_error(call_.method + " fails: " + model::own_words(error.what()), call_.path,
                        "repsim verify runs the same frames and says more");
    }
  }

 private:
  const Call& call_;
  torch::jit::Module module_;
};

std::vector<LoadedCall> loaded_calls(const std::vector<Call>& calls, at::Device device,
                                     std::map<std::string, torch::jit::Module>& modules) {
  std::vector<LoadedCall> loaded;
  for (const Call& call : calls) {
    auto known = modules.find(call.path);
    if (known == modules.end()) {
      try {
        torch::jit::Module module = torch::jit::load(call.path, device);
        module.eval();
        known = modules.emplace(call.path, std::move(module)).first;
      } catch (const c10::Error& error) {
        rethrow_out_of_memory(error);
        log::debug(error.what());
        throw input_error("it cannot be loaded", call.path, "run repsim plan again");
      }
    }
    loaded.emplace_back(call, known->second);
  }
  return loaded;
}

/// Runs calls and takes their time.
class Timer {
 public:
  Timer(const Job& job, const std::vector<Batch>& batches, at::Device device, Progress& progress)
      : job_(job), batches_(batches), device_(device), progress_(progress) {}

  void run(std::span<LoadedCall> calls, std::int64_t turn) const {
    const Batch& batch = batches_[static_cast<std::size_t>(turn) % batches_.size()];
    for (LoadedCall& call : calls) call.run(batch);
    if (!device_.is_cpu()) at::detail::getCUDAHooks().deviceSynchronize(device_.index());
  }

  double warm_up(std::span<LoadedCall> calls) const {
    return seconds_of([&] {
      for (std::int64_t turn = 0; turn < job_.warm_up; ++turn) {
        run(calls, turn);
        progress_.step();
      }
    });
  }

  [[nodiscard]] Times times(std::span<LoadedCall> calls) const {
    Times times;
    const double per_frame = 1000 / static_cast<double>(job_.batch);
    for (std::int64_t turn = 0; turn < job_.runs; ++turn) {
      const double cpu = processor_seconds();
      times.wall_ms.push_back(per_frame * seconds_of([&] { run(calls, turn); }));
      times.cpu_ms.push_back(per_frame * (processor_seconds() - cpu));
      progress_.step();
    }
    return times;
  }

 private:
  const Job& job_;
  const std::vector<Batch>& batches_;
  at::Device device_;
  Progress& progress_;
};

std::optional<DeviceMemory> device_memory(at::Device device, Progress& progress) {
  if (device.is_cpu()) return std::nullopt;
  constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return DeviceMemory{stats.allocated_bytes.at(kAll).current, stats.reserved_bytes.at(kAll).current,
                      driver_memory(::getpid(), progress)};
}

}  // namespace

Sample run_job(const Job& job, Progress& progress) {
  const c10::InferenceMode no_gradients;
  const std::optional<config::Device> device_setting = config::parse_device(job.device);
  if (!device_setting) throw input_error(config::no_device(job.device), job.label);
  const session::Runtime runtime({job.threads, *device_setting, {}});
  session::check_files({job.libraries, {}, {}});
  const at::Device device = runtime.device();
  const std::vector<Batch> batches = read_inputs(job, device);
  if (batches.empty()) throw input_error("there are no inputs", job.inputs);

  Sample sample;
  progress.begin(job.label, job.warm_up + job.runs);
  release_free_memory();
  if (!reset_peak_resident_bytes()) log::debug("the peak of memory includes reading the inputs");
  sample.before = memory_use();
  std::map<std::string, torch::jit::Module> modules;
  std::vector<LoadedCall> calls;
  sample.load_seconds = seconds_of([&] { calls = loaded_calls(job.calls, device, modules); });
  sample.loaded = memory_use();
  const Timer timer(job, batches, device, progress);
  sample.first_seconds = timer.warm_up(calls);
  sample.frame = timer.times(calls);
  sample.running = memory_use();
  sample.peak_bytes = peak_resident_bytes();
  sample.device = device_memory(device, progress);
  if (device.is_cpu()) sample.activation_bytes = verify::peak_allocated_bytes([&] { timer.run(calls, 0); });
  progress.end();
  std::vector<LoadedCall> alone = loaded_calls(job.alone, device, modules);
  for (LoadedCall& call : alone) {
    progress.begin(job.label, job.warm_up + job.runs);
    static_cast<void>(timer.warm_up({&call, 1}));
    sample.alone.push_back(timer.times({&call, 1}));
    progress.end();
  }
  return sample;
}

}  // namespace repsim::measure
