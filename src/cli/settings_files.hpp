#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repsim/settings.hpp"

/// From files and arguments to settings: what plan, validate, capture and similarity have in common.
namespace repsim::cli {

/// Defaults, then the config file, then `--set`. @throws Error
[[nodiscard]] config::Settings settings_from_files(const std::optional<std::string>& config_path,
                                                   const std::vector<std::string>& set);

/// Positional models, which replace those of the config but keep what it says of them, and `--model NAME=PATH`.
void apply_models(const std::vector<std::string>& models, const std::vector<std::string>& named_models,
                  config::Settings& settings);

}  // namespace repsim::cli
