#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "machine_checks.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/machine.hpp"
#include "repsim/base/text.hpp"
#include "repsim/report.hpp"
#include "repsim/signature_cache.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using report::Health;
using report::human_bytes;
using report::MachineCheck;

constexpr std::int64_t kLittleSpace = 1'000'000'000;   // bytes: 256 frames of 640x640 take 315 MB per input
constexpr std::int64_t kLargeCache = 20'000'000'000;   // bytes
constexpr std::int64_t kLittleMemory = 1'000'000'000;  // bytes
constexpr rlim_t kFewFiles = 256;

/// Free bytes that an ordinary user may take; nothing where the system does not say.
std::optional<std::int64_t> free_bytes(const fs::path& folder) {
  std::error_code failed;
  const fs::space_info space = fs::space(folder, failed);
  if (failed) return std::nullopt;
  return static_cast<std::int64_t>(space.available);
}

std::string free_text(const std::optional<std::int64_t>& bytes) {
  return bytes ? ", " + human_bytes(*bytes) + " free" : "";
}

Json or_null(const std::optional<std::int64_t>& value) { return value ? Json(*value) : Json(); }

/// The folder itself, or the nearest one above it that is there.
fs::path nearest_existing(fs::path folder) {
  std::error_code ignored;
  while (!fs::exists(folder, ignored) && folder.has_parent_path() && folder != folder.parent_path())
    folder = folder.parent_path();
  return folder.empty() ? "." : folder;
}

/// Why nothing can be written below a folder, or empty.
std::string writing_problem(const fs::path& folder) {
  const fs::path existing = nearest_existing(folder);
  std::error_code ignored;
  if (!fs::is_directory(existing, ignored)) return existing.string() + " is no folder";
  if (access(existing.c_str(), W_OK | X_OK) != 0) return existing.string() + ": " + std::strerror(errno);
  return {};
}

void describe_entries(const Surroundings& surroundings, MachineCheck& check) {
  std::int64_t bytes = 0, damaged = 0;
  const std::vector<capture::CacheEntry> entries = capture::cache_entries(surroundings.cache);
  for (const capture::CacheEntry& entry : entries) {
    bytes += entry.bytes;
    if (!entry.file) ++damaged;
  }
  check.details["entries"] = entries.size();
  check.details["bytes"] = bytes;
  check.details["damaged"] = damaged;
  check.finding += ": " + std::to_string(entries.size()) + " entries, " + human_bytes(bytes);
  if (damaged > 0) {
    check.health = Health::kWarning;
    check.finding += ", " + std::to_string(damaged) + " of them damaged";
    check.remedy = "repsim cache gc";
  } else if (bytes > kLargeCache) {
    check.health = Health::kWarning;
    check.remedy = "repsim cache gc --max-bytes 5G";
  }
}

}  // namespace

MachineCheck check_cache(const Surroundings& surroundings) {
  MachineCheck check{"cache", Health::kOk, surroundings.cache, ""};
  if (surroundings.cache.empty()) {
    check.finding = "none: signatures are captured again in every run";
    check.health = surroundings.cache_is_asked_for ? Health::kOk : Health::kWarning;
    if (check.health == Health::kWarning) check.remedy = "set HOME or XDG_CACHE_HOME, or --cache DIR";
    return check;
  }
  check.details["folder"] = escape_bytes(surroundings.cache);
  const Health unusable = surroundings.cache_is_asked_for ? Health::kFailure : Health::kWarning;
  const fs::path entries = fs::path(surroundings.cache) / "signatures";
  const std::string problem = writing_problem(entries);
  check.details["writable"] = problem.empty();
  try {
    describe_entries(surroundings, check);
  } catch (const Error& error) {
    check.health = unusable;
    check.finding += ": " + error.problem();
    check.remedy = error.remedy();
  }
  if (!problem.empty()) {
    check.health = unusable;
    check.finding += "; it cannot be written: " + problem;
    check.remedy = "a folder that can be written: --cache DIR, or XDG_CACHE_HOME; or --cache none";
  }
  const auto space = problem.empty() ? free_bytes(nearest_existing(entries)) : std::nullopt;
  check.finding += free_text(space);
  check.details["free_bytes"] = or_null(space);
  return check;
}

