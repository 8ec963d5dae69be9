#include "repsim/open_plan.hpp"

#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"

namespace repsim::rebuild {

namespace fs = std::filesystem;

fs::path plan_file(const fs::path& given) { return fs::is_directory(given) ? given / "plan.json" : given; }

void check_unchanged(const std::string& path, const std::string& expected, const std::string& what) {
  if (!fs::exists(path)) {
    throw input_error("the " + what + " of this plan is not there", path, "put it back, or run repsim plan again");
  }
  if (sha256_of_file(path) != expected) {
    throw input_error("the " + what + " is not the one of this plan (its SHA-256 differs)", path,
                      "run repsim plan again");
  }
}

Json recorded_settings(const report::Plan& plan) {
  Json json = plan.settings;
  const auto merge = json.find("merge");
  if (merge != json.end() && merge->is_object()) {
    Json kept = Json::object();
    for (const auto& [key, value] : merge->items()) {
      if (value.is_null()) continue;
      kept[key] = value;
      // Plans of repsim 0.1 may record 1 to 3, which no correction has: they meant none.
      if (key == "max_rank" && value.is_number_integer() && value > 0 && value < 4) kept[key] = 0;
    }
    *merge = std::move(kept);
  }
  return json;
}

Json recorded_config(const report::Plan& plan) {
  Json config = Json::object();
  config["models"] = Json::array();
  for (const report::ModelEntry& entry : plan.models) {
    Json model{{"name", entry.name}, {"path", entry.path}};
    if (!entry.input_source.starts_with("archive")) model["input"] = report::to_json(entry.input);
    model["output"] = report::to_json(entry.output);
    config["models"].push_back(std::move(model));
  }
  config["video"] = plan.video_path;
  config.update(recorded_settings(plan));
  return config;
}

std::vector<session::ModelSource> models_of(const report::Plan& plan) {
  std::vector<session::ModelSource> models;
  for (const report::ModelEntry& entry : plan.models) {
    check_unchanged(entry.path, entry.sha256, "model '" + entry.name + "'");
    models.push_back({{entry.name, entry.path, entry.input, entry.output}, entry.input_source});
  }
  return models;
}

}  // namespace repsim::rebuild
