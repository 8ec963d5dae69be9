#include "read_plan_parts.hpp"

#include <algorithm>
#include <cmath>

#include "format.hpp"

namespace repsim::report {
namespace {

FrameCost read_cost(JsonReader reader) {
  FrameCost cost;
  std::optional<std::int64_t> latency;
  read_size(reader, "flops", cost.flops);
  read_size(reader, "peak_activation_bytes", cost.peak_activation_bytes);
  read_milliseconds(reader, "latency_estimate_ms", latency);
  cost.latency_estimate_ns = latency.value_or(0);
  reader.finish();
  return cost;
}

}  // namespace

JsonReader child_reader(JsonReader& reader, const std::string& key) {
  return {required_child(reader, key), reader.file(), reader.path_of(key)};
}

void read_sizes(JsonReader& reader, const std::string& key, std::vector<std::int64_t>& out) {
  reader.optional(required(reader, key), out);
  for (const std::int64_t value : out) {
    if (value < 0) reader.fail(key, "is negative: " + std::to_string(value));
  }
}

void read_milliseconds(JsonReader& reader, const std::string& key, std::optional<std::int64_t>& out) {
  if (!reader.has(key)) return;
  double milliseconds = 0;
  reader.required(key, milliseconds);
  constexpr double kMost = 1e12;
  if (std::abs(milliseconds) > kMost) reader.fail(key, "is too large");
  out = std::llround(milliseconds * kNanosecondsPerMillisecond);
}

void read_video_part(JsonReader& reader, PlanVideos& out, std::int64_t* judgements) {
  JsonReader video = child_reader(reader, "video");
  video.required("path", out.video_path);
  video.required("sha256", out.video_sha256);
  read_size(video, "frame_count", out.video_frames);
  video.finish();
  JsonReader frames = child_reader(reader, "frames");
  read_sizes(frames, "calibration", out.calibration_frames);
  read_sizes(frames, "holdout", out.holdout_frames);
  // Plans of earlier versions chose on the frames that judged.
  if (frames.has("selection")) read_sizes(frames, "selection", out.selection_frames);
  if (judgements != nullptr && frames.has("judgements")) read_size(frames, "judgements", *judgements);
  frames.finish();
  out.videos = read_videos(reader, "videos", frames_of(out));
  std::int64_t of_videos = 0;
  for (const ListedVideo& one : out.videos) of_videos += one.frame_count;
  if (!out.videos.empty() && of_videos != out.video_frames) {
    reader.fail("video.frame_count",
                "is " + std::to_string(out.video_frames) + ", but 'videos' has " + std::to_string(of_videos));
  }
}

PlanStream read_stream(JsonReader reader) {
  PlanStream stream;
  reader.required("name", stream.name);
  reader.required("run_method", stream.run_method);
  reader.optional(required(reader, "models"), stream.models);
  read_video_part(reader, stream, nullptr);
  JsonReader cost = child_reader(reader, "frame_cost");
  stream.before = read_cost(child_reader(cost, "before"));
  stream.after = read_cost(child_reader(cost, "after"));
  cost.finish();
  reader.finish();
  return stream;
}

void check_streams(JsonReader& reader, const Plan& plan) {
  if (plan.streams.size() == 1) reader.fail("streams", "has one stream", "'video' and 'frames' of the plan itself");
  for (const ModelEntry& model : plan.models) {
    const auto has_model = [&](const PlanStream& stream) {
      return std::count(stream.models.begin(), stream.models.end(), model.name) > 0;
    };
    const auto found = std::find_if(plan.streams.begin(), plan.streams.end(), has_model);
    if (std::count_if(plan.streams.begin(), plan.streams.end(), has_model) > 1)
      reader.fail("streams", "two streams have the model '" + model.name + "'");
    if ((found == plan.streams.end() ? "" : found->name) != model.stream)
      reader.fail("streams", "the model '" + model.name + "' is on another stream than its entry says");
  }
  for (const PlanStream& stream : plan.streams) {
    auto next = plan.models.begin();
    for (const std::string& name : stream.models) {
      next = std::find_if(next, plan.models.end(), [&](const ModelEntry& model) { return model.name == name; });
      if (next == plan.models.end())
        reader.fail("streams", "'" + name + "' is no model of this plan, or out of its order");
    }
  }
}

}  // namespace repsim::report
