#include "repsim/config.hpp"
#include "fuzz.hpp"

/// A config file; what can be read can be checked and written.
REPSIM_FUZZ_TARGET(config) {
  using namespace repsim;
  return fuzz::accept_errors([&] {
    const Json json = parse_json(std::string(fuzz::text_of(data, size)), "c.json");
    const config::Settings settings = config::settings_from_json(json, "c.json", "folder");
    static_cast<void>(to_text(config::settings_to_json(settings)));
    config::check(settings);
  });
}
