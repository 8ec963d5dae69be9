#include <algorithm>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/version.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/plan_check.hpp"
#include "repsim/recorded_plan.hpp"
#include "repsim/streams.hpp"
#include "repsim/torch_info.hpp"
#include "repsim/video.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

std::string hash_of(const model::ModelSpec& spec) {
  if (!fs::exists(spec.path))
    throw input_error("the model '" + spec.name + "' is not there", spec.path, "check the spelling");
  return sha256_of_file(spec.path);
}

/// Paths and hashes of a stream's videos as they are now. How many frames they have stays as recorded: nothing compares
/// it.
void set_videos(const config::Stream& stream, report::PlanVideos& plan, Progress& progress) {
  const std::vector<report::ListedVideo> recorded = std::move(plan.videos);
  std::vector<std::string> hashes;
  plan.videos.clear();
  plan.video_path.clear();
  for (const video::VideoSource& source : stream.videos) {
    hashes.push_back(video::sha256_of_video(source.path, progress));
    plan.video_path += (plan.video_path.empty() ? "" : ", ") + source.path;
    if (stream.videos.size() == 1) break;
    const auto known = std::find_if(recorded.begin(), recorded.end(),
                                    [&](const report::ListedVideo& one) { return one.name == source.name; });
    const std::int64_t frames = known == recorded.end() ? 0 : known->frame_count;
    plan.videos.push_back({source.name, source.path, hashes.back(), source.weight, frames});
  }
  plan.video_sha256 = video::sha256_of_hashes(hashes);
}

/// Streams and their videos as they are now.
void set_streams(const Settings& settings, report::Plan& plan, Progress& progress) {
  const std::vector<config::Stream> streams = config::streams_of(settings);
  if (streams.size() == 1) {
    if (!plan.streams.empty()) static_cast<report::PlanVideos&>(plan) = {};
    plan.streams.clear();
    for (report::ModelEntry& model : plan.models) model.stream.clear();
    return set_videos(streams.front(), plan, progress);
  }
  const std::vector<report::PlanStream> recorded = std::move(plan.streams);
  plan.streams.clear();
  static_cast<report::PlanVideos&>(plan) = {};
  for (const config::Stream& stream : streams) {
    const auto known = std::find_if(recorded.begin(), recorded.end(),
                                    [&](const report::PlanStream& one) { return one.name == stream.name; });
    report::PlanStream& now = plan.streams.emplace_back(known == recorded.end() ? report::PlanStream{} : *known);
    now.name = stream.name;
    now.models.clear();
    for (const std::size_t model : stream.models) {
      plan.models[model].stream = stream.name;
      now.models.push_back(plan.models[model].name);
    }
    set_videos(stream, now, progress);
  }
}

/// The recorded plan with models, video, settings and version as they are now.
report::Plan with_inputs_of(const report::Plan& recorded, const Settings& settings, Progress& progress) {
  report::Plan now = recorded;
  now.models.clear();
  for (const model::ModelSpec& spec : settings.models) {
    const auto known = std::find_if(recorded.models.begin(), recorded.models.end(),
                                    [&](const report::ModelEntry& entry) { return entry.name == spec.name; });
    report::ModelEntry entry = known != recorded.models.end() ? *known : report::ModelEntry{};
    entry.name = spec.name;
    entry.path = spec.path;
    entry.sha256 = hash_of(spec);
    if (spec.input) entry.input = *spec.input;
    now.models.push_back(std::move(entry));
  }
  set_streams(settings, now, progress);
  now.settings = config::settings_to_json(settings);
  now.tool_version = tool_version();
  if (!now.torch_version.empty()) now.torch_version = session::torch_version();
  return now;
}

}  // namespace

PlanCheck check_plan(const PlanCheckSettings& settings, Progress& progress) {
  const fs::path file = rebuild::plan_file(settings.plan);
  PlanCheck check;
  check.recorded = rebuild::read_plan(file);
  config::check(settings.settings);
  check.now = with_inputs_of(check.recorded, settings.settings, progress);
  check.diff = report::compare(check.recorded, check.now, settings.tolerances);
  check.diff.inputs_only = settings.hashes_only;
  if (settings.hashes_only) return check;
  for (const report::PlanChange& change : check.diff.changes) {
    if (change.status == report::PlanChange::Status::kDrift) log::info("changed: " + report::in_words(change));
  }
  if (settings.out) {
    check.now = plan(settings.settings, *settings.out, settings.force, progress).plan;
  } else {
    // Never put in place: it is removed at the end, and by the next run if this one is killed.
    const StagedDirectory scratch(fs::temp_directory_path() / "repsim-check", /*force=*/true);
    check.now = plan(settings.settings, scratch.path("plan"), false, progress).plan;
  }
  // What is compared is what the file would state, rounding included.
  check.now = report::plan_from_json(report::to_json(check.now), file.string());
  check.diff = report::compare(check.recorded, check.now, settings.tolerances);
  return check;
}

}  // namespace repsim::pipeline
