#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "repsim/settings.hpp"

namespace repsim::cli {

/// The flags of a command that are settings: rows of config::kSettings. The object outlives the parsing of `app`.
class SettingFlags {
 public:
  /// Adds the flag of one setting. Its value is judged while the command line is parsed, unless it is repeatable.
  /// @param group  of the help
  /// @param help  where the command has a better line than the table; "{}" in it becomes the default
  void add(CLI::App& app, const std::string& group, std::string_view key, std::string_view help = {});

  /// Adds the flags of all settings whose keys begin with `prefix`.
  void add_all(CLI::App& app, const std::string& group, std::string_view prefix);

  [[nodiscard]] bool given(std::string_view key) const;
  /// Whether none of the flags was given.
  [[nodiscard]] bool none_given() const;

  /// What was given wins over what is there. @throws Error{kUsage}
  void apply(config::Settings& settings) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> texts_;  ///< by key
};

}  // namespace repsim::cli
