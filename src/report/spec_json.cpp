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

model::Priors read_priors(JsonReader reader) {
  model::Priors priors;
  const Json& levels = required_child(reader, "min_sizes");
  if (!levels.is_array()) reader.fail("min_sizes", "this is no list", "[[16, 32], [64, 128], [256, 512]]");
  for (const Json& level : levels) {
    std::vector<double>& sizes = priors.min_sizes.emplace_back();
    if (!level.is_array())
      reader.fail("min_sizes", "each level is a list of sizes", "[[16, 32], [64, 128], [256, 512]]");
    for (const Json& size : level) {
      if (!size.is_number()) reader.fail("min_sizes", "a size is no number", "[[16, 32], [64, 128], [256, 512]]");
      sizes.push_back(size.get<double>());
    }
  }
  reader.optional(required(reader, "strides"), priors.strides);
  reader.optional("clip", priors.clip);
  reader.finish();
  return priors;
}

}  // namespace

std::string required(const JsonReader& reader, std::string key) {
  if (!reader.has(key)) reader.fail(key, "the key is missing", "add \"" + key + "\"");
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
  read_word(reader, "layout", out.layout, model::layout_names(), model::parse_layout);
  read_word(reader, "dtype", out.dtype, model::input_dtype_names(), model::parse_input_dtype);
  reader.finish();
}

void read_options(JsonReader& reader, model::SsdOptions& out) {
  std::string scores = to_string(out.scores), background = to_string(out.background);
  reader.optional("scores", scores, model::score_kind_names());
  reader.optional("background", background, model::background_names());
  out.scores = model::parse_score_kind(scores).value_or(out.scores);
  out.background = model::parse_background(background).value_or(out.background);
  std::vector<double> variances(out.variances.begin(), out.variances.end());
  reader.optional("variances", variances);
  if (variances.size() != out.variances.size()) {
    reader.fail("variances", "needs 2 numbers, of centres and of sides", "[0.1, 0.2]");
  }
  std::copy(variances.begin(), variances.end(), out.variances.begin());
  if (const Json* priors = reader.child("priors"); priors != nullptr && !priors->is_null()) {
    out.priors = read_priors({*priors, reader.file(), reader.path_of("priors")});
  }
}

void read_spec(JsonReader reader, model::OutputSpec& out) {
  // A plan states the format that was found, so `auto` is no word of it.
  std::vector<std::string> formats = model::output_format_names();
  formats.erase(std::remove(formats.begin(), formats.end(), to_string(model::OutputFormat::kAuto)), formats.end());
  read_word(reader, "format", out.format, formats, model::parse_output_format);
  read_word(reader, "boxes", out.boxes, model::box_units_names(), model::parse_box_units);
  reader.optional(required(reader, "classes"), out.classes);
  reader.required("score_threshold", out.score_threshold);
  if (uses_ssd_options(out.format)) {
    for (const char* key : {"scores", "background", "priors", "variances"}) static_cast<void>(required(reader, key));
    read_options(reader, out.ssd);
  }
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
  json["layout"] = to_string(spec.layout);
  json["dtype"] = to_string(spec.dtype);
  return json;
}

Json to_json(const model::OutputSpec& spec) {
  Json json;
  json["format"] = to_string(spec.format);
  json["boxes"] = to_string(spec.boxes);
  json["classes"] = spec.classes;
  json["score_threshold"] = spec.score_threshold;
  if (!uses_ssd_options(spec.format)) return json;
  json["scores"] = to_string(spec.ssd.scores);
  json["background"] = to_string(spec.ssd.background);
  json["priors"] = nullptr;
  if (const auto& priors = spec.ssd.priors) {
    json["priors"] = {{"min_sizes", priors->min_sizes}, {"strides", priors->strides}, {"clip", priors->clip}};
  }
  json["variances"] = spec.ssd.variances;
  return json;
}

}  // namespace repsim::report
