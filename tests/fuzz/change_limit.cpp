#include "fuzz.hpp"
#include "repsim/plan_diff.hpp"

/// The text of --fail-if.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(repsim::report::parse_change_limit(std::string(repsim::fuzz::text_of(data, size))));
  return 0;
}
