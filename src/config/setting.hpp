#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "repsim/base/json_io.hpp"
#include "repsim/settings.hpp"

/// What the rows of the table can do. `std::visit` over SettingKind stands in the three files of these names only.
namespace repsim::config {

struct Problem {
  std::string problem, remedy;
};

/// Reads the member `name` of `reader` (nothing happens where it is absent). Ranges of whole numbers are judged, as
/// they may not fit into their variable; all others by problem_of().
/// @param base  anchors relative paths
/// @throws Error{kInput}
void read_setting(const Setting& setting, JsonReader& reader, const std::string& name,
                  const std::filesystem::path& base, Settings& out);

/// What is wrong with the setting's value by itself; nothing when all is well.
[[nodiscard]] std::optional<Problem> problem_of(const Setting& setting, const Settings& settings);
/// What is wrong with a number that is to become the value of a setting; nothing when all is well.
[[nodiscard]] std::optional<Problem> problem_of(const WholeNumber& kind, std::int64_t value);

/// The limits in words: "0 to 64", "1 or more".
[[nodiscard]] std::string range_of(const WholeNumber& kind);

/// The path as it can be opened from the working directory.
[[nodiscard]] std::string resolve(const std::string& path, const std::filesystem::path& base);

}  // namespace repsim::config
