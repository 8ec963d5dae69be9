#include "repsim/base/machine.hpp"

#include <link.h>
#include <sched.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

namespace repsim {
namespace {

namespace fs = std::filesystem;

/// The system's files have no size, and any of them may be missing. Empty: it is, or it cannot be read.
std::string system_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

/// The value of the first line "KEY : VALUE".
std::string_view value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && trimmed(line.substr(0, colon)) == key)
      return trimmed(line.substr(colon + 1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

template <typename Number>
std::optional<Number> number_from(std::string_view text) {
  Number number{};
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || stopped != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Calls `see` with the text of a file in the process's cgroup and in all that contain it.
void for_each_cgroup(const char* file, const std::function<void(const std::string&)>& see) {
  const std::string text = system_text("/proc/self/cgroup");
  const std::size_t begin = text.find("0::/");
  const fs::path root = "/sys/fs/cgroup";
  fs::path folder = root;
  if (begin != std::string::npos) {
    const std::size_t name = begin + 4;
    folder /= text.substr(name, text.find('\n', name) - name);
  }
  for (; folder.string().size() > root.string().size(); folder = folder.parent_path()) see(system_text(folder / file));
  see(system_text(root / file));
}

}  // namespace

Cpu cpu_from(std::string_view cpuinfo) {
  static constexpr std::array kMattering{"sse4_2",      "avx",      "fma",   "avx2", "avx512f",
                                         "avx512_vnni", "amx_tile", "asimd", "sve"};
  Cpu cpu{std::string(value_of(cpuinfo, "model name")), {}};
  std::string flags = " ";
  flags += value_of(cpuinfo, value_of(cpuinfo, "flags").empty() ? "Features" : "flags");
  flags += " ";
  for (const char* name : kMattering) {
    if (flags.find(" " + std::string(name) + " ") != std::string::npos) cpu.instructions.emplace_back(name);
  }
  return cpu;
}

Cpu cpu() { return cpu_from(system_text("/proc/cpuinfo")); }

int usable_cores() {
  cpu_set_t cores;
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 0;
}

std::optional<double> quota_from(std::string_view cpu_max) {
  cpu_max = trimmed(cpu_max);
  const std::size_t space = cpu_max.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto granted = number_from<double>(cpu_max.substr(0, space));
  const auto period = number_from<double>(cpu_max.substr(space + 1));
  if (!granted || !period || *granted <= 0 || *period <= 0) return std::nullopt;
  return *granted / *period;
}

std::optional<double> cpu_quota() {
  std::optional<double> least;
  for_each_cgroup("cpu.max", [&](const std::string& text) {
    const auto quota = quota_from(text);
    if (quota && (!least || *quota < *least)) least = quota;
  });
  return least;
}

int threads_from(std::string_view omp_num_threads, int cores, std::optional<double> quota) {
  const std::string_view first = trimmed(omp_num_threads.substr(0, omp_num_threads.find(',')));
  if (const auto asked = number_from<int>(first); asked && *asked >= 1) return *asked;
  const int granted = quota && *quota < cores ? static_cast<int>(*quota) : cores;
  return std::max(1, granted);
}

int default_threads() {
  const char* asked = std::getenv("OMP_NUM_THREADS");
  return threads_from(asked == nullptr ? "" : asked, usable_cores(), cpu_quota());
}

std::optional<std::int64_t> cgroup_memory_limit() {
  std::optional<std::int64_t> least;
  for_each_cgroup("memory.max", [&](const std::string& text) {
    const auto limit = number_from<std::int64_t>(trimmed(text));
    if (limit && (!least || *limit < *least)) least = limit;
  });
  return least;
}

std::optional<std::int64_t> available_memory_from(std::string_view meminfo) {
  constexpr std::int64_t kKibibyte = 1024;
  const std::string_view value = value_of(meminfo, "MemAvailable");
  const auto kibibytes = number_from<std::int64_t>(value.substr(0, value.find(' ')));
  if (!kibibytes) return std::nullopt;
  return *kibibytes * kKibibyte;
}

std::optional<std::int64_t> available_memory() { return available_memory_from(system_text("/proc/meminfo")); }

std::vector<std::string> loaded_libraries(std::string_view prefix) {
  std::set<std::string> names;
  const auto take = [](dl_phdr_info* info, std::size_t, void* data) {
    static_cast<std::set<std::string>*>(data)->insert(fs::path(info->dlpi_name).filename().string());
    return 0;
  };
  dl_iterate_phdr(take, &names);
  std::vector<std::string> found;
  std::copy_if(names.begin(), names.end(), std::back_inserter(found),
               [&](const std::string& name) { return name.starts_with(prefix); });
  return found;
}

bool is_in_memory(const fs::path& folder) {
  constexpr std::array kInMemory{0x01021994L, 0x858458f6L};  // TMPFS_MAGIC, RAMFS_MAGIC
  struct statfs about = {};
  if (statfs(folder.c_str(), &about) != 0) return false;
  return std::find(kInMemory.begin(), kInMemory.end(), static_cast<long>(about.f_type)) != kInMemory.end();
}

}  // namespace repsim