MachineCheck check_temporary_files(const Surroundings& surroundings) {
  MachineCheck check{"temporary files", Health::kOk, "", ""};
  std::error_code failed;
  fs::path folder = fs::temp_directory_path(failed);
  const auto named = surroundings.environment.find("TMPDIR");
  if (failed && named != surroundings.environment.end()) folder = named->second;
  check.details["folder"] = escape_bytes(folder.string());
  check.finding = folder.string();
  try {
    if (failed) throw input_error(failed.message(), folder.string());
    const StagedDirectory probe(folder / ("repsim-doctor-" + std::to_string(getpid())), /*force=*/true);
    write_file_atomically(probe.path("probe"), "written");
  } catch (const Error& error) {
    check.health = Health::kFailure;
    check.finding += " cannot be written: " + error.problem();
    check.remedy = "TMPDIR=FOLDER with a folder that can be written: frames lie there while a command runs";
    return check;
  }
  const auto space = free_bytes(folder);
  const bool in_memory = is_in_memory(folder);
  check.details["free_bytes"] = or_null(space);
  check.details["in_memory"] = in_memory;
  check.finding += free_text(space) + (in_memory ? ", in memory: frames there count as memory" : "");
  if (space && *space < kLittleSpace) {
    check.health = Health::kWarning;
    check.remedy = "TMPDIR=FOLDER with more space: a run needs frames x width x height x 3 bytes per input of a model";
  } else if (in_memory) {
    check.health = Health::kWarning;
    check.remedy = "TMPDIR=FOLDER on a disk where memory is scarce";
  }
  return check;
}

MachineCheck check_memory() {
  std::optional<std::int64_t> available = available_memory();
  const std::optional<std::int64_t> limit = cgroup_memory_limit();
  MachineCheck check{
      "memory", Health::kOk, "", "", {{"available_bytes", or_null(available)}, {"limit_bytes", or_null(limit)}}};
  check.finding = available ? human_bytes(*available) + " available" : "how much is available is not known";
  if (limit) {
    check.finding += ", the container may use " + human_bytes(*limit);
    available = available ? std::min(*available, *limit) : *limit;
  }
  if (available && *available < kLittleMemory) {
    check.health = Health::kWarning;
    check.remedy = "end other programs, or --memory-limit (docs/performance.md)";
  }
  return check;
}

MachineCheck check_limits() {
  struct Limit {
    decltype(RLIMIT_AS) which;
    const char* name;
    const char* flag;
    rlim_t needed;
  };
  const Limit limits[] = {{RLIMIT_NOFILE, "open files", "-n", kFewFiles},
                          {RLIMIT_AS, "address space", "-v", RLIM_INFINITY},
                          {RLIMIT_FSIZE, "size of files", "-f", RLIM_INFINITY},
                          {RLIMIT_CPU, "CPU time", "-t", RLIM_INFINITY}};
  MachineCheck check{"limits", Health::kOk, "", ""};
  for (const Limit& limit : limits) {
    rlimit value{};
    if (getrlimit(limit.which, &value) != 0) continue;
    const bool unlimited = value.rlim_cur == RLIM_INFINITY;
    check.details[limit.name] = unlimited ? Json() : Json(value.rlim_cur);
    if (unlimited || (limit.needed != RLIM_INFINITY && value.rlim_cur >= limit.needed)) continue;
    check.health = Health::kWarning;
    check.finding += (check.finding.empty() ? "" : ", ") + std::string(limit.name) + " (ulimit " + limit.flag + ")";
  }
  if (check.health == Health::kOk) {
    check.finding = "none that a run could meet";
  } else {
    check.finding = "limited: " + check.finding;
    check.remedy = "raise these limits where a run ends with exit code 3 or 130";
  }
  return check;
}

}  // namespace repsim::pipeline
