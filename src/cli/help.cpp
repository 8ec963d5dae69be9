#include "help.hpp"

#include <algorithm>
#include <vector>

#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/text.hpp"

namespace repsim::cli {
namespace {

constexpr int kColumns = 100;
constexpr int kTextColumn = 30;  ///< where the explanations begin

/// "  left      text", the text wrapped and indented; on a line of its own when `left` is too long.
std::string entry(const std::string& left, const std::string& text) {
  const std::string indent(kTextColumn, ' ');
  std::string out, line = "  " + left;
  if (line.size() + 2 > indent.size()) {
    out += line + "\n";
    line.clear();
  }
  line.resize(indent.size(), ' ');
  if (text.empty()) return out + line + "\n";
  for (const std::string& part : wrap(text, kColumns - kTextColumn)) {
    out += line + part + "\n";
    line = indent;
  }
  return out;
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

std::string argument_name(const CLI::Option& option) {
  const bool several = option.get_expected_max() > 1;
  return option.get_single_name() + (several ? "..." : "");
}

std::vector<std::string> groups_of(const CLI::App& app) {
  std::vector<std::string> groups = app.get_groups();
  std::stable_partition(groups.begin(), groups.end(), [](const std::string& group) { return group != kCommonGroup; });
  return groups;
}

}  // namespace

std::string help_text(const CLI::App* app, const std::string& name, CLI::AppFormatMode /*mode*/) {
  std::string usage = "Usage: " + (name.empty() ? app->get_name() : name);
  std::string arguments;
  for (const CLI::Option* option : app->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    usage += " " + argument_name(*option);
    arguments += entry(option->get_single_name(), option->get_description());
  }
  const auto subcommands = app->get_subcommands([](const CLI::App*) { return true; });
  if (!subcommands.empty()) usage += " SUBCOMMAND";
  std::string text = app->get_description() + "\n\n" + usage + " [flags]\n";
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
  return text + (footer.empty() ? "" : "\n" + footer + "\n");
}

std::string short_usage() {
  std::string text = "Usage: repsim SUBCOMMAND [flags]\n\nSubcommands:\n";
  for (const Command& command : kCommands) text += entry(command.name, command.help);
  return text + "\nrepsim --help says more, repsim SUBCOMMAND --help all about one.\n";
}

}  // namespace repsim::cli
