#include "command_table.hpp"

#include <algorithm>
#include <sstream>

#include "repsim/config.hpp"
#include "repsim/model_spec.hpp"

namespace repsim::cli {
namespace {

using Kind = ValueHint::Kind;
constexpr std::string_view kOptionalName = "[NAME=]";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

ValueHint words(std::vector<std::string> all) { return {Kind::kWords, std::move(all)}; }
ValueHint of_kind(Kind kind) { return {kind, {}}; }

ValueHint named(ValueHint value, bool is_name_optional) {
  return {Kind::kModelEquals, std::move(value.words), value.kind == Kind::kFile, is_name_optional};
}

ValueHint hint(const config::WholeNumber& /*kind*/) { return {}; }
ValueHint hint(const config::Bytes& /*kind*/) { return {}; }
ValueHint hint(const config::Number& /*kind*/) { return {}; }
ValueHint hint(const config::OnOff& /*kind*/) { return words({"on", "off"}); }
ValueHint hint(const config::OneWord& kind) { return words(kind.words()); }
ValueHint hint(const config::Path& /*kind*/) { return of_kind(Kind::kFile); }
ValueHint hint(const config::OneVideo& /*kind*/) { return of_kind(Kind::kFile); }
ValueHint hint(const config::SeveralVideos& /*kind*/) { return of_kind(Kind::kFile); }
ValueHint hint(const config::Texts& kind) {
  switch (kind.of) {
    case config::Texts::Of::kPaths:
      return of_kind(Kind::kFile);
    case config::Texts::Of::kModels:
    case config::Texts::Of::kModelPatterns:
      return of_kind(Kind::kModel);
    case config::Texts::Of::kLayerPatterns:
      break;
  }
  return {};
}
ValueHint hint(const config::MinFidelities& /*kind*/) { return named({}, true); }
ValueHint hint(const config::Directions& /*kind*/) { return of_kind(Kind::kDirection); }
ValueHint hint(const config::DeviceName& /*kind*/) { return words({"cpu", "cuda"}); }

std::vector<std::string> setting_assignments() {
  std::vector<std::string> all;
  for (const config::Setting& row : config::kSettings) all.push_back(std::string(row.key) + "=");
  return all;
}

/// What the placeholder in --help says of a value.
ValueHint hint_of_placeholder(std::string text) {
  const bool has_name = text.starts_with(kOptionalName);
  if (has_name) text.erase(0, kOptionalName.size());
  ValueHint value;
  const bool has_words = !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz-|") == std::string::npos;
  if (has_words) value = words(split(text, '|'));
  if (text == "FILE" || text == "PATH" || text == "MODEL.pt" || text == "PLAN") value = of_kind(Kind::kFile);
  if (text == "DIR") value = of_kind(Kind::kDirectory);
  if (text == "MODEL") value = of_kind(Kind::kModel);
  if (text == "FORMAT") value = words(model::output_format_names());
  if (text == "KEY=VALUE") value = words(setting_assignments());
  if (text == "NAME=PATH") return named(of_kind(Kind::kFile), false);
  return has_name ? named(std::move(value), true) : value;
}

FlagEntry flag_entry(const CLI::Option& option) {
  FlagEntry entry;
  for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
  entry.help = option.get_description();
  entry.is_repeatable = option.get_expected_max() > 1;
  if (option.get_type_size() == 0) return entry;
  entry.value_name = option.get_type_name();
  entry.value = hint_of_placeholder(entry.value_name);
  for (const config::Setting& row : config::kSettings) {
    if (row.flag == entry.names.back()) entry.value = std::visit([](const auto& kind) { return hint(kind); }, row.kind);
  }
  return entry;
}

CommandEntry command_entry(const CLI::App& app) {
  CommandEntry entry{app.get_name(), app.get_description(), {}, {}, false};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      entry.arguments.push_back(hint_of_placeholder(option->get_type_name()));
      entry.last_repeats = option->get_expected_max() > 1;
    } else if (!option->get_group().empty()) {
      entry.flags.push_back(flag_entry(*option));
    }
  }
  return entry;
}

}  // namespace

std::vector<CommandEntry> command_table(const CLI::App& app) {
  std::vector<CommandEntry> table{command_entry(app)};
  for (const CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; }))
    table.push_back(command_entry(*subcommand));
  return table;
}

}  // namespace repsim::cli
