#include "common_flags.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"

namespace repsim::cli {
namespace {

/// "repsim plan"
std::string command_of(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return (parent == nullptr ? "" : parent->get_name() + " ") + app.get_name();
}

std::string help_command(const CLI::App& app) { return command_of(app) + " --help"; }

template <typename Number>
Number parse_value(const std::string& flag, const std::string& text, const char* expected) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stopped != end) {
    throw Error(ErrorKind::kUsage, "'" + text + "' is not " + expected, flag);
  }
  return value;
}

std::string joined(const std::vector<std::string>& words, const std::string& separator) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

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

/// CLI11 takes the next argument as a flag's value whatever it is: `--video --out plan`.
void check_values_are_no_flags(const CLI::App& app, const std::vector<std::string>& flags) {
  for (const CLI::Option* option : app.get_options()) {
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
      ->type_name(joined(kProgress, "|"))
      ->group(kCommonGroup);
  app.get_help_ptr()->group(kCommonGroup);
}

CLI::Option* add_whole_number(CLI::App& app, const std::string& flag, const std::string& value_name,
                              std::optional<std::int64_t>& out, const std::string& help) {
  const auto read = [flag, &out](const std::string& text) {
    out = parse_value<std::int64_t>(flag, text, "a whole number");
  };
  return app.add_option_function<std::string>(flag, read, help)->type_name(value_name);
}

CLI::Option* add_number(CLI::App& app, const std::string& flag, const std::string& value_name,
                        std::optional<double>& out, const std::string& help) {
  const auto read = [flag, &out](const std::string& text) {
    out = parse_value<double>(flag, text, "a number");
    if (!std::isfinite(*out)) throw Error(ErrorKind::kUsage, "'" + text + "' is not a finite number", flag);
  };
  return app.add_option_function<std::string>(flag, read, help)->type_name(value_name);
}

CLI::Option* add_text(CLI::App& app, const std::string& flag, const std::string& value_name,
                      std::optional<std::string>& out, const std::string& help) {
  const auto read = [&out](const std::string& text) { out = text; };
  return app.add_option_function<std::string>(flag, read, help)->type_name(value_name);
}

CLI::Option* add_choice(CLI::App& app, const std::string& flag, const std::vector<std::string>& choices,
                        std::optional<std::string>& out, const std::string& help) {
  const auto read = [flag, choices, &out](const std::string& text) {
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
      throw Error(ErrorKind::kUsage, "unknown value '" + text + "'", flag, did_you_mean(text, choices));
    }
    out = text;
  };
  return app.add_option_function<std::string>(flag, read, help)->type_name(joined(choices, "|"));
}

CLI::Option* add_repeatable(CLI::App& app, const std::string& flag, const std::string& value_name,
                            std::vector<std::string>& out, const std::string& help) {
  return app.add_option(flag, out, help)->type_name(value_name)->allow_extra_args(false);
}

CLI::Option* add_libraries(CLI::App& app, std::vector<std::string>& out) {
  return add_repeatable(
      app, "--library", "FILE", out,
      "A library of operators that models need beside Torch, libNAME.so (torchvision's is found where it "
      "is installed beside Torch)");
}

CLI::Option* add_threads(CLI::App& app, std::optional<int>& out) {
  const auto read = [&out](const std::string& text) {
    out = parse_value<int>("--threads", text, "a number of threads");
    if (*out < 0) throw Error(ErrorKind::kUsage, "'" + text + "' is not a number of threads", "--threads");
  };
  return app.add_option_function<std::string>("--threads", read, "CPU threads (default 0: as many as there are cores)")
      ->type_name("N");
}

CLI::Option* add_device(CLI::App& app, std::optional<std::string>& out) {
  return add_text(app, "--device", "DEVICE", out,
                  "What runs the models while layers are captured, fitted and candidates measured: cpu (default), "
                  "cuda (the first GPU), cuda:1");
}

void check_leftovers(const CLI::App& app) {
  const std::vector<std::string> flags = long_flags(app);
  check_values_are_no_flags(app, flags);
  for (const auto& argument : app.remaining()) {
    if (looks_like_flag(argument)) {
      throw Error(ErrorKind::kUsage, "unknown flag '" + flag_part(argument) + "'", command_of(app),
                  closest(flag_part(argument), flags) ? did_you_mean(flag_part(argument), flags) : help_command(app));
    }
    throw Error(ErrorKind::kUsage, "unexpected argument '" + argument + "'", command_of(app), help_command(app));
  }
}

}  // namespace repsim::cli
