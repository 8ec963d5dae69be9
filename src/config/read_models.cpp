#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/model_name.hpp"
#include "repsim/report.hpp"
#include "setting.hpp"
#include "values.hpp"
#include "videos.hpp"

namespace repsim::config {
namespace {

namespace fs = std::filesystem;

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
  read_comment(reader);
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
  read_comment(reader);
  model::OutputSpec spec;
  read_name(reader, "format", spec.format, model::output_format_names(), model::parse_output_format);
  read_name(reader, "boxes", spec.boxes, model::box_units_names(), model::parse_box_units);
  reader.optional("classes", spec.classes);
  reader.optional("score_threshold", spec.score_threshold);
  report::read_options(reader, spec.ssd);
  reader.finish();
  return spec;
}

model::ModelSpec read_model(const Json& json, const std::string& file, const std::string& field, const fs::path& base,
                            Settings& out) {
  JsonReader reader(json, file, field);
  read_comment(reader);
  model::ModelSpec spec;
  reader.required("path", spec.path);
  spec.name = model::name_of(spec.path);
  reader.optional("name", spec.name);
  spec.path = resolve(spec.path, base);
  if (const Json* input = reader.child("input")) spec.input = read_input(*input, file, reader.path_of("input"));
  if (const Json* output = reader.child("output")) spec.output = read_output(*output, file, reader.path_of("output"));
  read_own_videos(reader, spec.name, base, out);
  reader.finish();
  return spec;
}

}  // namespace

void read_models(JsonReader& reader, const fs::path& base, Settings& out) {
  const Json* models = reader.child("models");
  if (models == nullptr) return;
  if (!models->is_array())
    reader.fail("models", "this is no list", R"("models": [{"name": "a", "path": "a.pt"}, ...])");
  for (std::size_t i = 0; i < models->size(); ++i) {
    out.models.push_back(read_model((*models)[i], reader.file(), model_field(i), base, out));
    out.input_sources.emplace_back(out.models.back().input ? "config" : "");
  }
}

}  // namespace repsim::config
