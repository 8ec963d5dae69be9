#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What the system says of the machine that the process runs on. Linux; elsewhere most of it is not known.
namespace repsim {

struct Cpu {
  std::string model;                      ///< "AMD EPYC 7763 64-Core Processor"; empty: not known
  std::vector<std::string> instructions;  ///< vector instructions that matter here: "avx2", "fma"
};
/// Reads the text of /proc/cpuinfo.
[[nodiscard]] Cpu cpu_from(std::string_view cpuinfo);
[[nodiscard]] Cpu cpu();

/// Cores on which the process may run; 0: not known.
[[nodiscard]] int usable_cores();

/// Cores' worth of time that a cgroup grants, from the text of its cpu.max: "150000 100000" is 1.5. Nothing where there
/// is no limit, and for other texts.
[[nodiscard]] std::optional<double> quota_from(std::string_view cpu_max);
/// The smallest quota of the process's cgroup and those above it (cgroup v2).
[[nodiscard]] std::optional<double> cpu_quota();

/// Threads for a program that is told no number: that with which OMP_NUM_THREADS begins ("4", "4,2"), else a thread per
/// core, but no more than a quota grants whole cores. At least 1.
/// @param omp_num_threads  the variable's text; empty: not set
/// @param cores  0: not known
[[nodiscard]] int threads_from(std::string_view omp_num_threads, int cores, std::optional<double> quota);
/// The same for this process.
[[nodiscard]] int default_threads();

/// The smallest limit of the memory of the process's cgroup and those above it, in bytes (cgroup v2).
[[nodiscard]] std::optional<std::int64_t> cgroup_memory_limit();
/// Bytes that programs can still use without swapping, from the text of /proc/meminfo.
[[nodiscard]] std::optional<std::int64_t> available_memory_from(std::string_view meminfo);
[[nodiscard]] std::optional<std::int64_t> available_memory();

/// File names of the process's shared libraries that begin with `prefix`, sorted, each once.
[[nodiscard]] std::vector<std::string> loaded_libraries(std::string_view prefix);

/// Whether the files of this folder lie in memory (tmpfs, ramfs).
[[nodiscard]] bool is_in_memory(const std::filesystem::path& folder);

}  // namespace repsim
