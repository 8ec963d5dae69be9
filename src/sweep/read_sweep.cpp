#include <algorithm>
#include <filesystem>

#include "repsim/base/path_pattern.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"
#include "repsim/model_name.hpp"
#include "sweep_json.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;

/// @param base  absolute, since tasks may run in other folders
std::string anchored(const std::string& path, const fs::path& base) {
  return fs::path(path).is_absolute() ? path : (base / path).string();
}

std::string element(const char* list, std::size_t index) { return list + ("[" + std::to_string(index) + "]"); }

void skip_comment(JsonReader& reader) { static_cast<void>(reader.child(config::kCommentKey)); }

/// One entry of `models`: a path or pattern, or an entry as in a config whose path may be a pattern.
void read_model(const Json& json, std::size_t index, Sweep& out) {
  const std::string field = element("models", index);
  Json entry = json.is_string() ? Json{{"path", json}} : json;
  const bool has_path = entry.is_object() && entry.contains("path") && entry["path"].is_string();
  std::vector<std::string> files;
  if (has_path) files = paths_matching(anchored(entry["path"].get<std::string>(), out.base));
  if (has_path && files.empty())
    throw input_error("no file matches '" + entry["path"].get<std::string>() + "'", out.file + ": " + field,
                      "a pattern that names a model, or a path");
  if (files.size() > 1 && entry.contains("name"))
    throw input_error(std::to_string(files.size()) + " files match, and all would have one name",
                      out.file + ": " + field + ".name", "leave it out: each then has the name of its file");
  if (!has_path) files.emplace_back();  // the reader of configs says what is wrong
  for (const std::string& file : files) {
    if (has_path) entry["path"] = file;
    const Json config{{"models", Json::array({entry})}};
    const auto rename = [&](const std::string& inner) {
      return inner.starts_with("models[0]") ? field + inner.substr(std::string("models[0]").size()) : inner;
    };
    config::Settings read =
        with_field(out.file, rename, [&] { return config::settings_from_json(config, out.file, {}); });
    if (!read.videos_of.empty()) {
      throw input_error("models of a sweep all run on the sweep's videos", out.file + ": " + field,
                        R"(leave 'video' out, or repsim plan with a config for models on different streams)");
    }
    out.models.push_back(std::move(read.models.at(0)));
  }
}

