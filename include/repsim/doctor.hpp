#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/base/words.hpp"
#include "repsim/settings.hpp"

/// `repsim doctor`: what of this machine helps or hinders a run. No torch in this header.
namespace repsim::report {

enum class Health {
  kOk,
  kWarning,  ///< runs work, but slower, without a cache, or not on every input
  kFailure,  ///< runs do not work
};
inline constexpr auto kHealthWords = std::to_array<Word<Health>>({
    {Health::kOk, "ok"},
    {Health::kWarning, "warning"},
    {Health::kFailure, "failure"},
});

/// One line of the examination.
struct MachineCheck {
  std::string name;  ///< "cache"; a fixed list (docs/doctor.md)
  Health health = Health::kOk;
  std::string finding;            ///< one sentence without a final stop
  std::string remedy;             ///< what to do; empty only where all is well
  Json details = Json::object();  ///< the same for programs
};

/// How text is laid out on a terminal.
struct TextLayout {
  int columns = 100;
  bool colours = false;
};

/// A line per check, its remedy below it, and a last line that counts. Final newline.
[[nodiscard]] std::string to_text(std::span<const MachineCheck> checks, const TextLayout& layout);
[[nodiscard]] Json to_json(std::span<const MachineCheck> checks);
/// The worst of all; ok for none.
[[nodiscard]] Health health_of(std::span<const MachineCheck> checks);

}  // namespace repsim::report

namespace repsim::pipeline {

/// What an examination has to know of the surroundings, which no stage reads by itself.
struct Surroundings {
  std::map<std::string, std::string> environment;  ///< all variables
  std::string version;                             ///< of the program
  bool optimised = true;                           ///< the program was compiled with optimisation
  std::string cache;                               ///< its folder; empty: none
  bool cache_is_asked_for = false;                 ///< the user named it, so a run without it fails
  int threads = 0;                                 ///< as in Settings
  config::Device device;                           ///< as in Settings
};

/// Looks at libraries, processor, threads, devices, codecs, cache, memory and space. Writes one small temporary file
/// and removes it. Never throws for what it finds. Cost: less than a second, plus reading the heads of the cache's
/// entries.
[[nodiscard]] std::vector<report::MachineCheck> examine_machine(const Surroundings& surroundings);

}  // namespace repsim::pipeline
