#include "../driver_memory.hpp"

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/spawn.hpp"
#include "repsim/measure.hpp"

namespace repsim::measure {

std::optional<std::int64_t> driver_memory(std::int64_t process, Progress& progress) {
  try {
    const ChildOutput output =
        run_program({"nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"}, progress);
    if (output.exit_code == 0) return driver_memory_from(output.out, process);
    log::debug("nvidia-smi: " + output.err);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    log::debug("nvidia-smi: " + error.problem());
  }
  return std::nullopt;
}

}  // namespace repsim::measure
