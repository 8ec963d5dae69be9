#include "settings_flags.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "common_flags.hpp"
#include "model_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/signature_cache.hpp"

namespace repsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNone = "none";

/// Where the XDG base directory specification puts caches; empty where the environment does not say.
fs::path default_cache_folder() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && fs::path(xdg).is_absolute())
    return fs::path(xdg) / "repsim";  // relative ones are to be ignored
  const char* home = std::getenv("HOME");
  if (home != nullptr && fs::path(home).is_absolute()) return fs::path(home) / ".cache" / "repsim";
  return {};
}

}  // namespace

config::Settings settings_from_files(const std::optional<std::string>& config_path,
                                     const std::vector<std::string>& set) {
  Json config = Json::object();
  fs::path base;
  std::string file = "--set";
  if (config_path) {
    config = read_json(*config_path);
    base = fs::path(*config_path).parent_path();
    file = *config_path;
  }
  Json changed = config;
  for (const auto& assignment : set) config::apply_override(changed, assignment);
  try {
    return config::settings_from_json(changed, file, base);
  } catch (const Error& error) {
    if (set.empty()) throw;
    // A config that is well without --set makes this the command line's mistake.
    static_cast<void>(config::settings_from_json(config, file, base));
    const std::string where = config_path ? "--set on " + error.where() : error.where();
    throw Error(ErrorKind::kUsage, error.problem(), where, error.remedy());
  }
}

void apply_models(const std::vector<std::string>& models, const std::vector<std::string>& named_models,
                  config::Settings& settings) {
  std::vector<NamedPath> given;
  for (const auto& path : models) given.push_back({fs::path(path).stem().string(), path});
  for (const auto& text : named_models) given.push_back(parse_named_path(text));
  check_unique(given);
  std::vector<model::ModelSpec> before;
  std::vector<std::string> sources_before;
  if (!models.empty()) {
    before.swap(settings.models);
    sources_before.swap(settings.input_sources);
  }
  for (const auto& [name, path] : given) {
    const auto same = [&name = name](const model::ModelSpec& spec) { return spec.name == name; };
    if (const auto found = std::find_if(settings.models.begin(), settings.models.end(), same);
        found != settings.models.end()) {
      found->path = path;
      continue;
    }
    model::ModelSpec spec;
    std::string source;
    if (const auto found = std::find_if(before.begin(), before.end(), same); found != before.end()) {
      spec = *found;
      source = sources_before[static_cast<std::size_t>(found - before.begin())];
    }
    spec.name = name;
    spec.path = path;
    settings.models.push_back(std::move(spec));
    settings.input_sources.push_back(std::move(source));
  }
}

CLI::Option* add_cache(CLI::App& app, std::optional<std::string>& out) {
  return add_text(app, "--cache", "DIR", out,
                  "Where signatures are kept, so that the next run need not capture them again; none: nowhere "
                  "(default: $XDG_CACHE_HOME/repsim, else ~/.cache/repsim)");
}

CLI::Option* add_memory_limit(CLI::App& app, std::optional<std::int64_t>& out) {
  const auto read = [&out](const std::string& text) {
    out = config::parse_bytes(text);
    if (out) return;
    throw Error(ErrorKind::kUsage, "'" + text + "' is no size", "--memory-limit",
                "bytes: --memory-limit 1500000000, or 800M, 1.5G");
  };
  return app
      .add_option_function<std::string>("--memory-limit", read,
                                        "Peak of the process's memory to stay below (800M, 2G), where it can: less is "
                                        "kept and more computed again, with the same results (default: no limit)")
      ->type_name("BYTES");
}

std::string cache_folder(const std::optional<std::string>& flag) {
  if (flag && flag->empty())
    throw Error(ErrorKind::kUsage, "the path is empty", "--cache", "--cache DIR, or --cache none");
  if (flag && *flag == kNone) return {};
  const fs::path folder = flag ? fs::path(*flag) : default_cache_folder();
  if (folder.empty()) {
    log::debug("no cache: neither XDG_CACHE_HOME nor HOME names a folder");
    return {};
  }
  try {
    const capture::SignatureCache probe(folder);
  } catch (const Error& error) {
    if (flag) throw;
    log::warn("nothing is cached: " + error.where() + ": " + error.problem());
    return {};
  }
  return folder.string();
}

std::string existing_cache_folder(const std::optional<std::string>& flag) {
  if (flag && (flag->empty() || *flag == kNone))
    throw Error(ErrorKind::kUsage, "'" + *flag + "' is no folder of a cache", "--cache", "--cache DIR");
  const fs::path folder = flag ? fs::path(*flag) : default_cache_folder();
  if (folder.empty()) {
    throw Error(ErrorKind::kUsage, "neither XDG_CACHE_HOME nor HOME names a folder", "repsim cache", "--cache DIR");
  }
  return folder.string();
}

void add_frames(CLI::App& app, std::optional<std::int64_t>& frames, std::optional<double>& holdout,
                const std::string& holdout_help) {
  const config::Settings defaults;
  add_whole_number(app, "--frames", "N", frames,
                   fmt::format("Frames sampled evenly over the video (default {})", defaults.frames))
      ->group("Video");
  add_number(app, "--holdout", "F", holdout, fmt::format("{} (default {})", holdout_help, defaults.holdout))
      ->group("Video");
}

}  // namespace repsim::cli
