#include "repsim/run.hpp"

#include <algorithm>
#include <map>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/median.hpp"
#include "repsim/base/text.hpp"
#include "repsim/session.hpp"
#include "run_models.hpp"
#include "run_outputs.hpp"
#include "videos_per_stream.hpp"

namespace repsim::pipeline {
namespace {

std::int64_t frames_to_come(const RunSettings& settings, const video::FrameStream& video) {
  const std::int64_t all = (video.announced_frames() + settings.stride - 1) / settings.stride;
  if (settings.frames == 0) return all;
  return all == 0 ? settings.frames : std::min(all, settings.frames);
}

/// Sums over the frames of a run.
class Tally {
 public:
  Tally(const std::vector<RunningModel>& models, bool has_originals)
      : models_(models), each_(has_originals ? 2 : 1), milliseconds_(models.size() * each_) {
    for (const RunningModel& model : models) {
      report::RunModel& one = sums_.emplace_back();
      one.name = model.name;
      one.is_raw = model.head.output.format == model::OutputFormat::kTensor;
      if (has_originals) one.against.emplace();
    }
  }

  /// @param found  as FrameRunner::run() returns it
  void add(const std::vector<report::FrameDetections>& found) {
    for (std::size_t i = 0; i < found.size(); ++i) milliseconds_[i].push_back(found[i].milliseconds);
    for (std::size_t i = 0; i < models_.size(); ++i) {
      const double min_score = models_[i].min_score;
      const model::Detections& boxes = found[i * each_].boxes;
      sums_[i].detections += std::ssize(of_score(boxes, min_score));
      if (!sums_[i].against) continue;
      const FrameComparison compared = compare_detections(boxes, found[i * each_ + 1].boxes, min_score);
      sums_[i].against->own += compared.own;
      sums_[i].against->kept += std::ssize(compared.boxes.kept);
      sums_[i].against->false_alarms += std::ssize(compared.boxes.false_alarms);
    }
  }

  [[nodiscard]] std::vector<report::RunModel> models() const {
    std::vector<report::RunModel> result = sums_;
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i].milliseconds = median(milliseconds_[i * each_]);
      if (result[i].against) result[i].against->milliseconds = median(milliseconds_[i * each_ + 1]);
    }
    return result;
  }

 private:
  const std::vector<RunningModel>& models_;
  std::size_t each_;
  std::vector<std::vector<double>> milliseconds_;  ///< in the order of the detections of a frame
  std::vector<report::RunModel> sums_;
};

/// The video of a plan, or of a stream of it. @param flag  with which the user names another one
std::string video_of(const report::PlanVideos& plan, const std::string& flag) {
  if (plan.videos.empty()) return plan.video_path;
  std::vector<std::string> paths;
  for (const report::ListedVideo& video : plan.videos) paths.push_back(video.path);
  throw Error(
      ErrorKind::kUsage,
      "the plan is made on " + std::to_string(paths.size()) + " videos, and this runs on one: " + join(paths, ", "),
      "repsim run", flag + paths.front());
}

std::string only_video(const RunSettings& settings, const std::optional<report::Plan>& plan) {
  if (settings.videos.size() > 1)
    throw Error(ErrorKind::kUsage, "this runs on one video, and several are given", "--video", "one of them");
  if (!settings.videos.empty()) return settings.videos.front();
  if (plan) return video_of(*plan, "--video ");
  throw Error(ErrorKind::kUsage, "no video is given, and a bundle alone names none", "repsim run", "--video FILE");
}

/// Per stream the video that it runs on.
std::vector<std::string> videos_of(const RunSettings& settings, const rebuild::BundlePlace& place,
                                   const report::BundleManifest& manifest,
                                   const std::vector<report::ManifestStream>& streams) {
  if (manifest.streams.empty()) return {only_video(settings, place.plan)};
  std::vector<std::string> names;
  for (const report::ManifestStream& stream : manifest.streams) names.push_back(stream.name);
  std::map<std::string, std::string> given;
  for (const std::string& text : settings.videos) {
    const NamedVideo named = named_video(text, names);
    if (!given.emplace(names[named.stream], named.path).second)
      throw Error(ErrorKind::kUsage, "two videos are given for the stream '" + names[named.stream] + "'",
                  "--video " + text, "one of them");
  }
  std::vector<std::string> videos;
  for (const report::ManifestStream& stream : streams) {
    if (const auto found = given.find(stream.name); found != given.end()) {
      videos.push_back(found->second);
      continue;
    }
    const std::string flag = "--video '" + stream.name + "=";
    if (!place.plan)
      throw Error(ErrorKind::kUsage, "no video is given for the stream '" + stream.name + "', and a bundle names none",
                  "repsim run", flag + "FILE'");
    for (const report::PlanStream& planned : place.plan->streams) {
      if (planned.name == stream.name) videos.push_back(video_of(planned, flag));
    }
  }
  return videos;
}

