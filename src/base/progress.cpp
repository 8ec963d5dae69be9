#include "repsim/base/progress.hpp"

#include "repsim/base/error.hpp"

namespace repsim {

void Progress::step(std::int64_t steps) {
  advance(steps);
  if (stop_requested()) throw Error(ErrorKind::kInterrupted, "interrupted");
}

}  // namespace repsim
