#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

namespace repsim::cli {

/// --cache of every subcommand that captures.
CLI::Option* add_cache(CLI::App& app, std::optional<std::string>& out);

/// The folder that --cache names, or the default one; empty for "none". A default that cannot be written is a warning.
/// @throws Error{kInput} when the folder given cannot be made or written, Error{kUsage} when its path is empty
[[nodiscard]] std::string cache_folder(const std::optional<std::string>& flag);

/// Refuses what cache_folder() refuses, and makes nothing. @throws Error as it does
void check_cache_folder(const std::optional<std::string>& flag);

/// The folder of cache_folder(), which is neither made nor looked at. @throws Error{kUsage} when its path is empty
[[nodiscard]] std::string named_cache_folder(const std::optional<std::string>& flag);

/// The folder that `repsim cache` looks at; none is made. @throws Error{kUsage} where there is none to look at
[[nodiscard]] std::string existing_cache_folder(const std::optional<std::string>& flag);

}  // namespace repsim::cli
