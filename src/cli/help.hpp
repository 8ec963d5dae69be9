#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace repsim::cli {

/// The text of --help: usage, arguments, flags by group (common ones last), subcommands, footer; as wide as the
/// terminal, at most 100 columns. Has the form that CLI::App::formatter_fn wants.
[[nodiscard]] std::string help_text(const CLI::App* app, const std::string& name, CLI::AppFormatMode mode);

/// A part of the text below the flags.
struct FooterBlock {
  std::string heading;             ///< "Examples"; empty: none
  std::vector<std::string> lines;  ///< of a paragraph: one
  bool is_verbatim = false;        ///< indented lines that stay as they are
};
[[nodiscard]] std::vector<FooterBlock> footer_blocks(const std::string& footer);

/// The groups of flags in the order of the help, without hidden ones.
[[nodiscard]] std::vector<std::string> groups_of(const CLI::App& app);
/// "MODEL...", "PLAN"
[[nodiscard]] std::string argument_name(const CLI::Option& option);

/// The man page of the program or of one of its subcommands, as roff; made from what --help is made from.
[[nodiscard]] std::string man_page(const CLI::App& app);

/// What `repsim` says when it is called with nothing.
[[nodiscard]] std::string short_usage();

}  // namespace repsim::cli
