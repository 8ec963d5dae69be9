#include <filesystem>

#include "repsim/base/error.hpp"
#include "repsim/config.hpp"
#include "setting.hpp"
#include "values.hpp"
#include "videos.hpp"

namespace repsim::config {
namespace {

namespace fs = std::filesystem;

/// Reads the settings whose keys begin with `prefix` ("merge.", or "" for those without a dot).
void read_settings(const std::string& prefix, JsonReader& reader, const fs::path& base, Settings& out) {
  for (const Setting& row : kSettings) {
    const std::size_t dot = row.key.find('.');
    const std::string_view group = dot == std::string_view::npos ? std::string_view() : row.key.substr(0, dot + 1);
    if (group == prefix) read_setting(row, reader, std::string(row.key.substr(prefix.size())), base, out);
  }
}

}  // namespace

void read_comment(JsonReader& reader) {
  const Json* comment = reader.child(kCommentKey);
  if (comment == nullptr) return;
  std::string line;
  std::vector<std::string> lines;
  if (comment->is_array()) {
    reader.optional(kCommentKey, lines);
  } else {
    reader.optional(kCommentKey, line);
  }
}

Settings settings_from_json(const Json& json, const std::string& file, const fs::path& base) {
  JsonReader reader(json, file);
  Settings settings;
  std::string ignored;
  reader.optional("$schema", ignored);  // for editors that check while one types
  read_comment(reader);
  read_models(reader, base, settings);
  read_settings("", reader, base, settings);
  for (const std::string group : {"frames", "merge"}) {
    const Json* members = reader.child(group);
    if (members == nullptr) continue;
    JsonReader inner(*members, file, group);
    read_comment(inner);
    read_settings(group + ".", inner, base, settings);
    inner.finish();
  }
  reader.finish();
  settle_videos(file, settings);
  check_values(settings, [&](const std::string& field, const std::string& problem, const std::string& remedy) {
    throw input_error(problem, file + ": " + field, remedy);
  });
  return settings;
}

Settings read_config(const fs::path& path) {
  return settings_from_json(read_json(path), path.string(), path.parent_path());
}

}  // namespace repsim::config
