#include <cmath>

#include "repsim/base/error.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"
#include "repsim/report.hpp"
#include "setting.hpp"

namespace repsim::config {
namespace {

// The value as a config states it.

Json json(const WholeNumber& kind, const Settings& settings) {
  const auto value = kind.get(settings);
  return value ? Json(*value) : Json();
}
Json json(const Bytes& kind, const Settings& settings) {
  const auto& value = settings.*kind.member;
  return value ? Json(*value) : Json();
}
Json json(const Number& kind, const Settings& settings) { return settings.*kind.member; }
Json json(const OnOff& kind, const Settings& settings) { return settings.*kind.member; }
Json json(const OneWord& kind, const Settings& settings) { return kind.get(settings); }
Json json(const Path& kind, const Settings& settings) {
  const std::string path = kind.get(settings);
  return path.empty() ? Json() : Json(path);
}
Json json(const Texts& kind, const Settings& settings) { return settings.*kind.member; }
Json json(const OneVideo& /*kind*/, const Settings& settings) {
  return settings.videos.size() == 1 ? Json(settings.videos.front().path) : Json();
}
Json json(const SeveralVideos& /*kind*/, const Settings& settings) {
  if (settings.videos.size() < 2) return {};
  Json list = Json::array();
  for (const video::VideoSource& video : settings.videos) {
    Json& one = list.emplace_back(Json{{"path", video.path}, {"name", video.name}, {"weight", video.weight}});
    if (video.truth) one["truth"] = *video.truth;
  }
  return list;
}
Json json(const MinFidelities& /*kind*/, const Settings& settings) {
  if (settings.min_fidelity_of.empty()) return settings.min_fidelity;
  Json fidelities = {{"default", settings.min_fidelity}};
  for (const auto& [name, value] : settings.min_fidelity_of) fidelities[name] = value;
  return fidelities;
}
Json json(const Directions& /*kind*/, const Settings& settings) {
  Json share = Json::array();
  for (const Direction& direction : settings.share) share.push_back(direction.receiver + "<-" + direction.donor);
  return share;
}
Json json(const DeviceName& /*kind*/, const Settings& settings) { return to_string(settings.device); }

// JSON Schema of the value.

Json schema(const WholeNumber& kind) {
  Json result{{"type", "integer"}, {"minimum", kind.least}};
  if (kind.most != kNoLimit) result["maximum"] = kind.most;
  if (kind.or_zero) return {{"anyOf", {{{"const", 0}}, std::move(result)}}};
  return result;
}
Json schema(const Bytes& /*kind*/) {
  return {{"anyOf", {{{"type", "integer"}, {"minimum", 1}}, {{"type", "string"}, {"pattern", "^[0-9.]+[KMGkmg]?$"}}}},
          {"examples", {"1.5G", 1'500'000'000}}};
}
Json schema(const Number& kind) {
  Json result{{"type", "number"}, {kind.above_least ? "exclusiveMinimum" : "minimum", kind.least}};
  if (std::isfinite(kind.most)) result[kind.below_most ? "exclusiveMaximum" : "maximum"] = kind.most;
  return result;
}
Json schema(const OnOff& /*kind*/) { return {{"type", "boolean"}}; }
Json schema(const OneWord& kind) { return {{"enum", kind.words()}}; }
Json schema(const Path& /*kind*/) { return {{"type", "string"}}; }
Json schema(const Texts& /*kind*/) { return {{"type", "array"}, {"items", {{"type", "string"}, {"minLength", 1}}}}; }
Json schema(const OneVideo& /*kind*/) { return {{"type", "string"}}; }
Json schema(const SeveralVideos& /*kind*/) {
  const Json path{{"type", "string"}, {"minLength", 1}}, comment{{"$ref", "#/definitions/comment"}};
  const Json video{{"type", "object"},
                   {"properties",
                    {{"//", comment},
                     {"path", path},
                     {"name", path},
                     {"weight", {{"type", "number"}, {"exclusiveMinimum", 0}, {"default", 1}}},
                     {"truth", path}}},
                   {"required", {"path"}},
                   {"additionalProperties", false}};
  return {{"type", "array"}, {"minItems", 1}, {"items", {{"anyOf", {path, video}}}}};
}
Json schema(const MinFidelities& /*kind*/) {
  const Json fidelity{{"type", "number"}, {"minimum", 0}, {"maximum", 1}};
  return {{"anyOf", {fidelity, {{"type", "object"}, {"additionalProperties", fidelity}}}},
          {"examples", {0.9, {{"default", 0.9}, {"night", 0.95}}}}};
}
Json schema(const Directions& /*kind*/) {
  return {{"type", "array"}, {"items", {{"type", "string"}, {"pattern", "^[^<]+<-[^<]+$"}}}};
}
Json schema(const DeviceName& /*kind*/) { return {{"type", "string"}, {"pattern", "^(cpu|cuda(:[0-9]+)?)$"}}; }

// What values there are, in words.

std::string values(const WholeNumber& kind) { return range_of(kind); }
std::string values(const Bytes& /*kind*/) { return "bytes"; }
std::string values(const Number& kind) { return kind.range; }
std::string values(const OnOff& /*kind*/) { return "`true`, `false`"; }
std::string values(const OneWord& kind) { return "`" + join(kind.words(), "`, `") + "`"; }
std::string values(const Path& /*kind*/) { return "path"; }
std::string values(const Texts& kind) {
  switch (kind.of) {
    case Texts::Of::kPaths:
      return "list of paths";
    case Texts::Of::kModels:
      return "list of names";
    case Texts::Of::kModelPatterns:
    case Texts::Of::kLayerPatterns:
      break;
  }
  return "list of patterns";
}
std::string values(const OneVideo& /*kind*/) { return "path"; }
std::string values(const SeveralVideos& /*kind*/) { return "list of paths, patterns and objects"; }
std::string values(const MinFidelities& /*kind*/) { return "0 to 1"; }
std::string values(const Directions& /*kind*/) { return "list of `R<-D`"; }
std::string values(const DeviceName& /*kind*/) { return "`cpu`, `cuda`, `cuda:N`"; }

/// The default as a flag states it.
std::string default_text(const Setting& setting) {
  const Json value = json_of(setting, Settings{});
  if (value.is_boolean()) return value.get<bool>() ? "on" : "off";
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? shortest(value.get<double>()) : value.dump();
}

}  // namespace

const Setting& setting(std::string_view key) {
  for (const Setting& row : kSettings) {
    if (row.key == key) return row;
  }
  throw Error(ErrorKind::kInternal, "there is no setting '" + std::string(key) + "'", "", "");
}

Json json_of(const Setting& setting, const Settings& settings) {
  return std::visit([&](const auto& kind) { return json(kind, settings); }, setting.kind);
}

Json settings_to_json(const Settings& settings) {
  Json result;
  for (const Setting& row : kSettings) {
    if (!row.decides) continue;
    const std::size_t dot = row.key.find('.');
    const std::string group(row.key.substr(0, dot));
    Json& place = dot == std::string_view::npos ? result[group] : result[group][std::string(row.key.substr(dot + 1))];
    place = json_of(row, settings);
  }
  return result;
}

Json config_file(const Settings& settings) {
  Json result{{"models", Json::array()}};
  for (const model::ModelSpec& spec : settings.models) {
    Json model{{"name", spec.name}, {"path", spec.path}};
    if (spec.input) model["input"] = report::to_json(*spec.input);
    model["output"] = report::to_json(spec.output);
    const auto priors = model["output"].find("priors");
    if (priors != model["output"].end() && priors->is_null()) model["output"].erase(priors);
    const auto own = settings.videos_of.find(spec.name);
    if (own != settings.videos_of.end()) model["videos"] = videos_json(own->second);
    result["models"].push_back(std::move(model));
  }
  for (const Setting& row : kSettings) {
    Json value = json_of(row, settings);
    if (value.is_null()) continue;
    const std::size_t dot = row.key.find('.');
    const std::string group(row.key.substr(0, dot));
    (dot == std::string_view::npos ? result[group] : result[group][std::string(row.key.substr(dot + 1))]) =
        std::move(value);
  }
  return result;
}

std::string value_name(const Setting& setting) {
  if (!setting.value_name.empty()) return std::string(setting.value_name);
  if (const auto* kind = std::get_if<OneWord>(&setting.kind)) return join(kind->words(), "|");
  return "on|off";
}

std::string flag_help(const Setting& setting, std::string_view other) {
  std::string text(other.empty() ? setting.help : other);
  const std::size_t place = text.find("{}");
  return place == std::string::npos ? text : text.replace(place, 2, default_text(setting));
}

Json describe_settings() {
  Json rows = Json::array();
  for (const Setting& row : kSettings) {
    rows.push_back({{"key", row.key},
                    {"flag", std::string(row.flag) + " " + value_name(row)},
                    {"default", json_of(row, Settings{})},
                    {"values", std::visit([](const auto& kind) { return values(kind); }, row.kind)},
                    {"meaning", row.meaning},
                    {"schema", std::visit([](const auto& kind) { return schema(kind); }, row.kind)}});
  }
  return rows;
}

}  // namespace repsim::config
