#pragma once

#include <string>
#include <vector>

#include "job_flags.hpp"
#include "repsim/base/json_io.hpp"

/// `--print-config`: the effective settings of a command, and where each of them came from.
namespace repsim::cli {

struct EffectiveSetting {
  std::string key;  ///< as --set takes it: "merge.max_rank", "models.0.input"
  Json value;       ///< null: not set
  std::string origin;
};

/// The settings that `flags` give, in the order of configs; the folder of the cache last.
/// @throws Error as settings_of_job() does
[[nodiscard]] std::vector<EffectiveSetting> effective_settings(const JobFlags& flags);

/// A line per setting: key, value as JSON, origin.
[[nodiscard]] std::string settings_text(const std::vector<EffectiveSetting>& settings);

/// A config that reads back as the same settings from every folder: its paths are absolute. Where each value came from
/// stands in a comment. The cache is no setting of configs.
[[nodiscard]] Json to_config(const JobFlags& flags);

}  // namespace repsim::cli
