#include "repsim/base/memory.hpp"

#include <fstream>
#include <sstream>
#include <string>

#include "repsim/base/error.hpp"

namespace repsim {
namespace {

/// The value of a line such as "VmRSS:   123456 kB" that the kernel prints about this process. (getrusage() includes
/// the peak from before the process became this program.)
std::int64_t status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(name)) continue;
    std::int64_t kibibytes = 0;
    std::istringstream(line.substr(name.size())) >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

constexpr const char* kRollup = "/proc/self/smaps_rollup";

/// The value of a line such as "Pss_Anon:  1234 kB".
std::optional<std::int64_t> rollup_bytes(std::string_view text, const std::string& name) {
  const std::size_t line = text.find("\n" + name + ":");
  if (line == std::string_view::npos) return std::nullopt;
  std::istringstream stream(std::string(text.substr(line + name.size() + 2, 64)));
  std::int64_t kibibytes = 0;
  if (!(stream >> kibibytes)) return std::nullopt;
  return kibibytes * 1024;
}

}  // namespace

std::int64_t resident_bytes() { return status_bytes("VmRSS:"); }

std::int64_t peak_resident_bytes() { return status_bytes("VmHWM:"); }

bool reset_peak_resident_bytes() {
  constexpr const char* kResetPeak = "5";  // proc(5), clear_refs
  std::ofstream file("/proc/self/clear_refs");
  file << kResetPeak << std::flush;
  return file.good();
}

std::optional<MemoryUse> memory_use_from(std::string_view smaps_rollup) {
  const auto resident = rollup_bytes(smaps_rollup, "Rss"), proportional = rollup_bytes(smaps_rollup, "Pss"),
             anonymous = rollup_bytes(smaps_rollup, "Anonymous");
  if (!resident || !proportional || !anonymous) return std::nullopt;
  return MemoryUse{*resident, *proportional, *anonymous};
}

MemoryUse memory_use() {
  std::ifstream file(kRollup);
  std::ostringstream text;
  text << file.rdbuf();
  const std::optional<MemoryUse> use = memory_use_from(text.str());
  if (!use) throw input_error("the system does not say how much memory a process uses", kRollup, "Linux 4.14 or later");
  return *use;
}

}  // namespace repsim
