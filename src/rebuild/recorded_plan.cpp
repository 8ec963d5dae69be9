#include "repsim/recorded_plan.hpp"

#include "repsim/settings.hpp"

namespace repsim::rebuild {

namespace fs = std::filesystem;

namespace {

/// Adds `video` or `videos`, as a config and a model's entry state them.
void add_videos(const report::PlanVideos& from, Json& to) {
  if (from.videos.empty()) {
    to["video"] = from.video_path;
    return;
  }
  to["videos"] = Json::array();
  for (const report::ListedVideo& video : from.videos)
    to["videos"].push_back({{"path", video.path}, {"name", video.name}, {"weight", video.weight}});
}

}  // namespace

fs::path plan_file(const fs::path& given) {
  std::error_code failed;  // reading the file says what is wrong
  return fs::is_directory(given, failed) ? given / "plan.json" : given;
}

report::Plan read_plan(const fs::path& given) {
  const fs::path file = plan_file(given);
  if (file.extension() == ".pt")
    throw input_error("this is a model or a bundle; a plan is wanted", file.string(),
                      "the folder of the plan, or its plan.json");
  return report::plan_from_json(read_json(file), file.string());
}

std::vector<InputFile> input_files_of(const fs::path& given, const report::Plan& plan) {
  const fs::path file = plan_file(given);
  std::vector<InputFile> files{{file.string(), "the plan"},
                               {(file.parent_path() / "bundle.pt").string(), "the bundle"}};
  for (const report::ModelEntry& model : plan.models) files.push_back({model.path, "the model '" + model.name + "'"});
  for (const report::PlanStream& stream : report::streams_of(plan)) {
    for (const video::VideoSource& video : videos_of(stream)) files.push_back({video.path, "the video"});
  }
  return files;
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
    // Plans of versions without it share no weights.
    if (!kept.contains("sharing")) kept["sharing"] = config::to_string(config::Sharing::kRepresentations);
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
    for (const report::PlanStream& stream : plan.streams) {
      if (stream.name == entry.stream) add_videos(stream, model);
    }
    config["models"].push_back(std::move(model));
  }
  if (plan.streams.empty()) add_videos(plan, config);
  config.update(recorded_settings(plan));
  return config;
}

std::vector<video::VideoSource> videos_of(const report::PlanVideos& plan) {
  if (plan.videos.empty()) return {{plan.video_path}};
  std::vector<video::VideoSource> videos;
  for (const report::ListedVideo& video : plan.videos) videos.push_back({video.path, video.name, video.weight, {}});
  return videos;
}

}  // namespace repsim::rebuild
