#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "repsim/pipeline.hpp"

/// From flags to settings: what plan, capture and similarity have in common.
namespace repsim::cli {

/// Defaults, then the config file, then `--set`. @throws Error
[[nodiscard]] config::Settings settings_from_files(const std::optional<std::string>& config_path,
                                                   const std::vector<std::string>& set);

/// Positional models, which replace those of the config but keep what it says of them, and `--model NAME=PATH`.
void apply_models(const std::vector<std::string>& models, const std::vector<std::string>& named_models,
                  config::Settings& settings);

/// --cache, the same for every subcommand that captures.
CLI::Option* add_cache(CLI::App& app, std::optional<std::string>& out);

/// --memory-limit, the same for every subcommand that runs models. @throws Error{kUsage} where it is no size
CLI::Option* add_memory_limit(CLI::App& app, std::optional<std::int64_t>& out);

/// The folder that --cache names, or the default one; empty for "none". A default that cannot be written is a warning.
/// @throws Error{kInput} when the folder given cannot be made or written, Error{kUsage} when its path is empty
[[nodiscard]] std::string cache_folder(const std::optional<std::string>& flag);

/// The same for `repsim cache`, which makes no folder. @throws Error{kUsage} where there is none to look at
[[nodiscard]] std::string existing_cache_folder(const std::optional<std::string>& flag);

/// --frames and --holdout with their defaults, the same for every subcommand that samples a video.
/// @param holdout_help  what the last part of the frames is for
void add_frames(CLI::App& app, std::optional<std::int64_t>& frames, std::optional<double>& holdout,
                const std::string& holdout_help);

}  // namespace repsim::cli
