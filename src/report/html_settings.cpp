#include "format.hpp"
#include "html_parts.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

/// "0, 3, 6, ... 534 (179 frames)".
std::string frames_text(const std::vector<std::int64_t>& frames) {
  constexpr std::size_t kShown = 3;
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < frames.size() && i < kShown; ++i) shown.push_back(std::to_string(frames[i]));
  std::string text = join(shown, ", ");
  if (frames.size() > kShown) text += ", ... " + std::to_string(frames.back());
  return text + " (" + counted(static_cast<std::int64_t>(frames.size()), "frame") + ")";
}

/// Text of the plan's frames; of several streams each, "north: 0, 3, ...; south: ...".
std::string frames_of_streams(const Plan& plan, std::vector<std::int64_t> PlanVideos::* frames) {
  if (plan.streams.empty()) return frames_text(plan.*frames);
  std::vector<std::string> texts;
  for (const PlanStream& stream : plan.streams) texts.push_back(stream.name + ": " + frames_text(stream.*frames));
  return join(texts, "; ");
}

/// "The video has 795 frames", "Frames count through all videos: north 500, south 300".
std::string video_frames_text(const Plan& plan) {
  if (!plan.streams.empty()) return join(streams_in_words(plan), ". ");
  if (plan.videos.empty()) return "The video has " + counted(plan.video_frames, "frame");
  std::vector<std::string> videos;
  for (const ListedVideo& video : plan.videos) videos.push_back(video.name + " " + grouped(video.frame_count));
  return "Frame numbers count through all videos, one after the other: " + join(videos, ", ");
}

std::string channels(const std::array<double, 3>& values) {
  return shortest(values[0]) + " " + shortest(values[1]) + " " + shortest(values[2]);
}

Json file_view(const std::string& what, const std::string& path, const std::string& sha256) {
  return {{"what", what}, {"path", path}, {"sha256", sha256}};
}

Json input_view(const InputGroup& group) {
  const model::InputSpec& spec = group.spec;
  return {{"models", join(group.models, ", ")},
          {"form", std::to_string(spec.width) + "x" + std::to_string(spec.height) + " " + to_string(spec.color) + ", " +
                       to_string(spec.resize) + ", " + to_string(spec.kind) + " " + to_string(spec.layout) + " " +
                       to_string(spec.dtype)},
          {"values",
           "(pixel * " + shortest(spec.scale) + " - [" + channels(spec.mean) + "]) / [" + channels(spec.std) + "]"}};
}

Json output_view(const ModelEntry& model) {
  return {{"model", model.name},
          {"format", to_string(model.output.format)},
          {"score_threshold", shortest(model.output.score_threshold)},
          {"run_method", model.run_method},
          {"reason", model.format_reason}};
}

}  // namespace

Json settings_view(const Plan& plan) {
  Json files = Json::array(), inputs = Json::array(), outputs = Json::array();
  for (const ModelEntry& model : plan.models) files.push_back(file_view(model.name, model.path, model.sha256));
  for (const PlanStream& stream : streams_of(plan)) {
    const std::string of = stream.name.empty() ? "" : " of " + stream.name;
    if (stream.videos.empty()) files.push_back(file_view("video" + of, stream.video_path, stream.video_sha256));
    for (const ListedVideo& video : stream.videos)
      files.push_back(file_view("video " + video.name + of, video.path, video.sha256));
  }
  files.push_back(file_view("bundle", "bundle.pt", plan.bundle_sha256));
  files.push_back(file_view("settings", "below", plan.settings_sha256));
  for (const InputGroup& group : plan.inputs) inputs.push_back(input_view(group));
  for (const ModelEntry& model : plan.models) outputs.push_back(output_view(model));
  return {{"files", files},
          {"inputs", inputs},
          {"outputs", outputs},
          {"calibration_frames", frames_of_streams(plan, &PlanVideos::calibration_frames)},
          {"selection_frames", plan.selection_frames.empty() && plan.streams.empty()
                                   ? Json()
                                   : Json(frames_of_streams(plan, &PlanVideos::selection_frames))},
          {"holdout_frames", frames_of_streams(plan, &PlanVideos::holdout_frames)},
          {"video_frames", video_frames_text(plan)},
          {"settings", plan.settings.dump(2)}};
}

}  // namespace repsim::report
