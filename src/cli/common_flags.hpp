#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace repsim::cli {

/// Flags that every subcommand has.
struct CommonFlags {
  bool quiet = false;
  int verbose = 0;  ///< how many -v
  bool log_json = false;
  std::string progress = "auto";  ///< "auto", "always", "never"
};

/// Group name of these flags (and of --help) in the help: it comes last.
inline constexpr const char* kCommonGroup = "Common";

void add_common_flags(CLI::App& app, CommonFlags& out);

/// A flag with a whole number; `value_name` is its placeholder in the help. What is not given stays empty.
/// Values that do not parse: Error{kUsage} that names the flag and the value.
CLI::Option* add_whole_number(CLI::App& app, const std::string& flag, const std::string& value_name,
                              std::optional<std::int64_t>& out, const std::string& help);
/// What add_whole_number() found, or `otherwise` where nothing is given.
/// @throws Error{kUsage} for a number below 1
[[nodiscard]] std::int64_t one_or_more(const std::optional<std::int64_t>& value, const char* flag,
                                       std::int64_t otherwise);
/// A flag with a number, as add_whole_number().
CLI::Option* add_number(CLI::App& app, const std::string& flag, const std::string& value_name,
                        std::optional<double>& out, const std::string& help);
/// A flag with any text. What is not given stays empty.
CLI::Option* add_text(CLI::App& app, const std::string& flag, const std::string& value_name,
                      std::optional<std::string>& out, const std::string& help);
/// A flag that may be given several times, one value each time.
CLI::Option* add_repeatable(CLI::App& app, const std::string& flag, const std::string& value_name,
                            std::vector<std::string>& out, const std::string& help);

/// The arguments (without the program's name) in a form in which CLI11 takes file names as they are: what follows "--"
/// is no flag, and it splits no name in brackets, "[a,b]", as a list. Such names get "./" before them.
/// @throws Error{kInput} for an argument that is no UTF-8: plan.json and logs could not name it
[[nodiscard]] std::vector<std::string> guarded_arguments(const CLI::App& app, int argc, const char* const* argv);

/// What was not understood of `app`'s own arguments: unknown flags (with 'did you mean'), a flag that stands where
/// another flag's value should, arguments too many. @throws Error{kUsage}
void check_leftovers(const CLI::App& app);

}  // namespace repsim::cli
