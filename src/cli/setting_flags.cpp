#include "setting_flags.hpp"

#include <algorithm>

#include "repsim/config.hpp"

namespace repsim::cli {

void SettingFlags::add(CLI::App& app, const std::string& group, std::string_view key, std::string_view help) {
  const config::Setting& row = config::setting(key);
  const std::string flag(row.flag), text = config::flag_help(row, help);
  std::vector<std::string>& given = texts_[std::string(key)];
  CLI::Option* option = nullptr;
  if (config::is_repeatable(row)) {
    option = app.add_option(flag, given, text)->allow_extra_args(false);
  } else {
    const auto read = [&row, &given](const std::string& value) {
      given = {value};
      config::Settings judged;
      config::apply_flag(row, given, judged);
    };
    option = app.add_option_function<std::string>(flag, read, text);
  }
  option->type_name(config::value_name(row))->group(group);
}

void SettingFlags::add_all(CLI::App& app, const std::string& group, std::string_view prefix) {
  for (const config::Setting& row : config::kSettings) {
    if (row.key.starts_with(prefix)) add(app, group, row.key);
  }
}

bool SettingFlags::given(std::string_view key) const {
  const auto found = texts_.find(key);
  return found != texts_.end() && !found->second.empty();
}

bool SettingFlags::none_given() const {
  return std::all_of(texts_.begin(), texts_.end(), [](const auto& entry) { return entry.second.empty(); });
}

void SettingFlags::apply(config::Settings& settings) const {
  for (const config::Setting& row : config::kSettings) {
    if (const auto found = texts_.find(row.key); found != texts_.end())
      config::apply_flag(row, found->second, settings);
  }
}

}  // namespace repsim::cli
