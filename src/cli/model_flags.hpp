#pragma once

#include <string>
#include <vector>

#include "repsim/model_spec.hpp"

/// The flags that describe models, shared by plan and inspect.
namespace repsim::cli {

struct NamedPath {
  std::string name, path;
};

/// "NAME=PATH". @throws Error{kUsage}
[[nodiscard]] NamedPath parse_named_path(const std::string& text);

/// @throws Error{kUsage} when two have one name: shows how to name them
void check_unique(const std::vector<NamedPath>& models);

/// `--input [NAME=]SPEC`: one with a name wins over one without. `sources`, parallel to `models`, becomes "flags" where
/// one applies. @throws Error{kUsage} for unknown names, bad specs, and two flags for the same model
void apply_inputs(const std::vector<std::string>& texts, std::vector<model::ModelSpec>& models,
                  std::vector<std::string>& sources);

/// `--format [NAME=]FORMAT`, by the same rules.
void apply_formats(const std::vector<std::string>& texts, std::vector<model::ModelSpec>& models);

/// What --help says about the SPEC of --input.
[[nodiscard]] std::string input_help();

/// "auto, boxes-scores-labels, ..., tensor"
[[nodiscard]] std::string format_list();

}  // namespace repsim::cli
