#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include "command_line.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "crash_report.hpp"
#include "exit_codes.hpp"
#include "help.hpp"
#include "logging.hpp"
#include "progress.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/base/out_of_memory.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/torch_info.hpp"
#include "repsim/video.hpp"
#include "signals.hpp"
#include "terminal.hpp"

namespace {

using repsim::Error;
using repsim::ErrorKind;
namespace cli = repsim::cli;

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return cli::kExitUsage;
    case ErrorKind::kInput:
      return cli::kExitBadInput;
    case ErrorKind::kNothingToShare:
      return cli::kExitNothingToShare;
    case ErrorKind::kDrift:
      return cli::kExitDrift;
    case ErrorKind::kInterrupted:
      return cli::kExitInterrupted;
    case ErrorKind::kInternal:
      break;
  }
  return cli::kExitOther;
}

/// Layers of hundreds of megabytes come and go with every pass. Given back to the system each time, their pages would
/// be cleared and mapped again for a third of the time of a pass; kept, they even make the peak smaller.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
#endif
}

/// What, where, remedy: one line each, or one JSON object.
int report(const Error& error, cli::Terminal& terminal, bool json) {
  const int code = exit_code(error.kind());
  if (json) {
    using repsim::escape_bytes;
    const repsim::Json line{{"time", cli::utc_now()},
                            {"level", "error"},
                            {"message", escape_bytes(error.problem())},
                            {"where", escape_bytes(error.where())},
                            {"remedy", escape_bytes(error.remedy())},
                            {"exit_code", code}};
    terminal.line(line.dump());
    return code;
  }
  using repsim::printable;
  const bool interrupted = error.kind() == ErrorKind::kInterrupted;
  const std::string word = cli::emphasised("error:", cli::Emphasis::kError, cli::Stream::kError);
  terminal.line("repsim: " + (interrupted ? "" : word + " ") + printable(error.problem()));
  if (!error.where().empty()) terminal.line("  where:  " + printable(error.where()));
  if (!error.remedy().empty()) terminal.line("  remedy: " + printable(error.remedy()));
  return code;
}

Error out_of_memory() {
  return repsim::input_error(
      "out of memory", "", "--memory-limit, fewer --frames, a higher limit (ulimit -v), or a machine with more memory");
}

/// An exception that nobody turned into an Error: the system has no more to give, or it is a mistake of ours. Its
/// further lines are a backtrace.
Error unexpected(const std::exception& exception) {
  const std::string text = exception.what();
  if (repsim::is_out_of_memory(exception)) {
    spdlog::debug("{}", text);
    return out_of_memory();
  }
  const auto* system = dynamic_cast<const std::system_error*>(&exception);
  if (system != nullptr && system->code() == std::errc::resource_unavailable_try_again)
    return repsim::input_error("the system starts no further thread", "", "--threads 1, or a higher limit (ulimit -u)");
  const std::size_t line_end = text.find('\n');
  if (line_end != std::string::npos) spdlog::debug("{}", text);
  return Error(ErrorKind::kInternal, "unexpected: " + text.substr(0, line_end), "",
               "this is a mistake in repsim: please report it with the command line and the output of -vv");
}

/// The command line as parsed: the job of the subcommand, to be run when CLI11 has returned.
struct Parsed {
  cli::Job job;
  cli::CommonFlags flags;
  std::chrono::seconds grace{};
};

/// @throws Error{kUsage} where a word stands in the place of a subcommand
void check_is_no_other_word(const CLI::App& app) {
  if (!app.get_subcommands().empty()) return;
  std::vector<std::string> names;
  for (const cli::Command& command : cli::kCommands) names.emplace_back(command.name);
  for (const std::string& argument : app.remaining()) {
    if (argument[0] == '-') continue;
    throw Error(ErrorKind::kUsage, "unknown subcommand '" + argument + "'", "", repsim::did_you_mean(argument, names));
  }
}

void check_subcommand(const CLI::App& app) {
  if (!app.get_subcommands().empty()) return;
  check_is_no_other_word(app);
  cli::check_leftovers(app);
  throw Error(ErrorKind::kUsage, "no subcommand is given", "", "repsim --help");
}

