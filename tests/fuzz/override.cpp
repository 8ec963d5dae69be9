#include "fuzz.hpp"
#include "repsim/config.hpp"

/// Assignments of --set, one per line, on a small config.
REPSIM_FUZZ_TARGET(override) {
  using namespace repsim;
  return fuzz::accept_errors([&] {
    Json json = Json::parse(R"({"models": [{"path": "a.pt"}], "merge": {"min_fidelity": 0.9}})");
    std::string_view text = fuzz::text_of(data, size);
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      config::apply_override(json, std::string(text.substr(0, end)));
      if (end == std::string_view::npos) break;
      text.remove_prefix(end + 1);
    }
    static_cast<void>(config::settings_from_json(json, "--set", {}));
  });
}
