#include "settings_files.hpp"

#include <algorithm>
#include <filesystem>

#include "model_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"
#include "repsim/model_name.hpp"

namespace repsim::cli {
namespace {

namespace fs = std::filesystem;

}  // namespace

config::Settings settings_from_files(const std::optional<std::string>& config_path,
                                     const std::vector<std::string>& set) {
  if (!config_path) return settings_from_config(Json::object(), {}, {}, set);
  return settings_from_config(read_json(*config_path), *config_path, fs::path(*config_path).parent_path(), set);
}

config::Settings settings_from_config(const Json& config, const std::string& file, const fs::path& base,
                                      const std::vector<std::string>& set) {
  Json changed = config;
  for (const auto& assignment : set) config::apply_override(changed, assignment);
  try {
    return config::settings_from_json(changed, file.empty() ? "--set" : file, base);
  } catch (const Error& error) {
    if (set.empty()) throw;
    // A config that is well without --set makes this the command line's mistake.
    static_cast<void>(config::settings_from_json(config, file.empty() ? "--set" : file, base));
    const std::string where = file.empty() ? error.where() : "--set on " + error.where();
    throw Error(ErrorKind::kUsage, error.problem(), where, error.remedy());
  }
}

void apply_models(const std::vector<std::string>& models, const std::vector<std::string>& named_models,
                  config::Settings& settings) {
  std::vector<NamedPath> given;
  for (const auto& path : models) given.push_back({model::name_of(path), path});
  for (const auto& text : named_models) given.push_back(parse_named_path(text));
  check_unique(given);
  std::vector<model::ModelSpec> before;
  std::vector<std::string> sources_before;
  if (!models.empty()) {
    before.swap(settings.models);
    sources_before.swap(settings.input_sources);
  }
  for (const auto& [name, path] : given) {
    const auto same = [&name = name](const model::ModelSpec& spec) { return spec.name == name; };
    if (const auto found = std::find_if(settings.models.begin(), settings.models.end(), same);
        found != settings.models.end()) {
      found->path = path;
      continue;
    }
    model::ModelSpec spec;
    std::string source;
    if (const auto found = std::find_if(before.begin(), before.end(), same); found != before.end()) {
      spec = *found;
      source = sources_before[static_cast<std::size_t>(found - before.begin())];
    }
    spec.name = name;
    spec.path = path;
    settings.models.push_back(std::move(spec));
    settings.input_sources.push_back(std::move(source));
  }
}

}  // namespace repsim::cli
