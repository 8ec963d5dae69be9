#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "cache_flag.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"
#include "repsim/similarity_report.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kCacheFooter = R"(Actions:
  ls      list the entries, last used first
  gc      remove entries that are damaged, that another version of repsim made, or that are too old
          or too much by the flags below
  clear   remove all entries

Examples:
  repsim cache ls --json | jq '.entries[].model'
  repsim cache gc --max-age 7 --max-bytes 2G
  repsim cache clear --cache /scratch/repsim

An entry is found by what it was made from: bytes of model and video, frames, input, versions, CPU.
Removing one costs time, nothing else.
Exit codes: 0 done, 2 usage, 3 the cache cannot be read or changed, 1 anything else.)";

struct CacheFlags {
  std::string action;
  std::optional<std::string> cache, max_bytes;
  std::optional<std::int64_t> max_age;
  bool json = false;
};

capture::CacheLimits limits_of(const CacheFlags& flags) {
  capture::CacheLimits limits;
  limits.max_age_days = flags.max_age.value_or(limits.max_age_days);
  constexpr std::int64_t kMostDays = 36'500;
  if (limits.max_age_days < 0 || limits.max_age_days > kMostDays) {
    throw Error(ErrorKind::kUsage, fmt::format("the value is {}, not 0 to {}", limits.max_age_days, kMostDays),
                "--max-age");
  }
  if (flags.max_bytes) {
    limits.max_bytes = config::parse_bytes(*flags.max_bytes);
    if (!limits.max_bytes)
      throw Error(ErrorKind::kUsage, "'" + *flags.max_bytes + "' is no size", "--max-bytes", "--max-bytes 500M, or 2G");
  }
  return limits;
}

void run_cache(const CacheFlags& flags) {
  static const std::vector<std::string> kActions{"ls", "gc", "clear"};
  if (flags.action.empty())
    throw Error(ErrorKind::kUsage, "no action is given", "repsim cache", "repsim cache ls, gc or clear");
  if (std::find(kActions.begin(), kActions.end(), flags.action) == kActions.end()) {
    throw Error(ErrorKind::kUsage, "there is no action '" + flags.action + "'", "repsim cache",
                did_you_mean(flags.action, kActions));
  }
  if (flags.action != "gc" && (flags.max_age || flags.max_bytes)) {
    throw Error(ErrorKind::kUsage, "--max-age and --max-bytes say what gc keeps", "repsim cache " + flags.action,
                "repsim cache gc");
  }
  const std::string folder = existing_cache_folder(flags.cache);
  std::vector<capture::CacheEntry> entries;
  if (flags.action == "ls") entries = capture::cache_entries(folder);
  if (flags.action == "gc") entries = capture::collect_garbage(folder, limits_of(flags));
  if (flags.action == "clear") entries = capture::clear_cache(folder);
  if (flags.json) return print_result(to_text(report::to_json(entries)));
  const char* title = flags.action == "ls" ? "" : "Removed:\n";
  print_result(printable(folder) + "\n" + title + report::to_text(entries));
}

}  // namespace

Job setup_cache(CLI::App& app) {
  auto flags = std::make_shared<CacheFlags>();
  app.footer(kCacheFooter);
  app.add_option("ACTION", flags->action, "ls, gc or clear")->type_name("ls|gc|clear");
  add_text(app, "--cache", "DIR", flags->cache, "The cache (default: $XDG_CACHE_HOME/repsim, else ~/.cache/repsim)")
      ->group("Settings");
  add_whole_number(
      app, "--max-age", "DAYS", flags->max_age,
      fmt::format("gc: keep what was used in the last so many days (default {})", capture::CacheLimits{}.max_age_days))
      ->group("Settings");
  add_text(app, "--max-bytes", "BYTES", flags->max_bytes,
           "gc: keep so much, the last used entries (500M, 2G; default: any size)")
      ->group("Settings");
  app.add_flag("--json", flags->json, "Print JSON instead of a table: the entries, of gc and clear those removed")
      ->group("Output");
  return [flags](Progress&) { run_cache(*flags); };
}

}  // namespace repsim::cli
