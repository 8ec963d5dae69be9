#include "fuzz.hpp"
#include "repsim/config.hpp"

/// The text of --input: what can be read can be written as a flag that reads the same.
REPSIM_FUZZ_TARGET(input_flag) {
  using namespace repsim;
  return fuzz::accept_errors([&] {
    const auto [name, spec] = config::parse_input_flag(std::string(fuzz::text_of(data, size)));
    const auto [none, again] = config::parse_input_flag(model::input_flag(spec));
    fuzz::demand(none.empty() && model::input_flag(again) == model::input_flag(spec));
  });
}
