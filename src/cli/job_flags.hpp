#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "setting_flags.hpp"

/// The flags that say which models do what on which video, shared by plan and validate.
namespace repsim::cli {

struct JobFlags {
  std::vector<std::string> models, named_models, inputs, formats, set;
  std::optional<std::string> config, out, cache;
  SettingFlags settings;
  bool force = false;
};

/// Defaults < config file < --set < these flags: the one place of this precedence. Ranges are not judged yet, and
/// --cache is not looked at (cache_folder() makes the folder).
/// @throws Error
[[nodiscard]] config::Settings settings_of_job(const JobFlags& flags);

/// MODEL, --model, --input, --format, --library.
void add_models(CLI::App& app, JobFlags& flags);
/// --config, --set, --threads, --device, --memory-limit, --cache, --seed.
/// @param seed_help  what the seed is of, where it is not that of a plan
void add_settings(CLI::App& app, JobFlags& flags, const std::string& seed_help = {});
/// --out, --force.
/// @param what  "the plan"
void add_out(CLI::App& app, JobFlags& flags, const std::string& what);

}  // namespace repsim::cli
