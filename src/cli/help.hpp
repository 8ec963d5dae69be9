#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace repsim::cli {

/// The text of --help: usage, arguments, flags by group (common ones last), subcommands, footer; at most 100 columns.
/// Has the form that CLI::App::formatter_fn wants.
[[nodiscard]] std::string help_text(const CLI::App* app, const std::string& name, CLI::AppFormatMode mode);

/// What `repsim` says when it is called with nothing.
[[nodiscard]] std::string short_usage();

}  // namespace repsim::cli
