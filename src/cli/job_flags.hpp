#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "repsim/pipeline.hpp"

/// The flags that say which models do what on which video, shared by plan and validate.
namespace repsim::cli {

struct JobFlags {
  std::vector<std::string> models, named_models, inputs, formats, libraries, set, share, layers, exclude;
  std::optional<std::string> config, video, out, adapters, refit, truth, device, cache;
  std::optional<std::int64_t> frames, seed, memory_limit;
  std::optional<int> threads;
  std::optional<double> holdout;
  bool force = false;
};

/// What was given wins over what is there.
template <typename Value, typename Target>
void take(const std::optional<Value>& flag, Target& out) {
  if (flag) out = static_cast<Target>(*flag);
}
void take(const std::vector<std::string>& flag, std::vector<std::string>& out);

/// Defaults < config file < --set < these flags: the one place of this precedence. Ranges are not judged yet, and
/// --cache is not looked at (cache_folder() makes the folder).
/// @throws Error
[[nodiscard]] config::Settings settings_of_job(const JobFlags& flags);

/// "help (default value)"
[[nodiscard]] std::string with_default(const std::string& help, const std::string& value);

/// MODEL, --model, --input, --format, --library.
void add_models(CLI::App& app, JobFlags& flags);
/// --config, --set, --threads, --device, --memory-limit, --cache, --seed.
/// @param seed_help  what the seed is of
void add_settings(CLI::App& app, JobFlags& flags, const std::string& seed_help);
/// --out, --force.
/// @param what  "the plan"
void add_out(CLI::App& app, JobFlags& flags, const std::string& what);

}  // namespace repsim::cli