void read_models(JsonReader& reader, Sweep& out) {
  const Json* models = reader.child("models");
  if (models == nullptr || !models->is_array() || models->empty())
    reader.fail("models", models == nullptr ? "it is missing" : "this is no list of models",
                R"("models": ["models/*.pt", {"name": "front", "path": "f.pt"}])");
  for (std::size_t i = 0; i < models->size(); ++i) read_model((*models)[i], i, out);
  for (std::size_t i = 0; i < out.models.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (out.models[i].name != out.models[j].name) continue;
      throw input_error(
          "two models have the name '" + out.models[i].name + "': " + out.models[j].path + " and " + out.models[i].path,
          out.file + ": models", R"(one entry each, with names: {"name": "front", "path": "f.pt"})");
    }
  }
}

/// Several videos that each plan takes together: {"name": "all", "videos": [...]}, the list as in a config.
void read_videos_together(const Json& json, const std::string& field, Sweep& out) {
  JsonReader reader(json, out.file, field);
  skip_comment(reader);
  Video video;
  reader.optional("name", video.name);
  const Json config{{"videos", *reader.child("videos")}};
  reader.finish();
  const auto rename = [&](const std::string& inner) { return field + "." + inner; };
  config::Settings read =
      with_field(out.file, rename, [&] { return config::settings_from_json(config, out.file, out.base); });
  video.sources = std::move(read.videos);
  video.truth = std::move(read.truth);
  if (video.name.empty()) {
    std::vector<std::string> names;
    for (const video::VideoSource& source : video.sources)
      names.push_back(source.name.empty() ? model::name_of(source.path) : source.name);
    video.name = join(names, "+");
  }
  out.videos.push_back(std::move(video));
}

void read_video(const Json& json, std::size_t index, Sweep& out) {
  const std::string field = element("video", index);
  if (json.is_object() && json.contains("videos")) return read_videos_together(json, field, out);
  std::string path, name, truth;
  if (json.is_string()) {
    path = json.get<std::string>();
  } else {
    JsonReader reader(json, out.file, field);
    skip_comment(reader);
    reader.required("path", path);
    reader.optional("name", name);
    reader.optional("truth", truth);
    reader.finish();
  }
  const std::vector<std::string> files = paths_matching(anchored(path, out.base));
  if (files.empty())
    throw input_error("no file matches '" + path + "'", out.file + ": " + field, "a pattern that names a video");
  if (files.size() > 1 && !(name.empty() && truth.empty()))
    throw input_error(std::to_string(files.size()) + " files match", out.file + ": " + field,
                      "one entry for each video that has a name or ground truth");
  for (const std::string& file : files) {
    Video& video = out.videos.emplace_back(Video{name.empty() ? model::name_of(file) : name, {{file}}});
    if (!truth.empty()) video.truth = anchored(truth, out.base);
  }
}

void read_videos(JsonReader& reader, Sweep& out) {
  const Json* videos = reader.child("video");
  if (videos == nullptr) reader.fail("video", "it is missing", R"("video": "street.mp4", or a list)");
  if (videos->is_array()) {
    for (std::size_t i = 0; i < videos->size(); ++i) read_video((*videos)[i], i, out);
  } else {
    read_video(*videos, 0, out);
  }
  if (out.videos.empty()) reader.fail("video", "the list is empty", R"("video": "street.mp4")");
  for (std::size_t i = 0; i < out.videos.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (out.videos[i].name == out.videos[j].name)
        reader.fail("video", "two videos have the name '" + out.videos[i].name + "'",
                    R"({"name": "north", "path": "north/cam.mp4"})");
    }
  }
}

/// Settings as a config states them; what decides every plan alone is not among them.
void read_settings(JsonReader& reader, Sweep& out) {
  const Json* settings = reader.child("settings");
  if (settings == nullptr) return;
  if (!settings->is_object()) reader.fail("settings", "this is no object", R"({"merge": {"min_fidelity": 0.9}})");
  for (const char* key : {"models", "video", "videos", "truth", "threads", "memory_limit"}) {
    if (!settings->contains(key)) continue;
    const std::string name = key;
    reader.fail("settings", "'" + name + "' cannot be here",
                name == "threads"        ? "--threads N"
                : name == "memory_limit" ? "--memory-limit BYTES"
                : name == "videos"       ? R"("video": [{"name": "all", "videos": ["north.mp4", "south.mp4"]}])"
                : name == "truth"        ? R"("video": [{"path": "v.mp4", "truth": "gt.txt"}])"
                                         : "\"" + name + "\" of the sweep, one level up");
  }
  out.settings = *settings;
  const auto rename = [](const std::string& inner) { return "settings." + inner; };
  with_field(out.file, rename, [&] { return config::settings_from_json(out.settings, out.file, out.base); });
}

std::vector<std::string> grid_keys() {
  std::vector<std::string> keys;
  for (const config::Setting& row : config::kSettings) {
    if (row.decides) keys.emplace_back(row.key);
  }
  return keys;
}

void read_grid(JsonReader& reader, Sweep& out) {
  const Json* grid = reader.child("grid");
  if (grid == nullptr) return;
  if (!grid->is_object()) reader.fail("grid", "this is no object", R"({"merge.min_fidelity": [0.9, 0.95]})");
  const std::vector<std::string> known = grid_keys();
  for (const auto& [key, values] : grid->items()) {
    if (key == config::kCommentKey) continue;
    const std::string field = "grid." + key;
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw input_error("no plan depends on a setting '" + key + "'", out.file + ": " + field,
                        did_you_mean(key, known));
    if (!values.is_array() || values.empty())
      throw input_error("this is no list of values", out.file + ": " + field, R"("merge.min_fidelity": [0.9, 0.95])");
    Axis& axis = out.grid.emplace_back(Axis{key, {}});
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::find(axis.values.begin(), axis.values.end(), values[i]) != axis.values.end())
        throw input_error("the value " + values[i].dump() + " is there twice", out.file + ": " + field);
      Json config = out.settings;
      put_setting(config, key, values[i]);
      const auto rename = [&](const std::string&) { return field + "[" + std::to_string(i) + "]"; };
      with_field(out.file, rename, [&] { return config::settings_from_json(config, out.file, out.base); });
      axis.values.push_back(values[i]);
    }
  }
}

void read_boxes(JsonReader& reader, Sweep& out) {
  const Json* boxes = reader.child("boxes");
  if (boxes == nullptr) return;
  if (!boxes->is_object()) reader.fail("boxes", "this is no object", R"("boxes": {"nano": "512M"})");
  for (const auto& [name, value] : boxes->items()) {
    if (name == config::kCommentKey) continue;
    std::optional<std::int64_t> bytes;
    if (value.is_string()) bytes = config::parse_bytes(value.get<std::string>());
    if (value.is_number_integer() && value.get<std::int64_t>() > 0) bytes = value.get<std::int64_t>();
    if (!bytes)
      throw input_error(value.dump() + " is no size", out.file + ": boxes." + name,
                        "bytes: 512000000, or \"512M\", \"1.5G\"");
    out.boxes.push_back({name, *bytes});
  }
}

}  // namespace

void put_setting(Json& config, const std::string& key, const Json& value) {
  const std::size_t dot = key.find('.');
  Json& place = dot == std::string::npos ? config[key] : config[key.substr(0, dot)][key.substr(dot + 1)];
  place = value;
}

Sweep sweep_from_json(const Json& json, const std::string& file, const fs::path& base) {
  JsonReader reader(json, file);
  Sweep sweep;
  sweep.file = file;
  sweep.base = absolute_path(base);
  std::string ignored;
  reader.optional("$schema", ignored);  // for editors that check while one types
  skip_comment(reader);
  for (const char* key : {"models", "sets", "video", "settings", "grid", "boxes"}) static_cast<void>(reader.child(key));
  reader.finish();  // a key that is misspelled comes before one that is missing
  read_models(reader, sweep);
  read_videos(reader, sweep);
  std::vector<std::string> names;
  for (const model::ModelSpec& model : sweep.models) names.push_back(model.name);
  const Json* sets = reader.child("sets");
  sweep.sets = expand_sets(sets == nullptr ? Json("all-pairs") : *sets, names, file);
  read_settings(reader, sweep);
  read_grid(reader, sweep);
  read_boxes(reader, sweep);
  return sweep;
}

Sweep read_sweep(const fs::path& path) { return sweep_from_json(read_json(path), path.string(), path.parent_path()); }

}  // namespace repsim::sweep
