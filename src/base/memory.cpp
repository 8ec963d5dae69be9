#include "repsim/base/memory.hpp"

#include <fstream>
#include <sstream>
#include <string>

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

}  // namespace

std::int64_t resident_bytes() { return status_bytes("VmRSS:"); }

std::int64_t peak_resident_bytes() { return status_bytes("VmHWM:"); }

}  // namespace repsim
