#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "repsim/base/json_io.hpp"
#include "repsim/settings.hpp"

/// What values settings may have, wherever they come from. The config reader names the field, check() names the flag.
namespace repsim::config {

/// Complains about a value: `field` as the config names it ("frames.count", "models[0].input.width"). Throws.
using Complain = std::function<void(const std::string& field, const std::string& problem, const std::string& remedy)>;

/// Everything that can be judged value by value; what is still absent is no mistake here (see check()).
void check_values(const Settings& settings, const Complain& complain);

/// The part of it about models: names, paths, inputs, outputs.
void check_models(const Settings& settings, const Complain& complain);

/// The member of the spec that is out of range, and what is wrong with it; nothing when all is well.
[[nodiscard]] std::optional<std::pair<std::string, std::string>> problem_of(const model::InputSpec& spec);

/// Reads the list `models` of a config. @throws Error{kInput}
void read_models(JsonReader& reader, const std::filesystem::path& base, Settings& out);

/// Passes over the member "//", a comment: a text or a list of texts. @throws Error{kInput} for other values
void read_comment(JsonReader& reader);

/// What a size in bytes looks like.
[[nodiscard]] std::string size_remedy();
/// "models[2]"
[[nodiscard]] std::string model_field(std::size_t index);

}  // namespace repsim::config
