#include "common_flags.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"

namespace repsim::cli {
namespace {

/// "repsim plan"
std::string command_of(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return (parent == nullptr ? "" : parent->get_name() + " ") + app.get_name();
}

std::string help_command(const CLI::App& app) { return command_of(app) + " --help"; }

std::vector<std::string> long_flags(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

/// The part of an argument before '='.
std::string flag_part(const std::string& argument) { return argument.substr(0, argument.find('=')); }

bool looks_like_flag(const std::string& argument) { return argument.size() > 1 && argument[0] == '-'; }

/// True for a flag of `app` whose value is the next argument.
bool takes_value(const CLI::App& app, const std::string& argument) {
  if (argument.find('=') != std::string::npos) return false;
  const CLI::Option* option = app.get_option_no_throw(argument);
  return option != nullptr && option->get_items_expected_max() > 0;
}

/// CLI11 takes the next argument as a flag's value whatever it is: `--video --out plan`.
void check_values_are_no_flags(const CLI::App& app, const std::vector<std::string>& flags) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) continue;
    for (const auto& value : option->results()) {
      if (std::find(flags.begin(), flags.end(), flag_part(value)) == flags.end()) continue;
      throw Error(ErrorKind::kUsage, "a value is missing: the flag " + value + " follows", option->get_name(),
                  help_command(app));
    }
  }
}

}  // namespace

void add_common_flags(CLI::App& app, CommonFlags& out) {
  app.add_flag("-q,--quiet", out.quiet, "Log warnings and errors only, show no progress")->group(kCommonGroup);
  app.add_flag("-v,--verbose", out.verbose, "Log more; -vv: everything")->group(kCommonGroup);
  app.add_flag("--log-json", out.log_json, "Log one JSON object per line")->group(kCommonGroup);
  static const std::vector<std::string> kProgress{"auto", "always", "never"};
  const auto set_progress = [&out](const std::string& text) {
    if (std::find(kProgress.begin(), kProgress.end(), text) == kProgress.end()) {
      throw Error(ErrorKind::kUsage, "unknown value '" + text + "'", "--progress", did_you_mean(text, kProgress));
    }
    out.progress = text;
  };
  app.add_option_function<std::string>("--progress", set_progress,
                                       "When to draw a progress bar on stderr (default auto: when it is a terminal)")
      ->type_name(join(kProgress, "|"))
      ->group(kCommonGroup);
  app.get_help_ptr()->group(kCommonGroup);
}

CLI::Option* add_whole_number(CLI::App& app, const std::string& flag, const std::string& value_name,
                              std::optional<std::int64_t>& out, const std::string& help) {
  const auto read = [flag, value_name, help, &out](const std::string& text) {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, value);
    if (text.empty() || error != std::errc{} || stopped != end)
      throw Error(ErrorKind::kUsage, "'" + text + "' is not a whole number", flag,
                  flag + " " + value_name + ": " + help);
    out = value;
  };
  return app.add_option_function<std::string>(flag, read, help)->type_name(value_name);
}

std::int64_t one_or_more(const std::optional<std::int64_t>& value, const char* flag, std::int64_t otherwise) {
  if (value && *value < 1) {
    throw Error(ErrorKind::kUsage, "the value is " + std::to_string(*value) + ", not 1 or more", flag);
  }
  return value.value_or(otherwise);
}

CLI::Option* add_number(CLI::App& app, const std::string& flag, const std::string& value_name,
                        std::optional<double>& out, const std::string& help) {
  const auto read = [flag, value_name, help, &out](const std::string& text) {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, value);
    if (text.empty() || error != std::errc{} || stopped != end || !std::isfinite(value))
      throw Error(ErrorKind::kUsage, "'" + text + "' is not a number", flag, flag + " " + value_name + ": " + help);
    out = value;
  };
  return app.add_option_function<std::string>(flag, read, help)->type_name(value_name);
}

CLI::Option* add_text(CLI::App& app, const std::string& flag, const std::string& value_name,
                      std::optional<std::string>& out, const std::string& help) {
  const auto read = [&out](const std::string& text) { out = text; };
  return app.add_option_function<std::string>(flag, read, help)->type_name(value_name);
}

CLI::Option* add_repeatable(CLI::App& app, const std::string& flag, const std::string& value_name,
                            std::vector<std::string>& out, const std::string& help) {
  return app.add_option(flag, out, help)->type_name(value_name)->allow_extra_args(false);
}

std::vector<std::string> guarded_arguments(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> result;
  const CLI::App* command = &app;  // the subcommand, once it was named
  bool names_only = false, is_value = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (!is_utf8(argument)) {
      throw input_error("the name is no UTF-8, so plan.json and logs cannot hold it", escape_bytes(argument),
                        "rename the file or folder, or name it by a link whose path is UTF-8");
    }
    if (!is_value && !names_only && argument == "--") {
      names_only = true;
      continue;
    }
    const bool has_brackets = argument.size() > 1 && argument.front() == '[' && argument.back() == ']';
    if (!is_value && (has_brackets || (names_only && looks_like_flag(argument)))) argument.insert(0, "./");
    const bool is_flag = !is_value && looks_like_flag(argument);
    if (command == &app && !is_value && !is_flag) {
      const auto is_named = [&argument](const CLI::App* one) { return one->get_name() == argument; };
      if (const auto named = app.get_subcommands(is_named); !named.empty()) command = named.front();
    }
    is_value = is_flag && (takes_value(app, argument) || takes_value(*command, argument));
    result.push_back(std::move(argument));
  }
  return result;
}

void check_leftovers(const CLI::App& app) {
  const std::vector<std::string> flags = long_flags(app);
  check_values_are_no_flags(app, flags);
  for (const auto& argument : app.remaining()) {
    if (looks_like_flag(argument)) {
      std::error_code ignored;
      const bool is_file = std::filesystem::exists(argument, ignored);
      throw Error(ErrorKind::kUsage, "unknown flag '" + flag_part(argument) + "'", command_of(app),
                  is_file                               ? "./" + argument + " names the file"
                  : closest(flag_part(argument), flags) ? did_you_mean(flag_part(argument), flags)
                                                        : help_command(app));
    }
    throw Error(ErrorKind::kUsage, "unexpected argument '" + argument + "'", command_of(app), help_command(app));
  }
}

}  // namespace repsim::cli