void check_drawn_streams(const RunSettings& settings, const std::vector<report::ManifestStream>& streams) {
  if (!settings.draw || streams.size() == 1) return;
  std::vector<std::string> names;
  for (const report::ManifestStream& stream : streams) names.push_back(stream.name);
  throw Error(ErrorKind::kUsage,
              "the models run on the streams " + join(names, ", ") + ", and a drawn video shows one of them", "--draw",
              "--models with the models of one stream");
}

/// A video of models that find nothing that can be drawn would be a mistake.
void check_drawable(const RunSettings& settings, const std::vector<RunningModel>& models) {
  const bool any = std::any_of(models.begin(), models.end(), [](const RunningModel& model) {
    return model.head.output.format != model::OutputFormat::kTensor;
  });
  if (any || !settings.draw) return;
  throw input_error("no model of this bundle returns detections that repsim can read, so there is nothing to draw",
                    "--draw", "plan again with the format of its detections: --format boxes-scores-labels");
}

/// Runs the models of one stream over its video.
// NOLINTNEXTLINE(readability-function-size): settings, what runs, on what, and where it goes
report::RunSummary run_stream(const RunSettings& settings, const rebuild::OpenBundle& bundle,
                              const report::ManifestStream& stream, video::FrameStream& video, at::Device device,
                              RunOutputs& outputs, Progress& progress) {
  report::RunSummary summary;
  summary.stream = stream.name;
  const std::vector<RunningModel> models = running_models(settings, bundle, stream, video, device);
  check_drawable(settings, models);
  outputs.open(video, std::ssize(models));
  FrameRunner runner(bundle, stream, models, device);

  std::vector<ShownModel> shown;
  std::vector<std::string> names;
  for (const RunningModel& model : models) {
    shown.push_back({model.head.output.classes, model.min_score});
    names.push_back(model.name);
  }
  Tally tally(models, settings.against.has_value());
  summary.is_one_call = runner.is_one_call();
  progress.begin("run " + join(names, ", "), frames_to_come(settings, video));
  summary.seconds = seconds_of([&] {
    while ((settings.frames == 0 || summary.frames < settings.frames) && video.next()) {
      const bool is_wanted = video.index() % settings.stride == 0;
      if (is_wanted) {
        const std::vector<report::FrameDetections> found = runner.run(video);
        tally.add(found);
        outputs.add(video, found, shown);
        ++summary.frames;
      }
      progress.step(is_wanted ? 1 : 0);
    }
  });
  progress.end();
  video.log_findings();
  summary.models = tally.models();
  return summary;
}

/// All that a run reads.
std::vector<InputFile> inputs_of(const RunSettings& settings, const rebuild::BundlePlace& place,
                                 const std::vector<std::string>& videos) {
  std::vector<InputFile> inputs{{place.path, "the bundle"}};
  for (const std::string& video : videos) inputs.push_back({video, "the video"});
  if (place.plan) inputs.push_back({rebuild::plan_file(settings.bundle).string(), "the plan"});
  if (!settings.against) return inputs;
  const auto against = rebuild::input_files_of(*settings.against, rebuild::read_plan(*settings.against));
  inputs.insert(inputs.end(), against.begin(), against.end());
  return inputs;
}

}  // namespace

std::vector<report::RunSummary> run(const RunSettings& settings, Progress& progress) {
  const session::Runtime runtime({settings.threads, settings.device, {}});
  session::check_files({settings.libraries, {}, {}});
  const rebuild::BundlePlace place = rebuild::find_bundle(settings.bundle);
  const rebuild::OpenBundle bundle = rebuild::open_bundle(place.path);
  const std::vector<report::ManifestStream> streams = wanted_streams(settings, bundle.manifest);
  const std::vector<std::string> videos = videos_of(settings, place, bundle.manifest, streams);
  check_drawn_streams(settings, streams);
  RunOutputs outputs(settings, inputs_of(settings, place, videos));
  std::vector<report::RunSummary> summaries;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    video::FrameStream video(videos[i]);
    summaries.push_back(run_stream(settings, bundle, streams[i], video, runtime.device(), outputs, progress));
    summaries.back().video_path = videos[i];
  }
  summaries.back().written = outputs.commit();
  return summaries;
}

}  // namespace repsim::pipeline
