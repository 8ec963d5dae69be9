#pragma once

#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "commands.hpp"
#include "common_flags.hpp"

namespace repsim::cli {

/// The whole command line: the table of subcommands with all their flags. Parsing, --help, man pages and completions
/// are made from it. The flags live as long as the object; jobs keep what they need.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CLI::App app;
  CommonFlags flags;
  std::vector<std::pair<CLI::App*, Job>> jobs;  ///< in the order of the table
};

}  // namespace repsim::cli
