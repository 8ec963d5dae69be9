#include "extra_file.hpp"

#include <charconv>

#include "repsim/base/json_io.hpp"
#include "repsim/base/log.hpp"

namespace repsim::model {
namespace {

constexpr std::int64_t kMaxSide = 8192;
constexpr std::size_t kMaxClasses = 100'000;

std::optional<std::int64_t> whole_number(const Json& json) {
  if (!json.is_number_integer()) return std::nullopt;
  return json.get<std::int64_t>();
}

/// [H, W], or N for both.
std::optional<InputSpec> from_image_size(const Json& size) {
  InputSpec input;
  if (const auto side = whole_number(size)) {
    input.width = input.height = *side;
  } else if (size.is_array() && size.size() == 2) {
    input.height = whole_number(size[0]).value_or(0);
    input.width = whole_number(size[1]).value_or(0);
  }
  if (!usable_side(input.width) || !usable_side(input.height)) return std::nullopt;
  return input;
}

/// [B, 3, H, W]
std::optional<InputSpec> from_shape(const Json& shape) {
  if (!shape.is_array() || shape.size() != 4 || whole_number(shape[1]) != 3) return std::nullopt;
  return from_image_size(Json::array({shape[2], shape[3]}));
}

/// imgsz, as Ultralytics' exporter writes it, or shape, as YOLOv5's does.
std::optional<InputSpec> input_of(const Json& json, const std::string& record, const std::string& path) {
  for (const std::string key : {"imgsz", "shape"}) {
    if (!json.contains(key)) continue;
    auto input = key == "imgsz" ? from_image_size(json[key]) : from_shape(json[key]);
    if (!input) {
      log::warn(path + ": " + key + " in the archive's " + record + " is no usable size: ignored");
      continue;
    }
    // Their exports take letterboxed RGB. YOLOv5's exporter leaves no author, but its shape with a stride.
    const bool ultralytics = json.contains("author") && json["author"] == "Ultralytics";
    if (ultralytics || (key == "shape" && json.contains("stride"))) {
      input->resize = Resize::kLetterbox;
      input->color = Color::kRgb;
    }
    return input;
  }
  return std::nullopt;
}

/// ["person", ...] or {"0": "person", ...}; numbers that are left out have no name.
std::vector<std::string> classes_of(const Json& names) {
  std::vector<std::string> classes;
  if (names.is_array()) {
    for (const Json& name : names) {
      if (!name.is_string()) return {};
      classes.push_back(name.get<std::string>());
    }
  } else if (names.is_object()) {
    for (const auto& [key, name] : names.items()) {
      std::size_t label = 0;
      const char* end = key.data() + key.size();
      const auto [stopped, error] = std::from_chars(key.data(), end, label);
      if (error != std::errc{} || stopped != end || label >= kMaxClasses || !name.is_string()) return {};
      if (classes.size() <= label) classes.resize(label + 1);
      classes[label] = name.get<std::string>();
    }
  }
  return classes;
}

}  // namespace

bool usable_side(std::int64_t side) { return side >= 1 && side <= kMaxSide; }

void read_extra_file(const std::string& record, const std::string& text, const std::string& path, Metadata& found) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    if (record == "config.txt") log::warn(path + ": config.txt in the archive is no JSON object: ignored");
    return;  // a file of another tool
  }
  if (!found.input) {
    found.input = input_of(json, record, path);
    found.input_record = record;
  }
  if (found.classes.empty() && json.contains("names")) {
    found.classes = classes_of(json["names"]);
    found.classes_record = record;
  }
}

}  // namespace repsim::model
