#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/settings.hpp"

/// From files and arguments to settings: what plan, validate, capture and similarity have in common.
namespace repsim::cli {

/// Defaults, then the config file, then `--set`. @throws Error
[[nodiscard]] config::Settings settings_from_files(const std::optional<std::string>& config_path,
                                                   const std::vector<std::string>& set);

/// `--set` on a config that is there already. @param file  names it in errors; empty: there is none
/// @param base  folder to which paths in it are relative
[[nodiscard]] config::Settings settings_from_config(const Json& config, const std::string& file,
                                                    const std::filesystem::path& base,
                                                    const std::vector<std::string>& set);

/// Positional models, which replace those of the config but keep what it says of them, and `--model NAME=PATH`.
void apply_models(const std::vector<std::string>& models, const std::vector<std::string>& named_models,
                  config::Settings& settings);

}  // namespace repsim::cli
