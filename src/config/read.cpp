#include <algorithm>
#include <filesystem>

#include "repsim/base/error.hpp"
#include "repsim/config.hpp"
#include "repsim/report.hpp"
#include "values.hpp"

namespace repsim::config {
namespace {

namespace fs = std::filesystem;

/// The path as it can be opened from the working directory. "configs/../demo/a.pt" is shortened to "demo/a.pt" where
/// both are the same file: a folder that is a link makes them differ.
std::string resolve(const std::string& path, const fs::path& base) {
  if (path.empty() || fs::path(path).is_absolute() || base.empty()) return path;
  const fs::path joined = base / path;
  const fs::path shorter = joined.lexically_normal();
  std::error_code failed;
  return fs::equivalent(joined, shorter, failed) ? shorter.string() : joined.string();  // false when it failed
}

template <typename Enum, typename Parse>
void read_name(JsonReader& reader, const std::string& key, Enum& out, const std::vector<std::string>& names,
               Parse parse) {
  std::string name = to_string(out);
  reader.optional(key, name, names);
  if (const auto value = parse(name)) out = *value;
}

void read_channels(JsonReader& reader, const std::string& key, std::array<double, 3>& out) {
  std::vector<double> values(out.begin(), out.end());
  reader.optional(key, values);
  if (values.size() != out.size())
    reader.fail(key, std::to_string(values.size()) + " numbers are given, not 3", "one per channel");
  std::copy(values.begin(), values.end(), out.begin());
}

model::InputSpec read_input(const Json& json, const std::string& file, const std::string& field) {
  JsonReader reader(json, file, field);
  model::InputSpec spec;
  reader.required("width", spec.width);
  reader.required("height", spec.height);
  read_name(reader, "resize", spec.resize, model::resize_names(), model::parse_resize);
  reader.optional("pad", spec.pad);
  read_name(reader, "color", spec.color, model::color_names(), model::parse_color);
  read_name(reader, "dtype", spec.dtype, model::input_dtype_names(), model::parse_input_dtype);
  spec.scale = model::default_scale(spec.dtype);
  reader.optional("scale", spec.scale);
  read_channels(reader, "mean", spec.mean);
  read_channels(reader, "std", spec.std);
  read_name(reader, "kind", spec.kind, model::input_kind_names(), model::parse_input_kind);
  read_name(reader, "layout", spec.layout, model::layout_names(), model::parse_layout);
  reader.finish();
  return spec;
}

model::OutputSpec read_output(const Json& json, const std::string& file, const std::string& field) {
  JsonReader reader(json, file, field);
  model::OutputSpec spec;
  read_name(reader, "format", spec.format, model::output_format_names(), model::parse_output_format);
  read_name(reader, "boxes", spec.boxes, model::box_units_names(), model::parse_box_units);
  reader.optional("classes", spec.classes);
  reader.optional("score_threshold", spec.score_threshold);
  report::read_options(reader, spec.ssd);
  reader.finish();
  return spec;
}

model::ModelSpec read_model(const Json& json, const std::string& file, const std::string& field, const fs::path& base) {
  JsonReader reader(json, file, field);
  model::ModelSpec spec;
  reader.required("path", spec.path);
  spec.name = fs::path(spec.path).stem().string();
  reader.optional("name", spec.name);
  spec.path = resolve(spec.path, base);
  if (const Json* input = reader.child("input")) spec.input = read_input(*input, file, reader.path_of("input"));
  if (const Json* output = reader.child("output")) spec.output = read_output(*output, file, reader.path_of("output"));
  reader.finish();
  return spec;
}

void read_models(JsonReader& reader, const fs::path& base, Settings& out) {
  const Json* models = reader.child("models");
  if (models == nullptr) return;
  if (!models->is_array())
    reader.fail("models", "this is no list", R"("models": [{"name": "a", "path": "a.pt"}, ...])");
  for (std::size_t i = 0; i < models->size(); ++i) {
    out.models.push_back(read_model((*models)[i], reader.file(), model_field(i), base));
    out.input_sources.emplace_back(out.models.back().input ? "config" : "");
  }
}

void read_frames(JsonReader& reader, Settings& out) {
  const Json* frames = reader.child("frames");
  if (frames == nullptr) return;
  JsonReader inner(*frames, reader.file(), "frames");
  inner.optional("count", out.frames);
  inner.optional("holdout", out.holdout);
  inner.finish();
}

/// One number for all models, or {"default": 0.9, "night": 0.95}.
void read_min_fidelity(JsonReader& merge, Settings& out) {
  const Json* value = merge.child("min_fidelity");
  if (value == nullptr) return;
  if (!value->is_object()) {
    merge.optional("min_fidelity", out.min_fidelity);
    return;
  }
  JsonReader reader(*value, merge.file(), merge.path_of("min_fidelity"));
  reader.optional("default", out.min_fidelity);
  for (const auto& [name, ignored] : value->items()) {
    if (name != "default") reader.optional(name, out.min_fidelity_of[name]);
  }
}

/// A size in bytes: 1500000, or "1.5M".
void read_size(JsonReader& reader, const std::string& key, std::optional<std::int64_t>& out) {
  const Json* value = reader.child(key);
  if (value == nullptr) return;
  std::int64_t bytes = 0;
  if (value->is_string()) {
    const auto parsed = parse_bytes(value->get<std::string>());
    if (!parsed) reader.fail(key, "'" + value->get<std::string>() + "' is no size", size_remedy());
    bytes = *parsed;
  } else {
    reader.optional(key, bytes);
  }
  out = bytes;
}

void read_merge(JsonReader& reader, Settings& out) {
  const Json* merge = reader.child("merge");
  if (merge == nullptr) return;
  JsonReader inner(*merge, reader.file(), "merge");
  read_min_fidelity(inner, out);
  inner.optional("objective", out.objective, objective_names());
  read_size(inner, "budget", out.budget);
  if (inner.child("max_shares") != nullptr) inner.optional("max_shares", out.max_shares.emplace());
  inner.optional("donors", out.donors);
  inner.optional("keep", out.keep);
  inner.optional("adapters", out.adapters, adapter_names());
  inner.optional("refit", out.refit);
  inner.optional("max_rank", out.max_rank);
  inner.optional("max_side_inputs", out.max_side_inputs);
  std::vector<std::string> share;
  inner.optional("share", share);
  for (const std::string& text : share) {
    const auto direction = parse_direction(text);
    if (!direction) inner.fail("share", "'" + text + "' names no direction", R"("receiver<-donor")");
    out.share.push_back(*direction);
  }
  inner.optional("layers", out.layers);
  inner.optional("exclude", out.exclude);
  inner.optional("max_trials", out.max_trials);
  inner.optional("confidence", out.confidence);
  inner.optional("max_minutes", out.max_minutes);
  inner.finish();
}

}  // namespace

Settings settings_from_json(const Json& json, const std::string& file, const fs::path& base) {
  JsonReader reader(json, file);
  Settings settings;
  std::string ignored;
  reader.optional("$schema", ignored);  // for editors that check while one types
  read_models(reader, base, settings);
  reader.optional("libraries", settings.libraries);
  for (std::string& library : settings.libraries) library = resolve(library, base);
  reader.optional("video", settings.video);
  settings.video = resolve(settings.video, base);
  read_frames(reader, settings);
  read_merge(reader, settings);
  std::string truth;
  reader.optional("truth", truth);
  if (reader.has("truth")) settings.truth = resolve(truth, base);
  std::int64_t threads = settings.threads;
  reader.optional("threads", threads);
  if (threads < 0 || threads > kMaxThreads) reader.fail("threads", threads_problem(threads));
  settings.threads = static_cast<int>(threads);
  reader.optional("device", settings.device);
  read_size(reader, "memory_limit", settings.memory_limit);
  auto seed = static_cast<std::int64_t>(settings.seed);
  reader.optional("seed", seed);
  if (seed < 0) reader.fail("seed", "the value is " + std::to_string(seed) + ", not 0 or more");
  settings.seed = static_cast<std::uint64_t>(seed);
  reader.finish();
  check_values(settings, [&](const std::string& field, const std::string& problem, const std::string& remedy) {
    throw input_error(problem, file + ": " + field, remedy);
  });
  return settings;
}

Settings read_config(const fs::path& path) {
  return settings_from_json(read_json(path), path.string(), path.parent_path());
}

}  // namespace repsim::config
