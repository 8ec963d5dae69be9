#include "repsim/base/memory.hpp"

#include <fstream>
#include <sstream>
#include <string>

namespace repsim {
namespace {

/// A line "VmRSS:   123456 kB" of what the kernel says of this process. getrusage() would do for the peak, but it
/// remembers what the process had before it became this program.
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

}  // namespace

std::int64_t resident_bytes() { return status_bytes("VmRSS:"); }

std::int64_t peak_resident_bytes() { return status_bytes("VmHWM:"); }

}  // namespace repsim
