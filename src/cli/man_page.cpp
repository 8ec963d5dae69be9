#include <algorithm>
#include <cctype>

#include "common_flags.hpp"
#include "help.hpp"
#include "repsim/base/version.hpp"

namespace repsim::cli {
namespace {

/// Text that roff shows as it is.
std::string roff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";  // can be copied as a minus
    } else if (c == '~') {
      result += "\\(ti";
    } else if (c == '^') {
      result += "\\(ha";
    } else if (c == '\'') {
      result += "\\(aq";
    } else if (c == '`') {
      result += "\\(ga";
    } else {
      result += c;
    }
  }
  if (result.starts_with(".")) result.insert(0, "\\&");
  return result;
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string entry(const std::string& head, const std::string& text) {
  return ".TP\n" + head + "\n" + roff(text) + "\n";
}

std::string flag_head(const CLI::Option& option) {
  std::string head;
  for (const std::string& name : option.get_snames()) head += bold("-" + name) + ", ";
  head += bold("--" + option.get_lnames().at(0));
  const std::string value = option.get_type_name();
  if (value.starts_with("[=")) return head + italic(value);
  return option.get_type_size() == 0 || value.empty() ? head : head + " " + italic(value);
}

std::string page_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : app.get_parent()->get_name() + "-" + app.get_name();
}

std::string command_name(const CLI::App& app) {
  return (app.get_parent() == nullptr ? "" : app.get_parent()->get_name() + " ") + app.get_name();
}

std::vector<const CLI::App*> subcommands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

/// "repsim plan [MODEL...] [flags]"
std::string synopsis(const CLI::App& app) {
  std::string text = bold(command_name(app));
  for (const CLI::Option* option : app.get_options([](const CLI::Option* o) { return o->get_positional(); }))
    text += " " + italic(argument_name(*option));
  if (!subcommands_of(app).empty()) text += " " + italic("SUBCOMMAND");
  return text + " [" + italic("flags") + "]\n";
}

std::string verbatim(const FooterBlock& block) {
  std::string text = ".PP\n.nf\n";
  for (const std::string& line : block.lines) text += roff(line) + "\n";
  return text + ".fi\n";
}

/// Where a part of the text below the flags belongs.
enum class Place { kDescription, kExamples, kExitStatus };

Place place_of(const FooterBlock& block) {
  if (block.heading.starts_with("Example")) return Place::kExamples;
  const bool has_codes =
      block.heading == "Exit codes" || (!block.is_verbatim && block.lines[0].starts_with("Exit codes:"));
  return has_codes ? Place::kExitStatus : Place::kDescription;
}

std::string footer_part(const CLI::App& app, Place place) {
  std::string text;
  for (const FooterBlock& block : footer_blocks(app.get_footer())) {
    if (place_of(block) != place) continue;
    if (place == Place::kDescription && !block.heading.empty()) text += ".PP\n" + roff(block.heading + ":") + "\n";
    if (block.is_verbatim) {
      text += verbatim(block);
      continue;
    }
    constexpr std::string_view kCodes = "Exit codes: ";
    const std::string& line = block.lines[0];
    text += ".PP\n" + roff(line.starts_with(kCodes) ? line.substr(kCodes.size()) : line) + "\n";
  }
  return text;
}

std::string section(const std::string& title, const std::string& text) {
  return text.empty() ? "" : ".SH " + title + "\n" + text;
}

std::string arguments_of(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options([](const CLI::Option* o) { return o->get_positional(); }))
    text += entry(italic(option->get_single_name()), option->get_description());
  return text;
}

std::string flags_of(const CLI::App& app) {
  std::string text;
  for (const std::string& group : groups_of(app)) {
    std::string flags;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_group() == group && option->nonpositional())
        flags += entry(flag_head(*option), option->get_description());
    }
    if (!flags.empty()) text += ".SS " + group + "\n" + flags;
  }
  return text;
}

std::string see_also(const CLI::App& app) {
  const bool is_program = app.get_parent() == nullptr;
  std::string text;
  for (const CLI::App* other : subcommands_of(is_program ? app : *app.get_parent())) {
    if (other == &app) continue;
    text += (text.empty() ? "" : ",\n") + std::string(".BR ") + roff(page_name(*other)) + " (1)";
  }
  return (is_program ? "" : ".BR repsim (1),\n") + text + "\n";
}

}  // namespace

std::string man_page(const CLI::App& app) {
  std::string subcommands;
  for (const CLI::App* subcommand : subcommands_of(app))
    subcommands += entry(bold(subcommand->get_name()), subcommand->get_description());
  const std::string help = app.get_description();
  const std::string prefix = "repsim: ";  // the program's description begins with its name
  const std::string summary = help.starts_with(prefix) ? help.substr(prefix.size()) : help;
  return ".TH " + upper(roff(page_name(app))) + " 1 \"\" \"repsim " + tool_version() + "\" \"repsim\"\n" +
         section("NAME", roff(page_name(app)) + " \\- " + roff(summary) + "\n") + section("SYNOPSIS", synopsis(app)) +
         section("DESCRIPTION", footer_part(app, Place::kDescription)) + section("ARGUMENTS", arguments_of(app)) +
         section("SUBCOMMANDS", subcommands) + section("OPTIONS", flags_of(app)) +
         section("EXAMPLES", footer_part(app, Place::kExamples)) +
         section("EXIT STATUS", footer_part(app, Place::kExitStatus)) + section("SEE ALSO", see_also(app));
}

}  // namespace repsim::cli
