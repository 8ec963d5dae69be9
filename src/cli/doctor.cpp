#include "repsim/doctor.hpp"

#include <unistd.h>

#include <memory>

#include "cache_flag.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/version.hpp"
#include "setting_flags.hpp"
#include "terminal.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kDoctorFooter = R"(Examples:
  repsim doctor
  repsim doctor --device cuda --threads 8
  repsim doctor --json | jq -r '.checks[] | select(.health != "ok") | .remedy'

Each line is ok, warning or failure, the last two with what to do. A warning means that runs work, but
slower, without a cache, or not on every input; a failure means that they do not work (docs/doctor.md).
Exit codes: 0 nothing fails, 3 something does, 2 usage, 1 anything else.)";

struct DoctorFlags {
  std::optional<std::string> cache;
  SettingFlags settings;
  bool json = false;
};

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos) variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

pipeline::Surroundings surroundings_of(const DoctorFlags& flags) {
  pipeline::Surroundings surroundings;
  surroundings.environment = environment();
  surroundings.version = tool_version();
#ifndef __OPTIMIZE__
  surroundings.optimised = false;
#endif
  surroundings.cache = named_cache_folder(flags.cache);
  surroundings.cache_is_asked_for = flags.cache.has_value();
  config::Settings given;
  flags.settings.apply(given);
  surroundings.threads = given.threads;
  surroundings.device = given.device;
  return surroundings;
}

void run_doctor(const DoctorFlags& flags) {
  const std::vector<report::MachineCheck> checks = pipeline::examine_machine(surroundings_of(flags));
  const report::TextLayout layout{columns_of(Stream::kOut).value_or(report::TextLayout{}.columns),
                                  has_colours(Stream::kOut)};
  print_result(flags.json ? to_text(report::to_json(checks)) : report::to_text(checks, layout));
  if (report::health_of(checks) != report::Health::kFailure) return;
  throw input_error("this machine cannot run repsim as it is", "repsim doctor", "what the failures above say");
}

}  // namespace

Job setup_doctor(CLI::App& app) {
  auto flags = std::make_shared<DoctorFlags>();
  app.footer(kDoctorFooter);
  add_cache(app, flags->cache)->group("Settings");
  for (const char* key : {"threads", "device"}) flags->settings.add(app, "Settings", key);
  app.add_flag("--json", flags->json, "Print JSON instead of a table")->group("Output");
  return [flags](Progress&) { run_doctor(*flags); };
}

}  // namespace repsim::cli