/// `repsim help plan`, as other tools have it, is `repsim plan --help`.
std::vector<std::string> with_help_flag(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments.front() != "help") return arguments;
  arguments.erase(arguments.begin());
  arguments.emplace_back("--help");
  return arguments;
}

/// CLI11's complaints are "--frames: 1 required N missing" and "--frames: At Most 1 required but received 2".
Error usage_error(const CLI::ParseError& error) {
  const std::string text = error.what();
  const std::size_t colon = text.find(": ");
  const char* remedy = "repsim --help, repsim SUBCOMMAND --help";
  if (colon == std::string::npos || text[0] != '-') return Error(ErrorKind::kUsage, text, "", remedy);
  const bool missing = text.find(" missing", colon) != std::string::npos;
  const std::string problem = missing ? "a value is missing" : "this flag is given more than once";
  return Error(ErrorKind::kUsage, error.get_name() == "ArgumentMismatch" ? problem : text.substr(colon + 2),
               text.substr(0, colon), remedy);
}

std::chrono::seconds grace_of(const std::string& subcommand) {
  const auto command = std::find_if(cli::kCommands.begin(), cli::kCommands.end(),
                                    [&](const cli::Command& one) { return one.name == subcommand; });
  return command == cli::kCommands.end() ? cli::kGrace : command->grace;
}

/// @returns nothing to do when help or the version was asked for, and printed
Parsed parse(int argc, const char* const* argv) {
  cli::CommandLine line;
  try {
    std::vector<const char*> guarded{"repsim"};
    const std::vector<std::string> arguments = with_help_flag(cli::guarded_arguments(line.app, argc, argv));
    for (const std::string& argument : arguments) guarded.push_back(argument.c_str());
    line.app.parse(static_cast<int>(guarded.size()), guarded.data());
  } catch (const CLI::CallForHelp&) {
    check_is_no_other_word(line.app);
    cli::print_result(line.app.help());
    return {};
  } catch (const CLI::CallForVersion& version) {
    cli::print_result(version.what());
    return {};
  } catch (const CLI::ParseError& error) {
    throw usage_error(error);
  }
  check_subcommand(line.app);
  Parsed parsed{{}, line.flags, {}};
  for (const auto& [sub, job] : line.jobs) {
    if (!sub->parsed()) continue;
    cli::check_leftovers(*sub);
    parsed.job = job;
    parsed.grace = grace_of(sub->get_name());
  }
  cli::check_leftovers(line.app);
  return parsed;
}

void run(int argc, const char* const* argv, const std::shared_ptr<cli::Terminal>& terminal) {
  const Parsed parsed = parse(argc, argv);
  if (!parsed.job) return;
  cli::set_up_logging(parsed.flags, terminal);
  cli::install_stop_signals(parsed.flags.log_json, parsed.grace);
  cli::install_crash_report(parsed.flags.log_json);
  repsim::video::silence_opencv();
  repsim::session::log_torch_output();
  cli::CommandProgress progress(cli::progress_form(parsed.flags), terminal);
  parsed.job(progress);
}

/// The whole program. @returns its exit code
int run_program(int argc, const char* const* argv) {
  const auto terminal = std::make_shared<cli::Terminal>();
  if (argc < 2) {
    std::fputs(cli::short_usage().c_str(), stderr);
    return exit_code(ErrorKind::kUsage);
  }
  // Also when the command line is what is wrong: whoever reads the log as JSON reads the complaint as JSON.
  const bool json =
      std::any_of(argv + 1, argv + argc, [](const char* text) { return std::string(text) == "--log-json"; });
  try {
    run(argc, argv, terminal);
    return 0;
  } catch (const Error& error) {
    return report(error, *terminal, json);
  } catch (const std::bad_alloc&) {
    return report(out_of_memory(), *terminal, json);
  } catch (const std::exception& exception) {
    return report(unexpected(exception), *terminal, json);
  }
}

}  // namespace

int main(int argc, char** argv) {
  cli::survive_surroundings();
  if (!cli::is_measured_process(argc, argv)) keep_freed_memory();
  const int code = run_program(argc, argv);
#ifdef __SANITIZE_ADDRESS__
  return code;  // the leak detector runs at the end
#else
  // Without the destructors of static objects: LibTorch's take two fifths of the time of a run that only refuses its
  // command line, and nothing is left for them to do.
  std::fflush(nullptr);
  std::_Exit(code);
#endif
}
