#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/base/memory.hpp"

/// `repsim measure`: what the models of a plan cost where they run. This header decides: which processes run, in what
/// order, and what their figures say together. measure_process.hpp is what such a process does. No torch.
namespace repsim::measure {

/// Ways to run the models of a plan. The honest baseline of a bundle is kOneProcess.
enum class Deployment {
  kSeparateProcesses,  ///< the originals, one process each
  kOneProcess,         ///< the originals, one after another in one process
  kDeduplicated,       ///< a bundle that shares nothing beyond what is identical
  kBundle,             ///< the plan's bundle
};
inline constexpr std::size_t kDeployments = 4;
[[nodiscard]] const char* to_string(Deployment deployment);  ///< "separate-processes", ... (measure.json)

// ---- What a process runs ----

/// A TorchScript file that a process loads, and the method of it that computes a frame.
struct Call {
  std::string path;
  std::string method;       ///< "forward", "run_front"
  std::vector<int> groups;  ///< input groups of its arguments, in order
};

/// What one process measures. Everything is in it: the process reads nothing else of the plan.
struct Job {
  std::string label;         ///< names it in errors: "model 'front'", "the bundle"
  std::vector<Call> calls;   ///< together they compute a frame; they run one after another
  std::vector<Call> alone;   ///< of the same files: timed one by one afterwards
  std::string inputs;        ///< file of input tensors: per batch a list with an entry for each input group
  std::int64_t batch = 1;    ///< frames of one call
  std::int64_t runs = 24;    ///< timed calls
  std::int64_t warm_up = 3;  ///< calls before them, in which torch's graph executor specialises the graph
  int threads = 0;           ///< 0: as many as the machine has cores
  std::string device = "cpu";
  std::vector<std::string> libraries;  ///< of operators, as in Settings
};
[[nodiscard]] Json to_json(const Job& job);
/// @throws Error{kInput} where it is no job
[[nodiscard]] Job job_from_json(const Json& json, const std::string& file);

/// Memory of a GPU, in bytes.
struct DeviceMemory {
  std::int64_t allocated = 0;          ///< held in tensors
  std::int64_t reserved = 0;           ///< that Torch's allocator holds
  std::optional<std::int64_t> driver;  ///< that the driver states for the process, CUDA itself included
};

/// Times of calls, divided by the frames of a batch.
struct Times {
  std::vector<double> wall_ms;  ///< per frame, one entry per call
  std::vector<double> cpu_ms;   ///< of all threads of the process together: other programs do not add to it
};

/// What a process found.
struct Sample {
  MemoryUse before, loaded, running;  ///< before the files are loaded, after that, and after the last call
  std::int64_t peak_bytes = 0;        ///< largest resident memory since `before`
  std::int64_t activation_bytes = 0;  ///< largest sum of tensors in one call; 0 on a GPU
  std::optional<DeviceMemory> device;
  double load_seconds = 0;   ///< with the files in the system's cache
  double first_seconds = 0;  ///< the calls that warm up
  Times frame;               ///< of all calls together
  std::vector<Times> alone;  ///< per Job::alone
};
[[nodiscard]] Json to_json(const Sample& sample);
/// @throws Error{kInput} where it is no sample
[[nodiscard]] Sample sample_from_json(const Json& json, const std::string& file);

// ---- The order ----

/// One process of the schedule.
struct Step {
  std::size_t round = 0;
  Deployment deployment = Deployment::kSeparateProcesses;
  std::size_t process = 0;  ///< of the deployment, from 0
};

/// Every process once per round. Rounds go through the deployments forwards and backwards in turn, so that a machine
/// that slows down or speeds up steadily favours none.
/// @param models  processes of kSeparateProcesses; the other deployments are one process
[[nodiscard]] std::vector<Step> schedule(std::size_t models, std::size_t rounds);

// ---- What the samples say ----

/// A deployment's processes of one round.
using Round = std::vector<Sample>;

/// Memory that processes of one program take together if nothing else on the machine uses their libraries: what is
/// their own adds up, mapped files (libraries, the program) count once.
[[nodiscard]] std::int64_t resident_together(const std::vector<MemoryUse>& processes);

/// A deployment, as medians over rounds.
struct Figures {
  std::int64_t file_bytes = 0;                                         ///< of the files that it loads
  std::int64_t before_bytes = 0, loaded_bytes = 0, running_bytes = 0;  ///< resident_together()
  std::int64_t peak_bytes = 0;
  std::int64_t proportional_bytes = 0;  ///< sum of the proportional set sizes of the kernel, running
  std::int64_t activation_bytes = 0;    ///< of the process that holds most
  std::optional<DeviceMemory> device;   ///< of all processes
  double load_seconds = 0, first_seconds = 0;
  double frame_ms = 0;               ///< median over calls; of several processes the sum, call by call
  double frame_ms_90 = 0;            ///< nine calls of ten are as fast
  double cpu_ms = 0;                 ///< median over calls
  double least_ms = 0, most_ms = 0;  ///< of frame_ms over the rounds: what the machine adds by itself
  [[nodiscard]] double frames_per_second() const { return frame_ms > 0 ? 1000 / frame_ms : 0; }
};
/// @param rounds  at least one, with as many processes in each
[[nodiscard]] Figures figures_of(const std::vector<Round>& rounds, std::int64_t file_bytes);

/// How one deployment compares with another: medians over rounds of what was measured in the same round.
struct Ratios {
  double frame_ms = 1, cpu_ms = 1, load_seconds = 1;
};
/// @param rounds,baseline  equally many
[[nodiscard]] Ratios ratios_of(const std::vector<Round>& rounds, const std::vector<Round>& baseline);

/// A model by itself: its original in a process of its own, and run_<model> of the bundle.
struct Alone {
  std::string model;
  double estimate_ms = 0;     ///< of the original on the nominal machine (graph::op_latencies_ns)
  bool takes_layers = false;  ///< it has a share: run_<model> computes its donors' layers as well
  double original_ms = 0;     ///< per frame, median over rounds, as all of these
  double bundle_ms = 0;
  double ratio = 1;  ///< bundle / original, within a round
  double original_cpu_ms = 0;
  double cpu_ratio = 1;  ///< as ratio, of the processor's time
};
/// @param original  the model's process, per round
/// @param bundle  the bundle's process, per round
/// @param index  of the model in Sample::alone
[[nodiscard]] Alone alone_of(const std::vector<Sample>& original, const std::vector<Sample>& bundle, std::size_t index);

/// The value below which `part` of the values lie, interpolated linearly; 0 where there are none.
[[nodiscard]] double quantile(std::vector<double> values, double part);

/// Bytes of GPU memory that the driver states for a process, from what `nvidia-smi --query-compute-apps=pid,used_memory
/// --format=csv,noheader,nounits` prints ("1234, 356", in MiB). Nothing where it does not name the process.
[[nodiscard]] std::optional<std::int64_t> driver_memory_from(const std::string& text, std::int64_t process);

}  // namespace repsim::measure
