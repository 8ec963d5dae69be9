#include "fuzz.hpp"
#include "repsim/plan_diff.hpp"

/// The text of --fail-if.
REPSIM_FUZZ_TARGET(change_limit) {
  static_cast<void>(repsim::report::parse_change_limit(std::string(repsim::fuzz::text_of(data, size))));
  return 0;
}
