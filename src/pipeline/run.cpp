#include "repsim/run.hpp"

#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/median.hpp"
#include "repsim/base/text.hpp"
#include "repsim/session.hpp"
#include "run_models.hpp"
#include "run_outputs.hpp"

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

std::string video_of(const RunSettings& settings, const rebuild::BundlePlace& place) {
  if (settings.video) return *settings.video;
  if (place.plan && !place.plan->videos.empty()) {
    std::vector<std::string> paths;
    for (const report::ListedVideo& video : place.plan->videos) paths.push_back(video.path);
    throw Error(
        ErrorKind::kUsage,
        "the plan is made on " + std::to_string(paths.size()) + " videos, and this runs on one: " + join(paths, ", "),
        "repsim run", "--video " + paths.front());
  }
  if (place.plan) return place.plan->video_path;
  throw Error(ErrorKind::kUsage, "no video is given, and a bundle alone names none", "repsim run", "--video FILE");
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

}  // namespace

report::RunSummary run(const RunSettings& settings, Progress& progress) {
  const session::Runtime runtime({settings.threads, settings.device, {}});
  session::check_files({settings.libraries, {}, {}});
  const rebuild::BundlePlace place = rebuild::find_bundle(settings.bundle);
  report::RunSummary summary;
  summary.video_path = video_of(settings, place);
  RunOutputs outputs(settings, summary.video_path);
  video::FrameStream video(summary.video_path);
  const rebuild::OpenBundle bundle = rebuild::open_bundle(place.path);
  const std::vector<RunningModel> models = running_models(settings, bundle, video, runtime.device());
  check_drawable(settings, models);
  outputs.open(video, std::ssize(models));
  FrameRunner runner(bundle, models, runtime.device());

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
  summary.written = outputs.commit();
  return summary;
}

}  // namespace repsim::pipeline
