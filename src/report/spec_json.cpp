#include "spec_json.hpp"

#include <algorithm>

#include "repsim/report.hpp"

namespace repsim::report {
namespace {

void read_channels(JsonReader& reader, const std::string& key, std::array<double, 3>& out) {
  std::vector<double> values;
  reader.optional(required(reader, key), values);
  if (values.size() != out.size()) reader.fail(key, "needs 3 numbers, one per channel");
  std::copy(values.begin(), values.end(), out.begin());
}

template <typename Enum, typename Parse>
void read_word(JsonReader& reader, const std::string& key, Enum& out, const std::vector<std::string>& words,
               Parse parse) {
  std::string word;
  reader.optional(required(reader, key), word, words);
  out = parse(word).value_or(out);
}

}  // namespace

std::string required(const JsonReader& reader, std::string key) {
  if (!reader.has(key)) reader.fail(key, "is missing");
  return key;
}

const Json& required_child(JsonReader& reader, const std::string& key) { return *reader.child(required(reader, key)); }

void read_size(JsonReader& reader, const std::string& key, std::int64_t& out) {
  reader.required(key, out);
  if (out < 0) reader.fail(key, "is negative: " + std::to_string(out));
}

void read_spec(JsonReader reader, model::InputSpec& out) {
  read_size(reader, "width", out.width);
  read_size(reader, "height", out.height);
  read_word(reader, "resize", out.resize, model::resize_names(), model::parse_resize);
  read_size(reader, "pad", out.pad);
  read_word(reader, "color", out.color, model::color_names(), model::parse_color);
  reader.required("scale", out.scale);
  read_channels(reader, "mean", out.mean);
  read_channels(reader, "std", out.std);
  read_word(reader, "kind", out.kind, model::input_kind_names(), model::parse_input_kind);
  reader.finish();
}

void read_spec(JsonReader reader, model::OutputSpec& out) {
  // A plan states the format that was found, so `auto` is no word of it.
  std::vector<std::string> formats = model::output_format_names();
  formats.erase(std::remove(formats.begin(), formats.end(), to_string(model::OutputFormat::kAuto)), formats.end());
  read_word(reader, "format", out.format, formats, model::parse_output_format);
  read_word(reader, "boxes", out.boxes, model::box_units_names(), model::parse_box_units);
  reader.optional(required(reader, "classes"), out.classes);
  reader.required("score_threshold", out.score_threshold);
  reader.finish();
}

Json to_json(const model::InputSpec& spec) {
  Json json;
  json["width"] = spec.width;
  json["height"] = spec.height;
  json["resize"] = to_string(spec.resize);
  json["pad"] = spec.pad;
  json["color"] = to_string(spec.color);
  json["scale"] = spec.scale;
  json["mean"] = spec.mean;
  json["std"] = spec.std;
  json["kind"] = to_string(spec.kind);
  return json;
}

Json to_json(const model::OutputSpec& spec) {
  Json json;
  json["format"] = to_string(spec.format);
  json["boxes"] = to_string(spec.boxes);
  json["classes"] = spec.classes;
  json["score_threshold"] = spec.score_threshold;
  return json;
}

}  // namespace repsim::report
