#include "help.hpp"

#include <algorithm>
#include <sstream>
#include <vector>

#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/text.hpp"
#include "terminal.hpp"

namespace repsim::cli {
namespace {

constexpr int kColumns = 100;   ///< at most
constexpr int kNarrowest = 60;  ///< below it lines break in the terminal
constexpr int kUsual = 80;      ///< narrower terminals have explanations below flags

/// Columns of the help: those of the terminal, within limits.
int columns() { return std::clamp(columns_of(Stream::kOut).value_or(kColumns), kNarrowest, kColumns); }

/// Where the explanations begin.
int text_column() { return columns() < kUsual ? 8 : 30; }

/// "  left      text", the text wrapped and indented; on a line of its own when `left` is too long.
std::string entry(const std::string& left, const std::string& text) {
  const std::string indent(static_cast<std::size_t>(text_column()), ' ');
  std::string out, line = "  " + left;
  if (line.size() + 2 > indent.size()) {
    out += line + "\n";
    line.clear();
  }
  line.resize(indent.size(), ' ');
  if (text.empty()) return out + line + "\n";
  for (const std::string& part : wrap(text, columns() - text_column())) {
    out += line + part + "\n";
    line = indent;
  }
  return out;
}

/// The text below the flags, broken where the terminal is narrow.
std::string footer_text(const std::string& footer) {
  if (columns() >= kColumns) return footer + "\n";
  std::string text;
  for (const FooterBlock& block : footer_blocks(footer)) {
    if (!text.empty()) text += "\n";
    if (!block.heading.empty()) text += block.heading + ":\n";
    for (const std::string& line : block.lines) {
      for (const std::string& part : block.is_verbatim ? std::vector{line} : wrap(line, columns())) text += part + "\n";
    }
  }
  return text;
}

/// "-q, --quiet" or "    --frames N": long names line up.
std::string flag_names(const CLI::Option& option) {
  std::string text = option.get_snames().empty() ? "    " : "-" + option.get_snames()[0] + ", ";
  text += "--" + option.get_lnames().at(0);
  const std::string value = option.get_type_name();
  // "[=json]" is a value that may be left out, of a flag.
  if (value.starts_with("[=")) return text + value;
  if (option.get_type_size() != 0 && !value.empty()) text += " " + value;
  return text;
}

}  // namespace

std::vector<std::string> groups_of(const CLI::App& app) {
  std::vector<std::string> groups = app.get_groups();
  std::erase(groups, std::string());  // of hidden flags
  std::stable_partition(groups.begin(), groups.end(), [](const std::string& group) { return group != kCommonGroup; });
  return groups;
}

std::string argument_name(const CLI::Option& option) {
  const bool several = option.get_expected_max() > 1;
  return option.get_single_name() + (several ? "..." : "");
}

std::vector<FooterBlock> footer_blocks(const std::string& footer) {
  std::vector<FooterBlock> blocks;
  std::istringstream stream(footer);
  bool begins = true;
  for (std::string line; std::getline(stream, line);) {
    const bool is_verbatim = line.starts_with("  ");
    if (line.empty()) {
      begins = true;
    } else if (is_verbatim && !blocks.empty()) {
      // A heading is the paragraph before that ends with a colon.
      if (!blocks.back().is_verbatim) {
        std::string& last = blocks.back().lines.back();
        const std::size_t sentence = last.rfind(". ");
        const std::size_t begin = sentence == std::string::npos ? 0 : sentence + 2;
        FooterBlock block{"", {}, true};
        if (last.ends_with(":")) {
          block.heading = last.substr(begin, last.size() - begin - 1);
          last.erase(sentence == std::string::npos ? 0 : sentence + 1);
          if (last.empty()) blocks.pop_back();
        }
        blocks.push_back(std::move(block));
      }
      blocks.back().lines.push_back(line);
    } else if (begins || blocks.empty() || blocks.back().is_verbatim || line.starts_with("Exit codes: ")) {
      blocks.push_back({"", {line}, false});
    } else {
      blocks.back().lines.back() += " " + line;
    }
    begins = begins && line.empty();
  }
  return blocks;
}

std::string help_text(const CLI::App* app, const std::string& name, CLI::AppFormatMode /*mode*/) {
  std::string usage = "Usage: " + (name.empty() ? app->get_name() : name);
  std::string arguments;
  for (const CLI::Option* option : app->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    usage += " " + argument_name(*option);
    arguments += entry(option->get_single_name(), option->get_description());
  }
  const auto subcommands = app->get_subcommands([](const CLI::App*) { return true; });
  if (!subcommands.empty()) usage += " SUBCOMMAND";
  std::string text = join(wrap(app->get_description(), columns()), "\n") + "\n\n" + usage + " [flags]\n";
  if (!arguments.empty()) text += "\nArguments:\n" + arguments;
  if (!subcommands.empty()) text += "\nSubcommands:\n";
  for (const CLI::App* subcommand : subcommands) text += entry(subcommand->get_name(), subcommand->get_description());
  for (const auto& group : groups_of(*app)) {
    std::string flags;
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_group() != group || !option->nonpositional()) continue;
      flags += entry(flag_names(*option), option->get_description());
    }
    if (!flags.empty()) text += "\n" + group + ":\n" + flags;
  }
  const std::string footer = app->get_footer();
  return text + (footer.empty() ? "" : "\n" + footer_text(footer));
}

std::string short_usage() {
  std::string text = "Usage: repsim SUBCOMMAND [flags]\n\nSubcommands:\n";
  for (const Command& command : kCommands) text += entry(command.name, command.help);
  return text + "\nrepsim --help says more, repsim SUBCOMMAND --help all about one.\n";
}

}  // namespace repsim::cli
