#include <memory>
#include <utility>

#include "job.hpp"
#include "plan_outputs.hpp"
#include "quiet_progress.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/candidates.hpp"

namespace repsim::pipeline {
namespace {

/// How the frames are divided among several videos; empty where there is one.
std::vector<report::DryRun::Video> videos_of(const video::Playlist& playlist, const Settings& settings) {
  const video::Sampling sampled = video::sample_frames(playlist, settings.frames, settings.holdout);
  if (!playlist.has_several()) return {};
  std::vector<report::DryRun::Video> videos;
  const std::vector<std::int64_t> calibration = playlist.counts_of(sampled.calibration),
                                  holdout = playlist.counts_of(sampled.holdout);
  for (std::size_t i = 0; i < playlist.videos().size(); ++i) {
    const video::PlaylistVideo& video = playlist.videos()[i];
    videos.push_back({video.name, video.info.path, calibration[i] + holdout[i], video.info.frame_count});
  }
  return videos;
}

/// Videos of all streams, the first of which the session has.
void add_streams(const Settings& settings, const std::vector<config::Stream>& streams, const session::Session& session,
                 Progress& progress, report::DryRun& would) {
  would.frames = settings.frames;
  if (streams.size() == 1) {
    would.video_frames = session.playlist.frame_count();
    would.video_path = session.playlist.path();
    would.videos = videos_of(session.playlist, settings);
    return;
  }
  for (const config::Stream& stream : streams) {
    std::unique_ptr<session::Session> further;
    if (&stream != &streams.front()) {
      const session::SessionOptions options = session_options(settings, stream, streams.size(), {});
      further = std::make_unique<session::Session>(session, options, progress);
    }
    const session::Session& on = further ? *further : session;
    report::DryRun::Stream& one = would.streams.emplace_back();
    one.name = stream.name;
    one.video_path = on.playlist.path();
    one.video_frames = on.playlist.frame_count();
    one.videos = videos_of(on.playlist, settings);
    for (const ModelIndex model : on.members) one.models.push_back(session.models[model].name());
  }
}

}  // namespace

report::DryRun dry_run(const Settings& settings, const std::optional<std::filesystem::path>& out, bool force,
                       Progress& progress) {
  const session::Runtime runtime(runtime_options(settings));
  check(settings);
  const std::vector<config::Stream> streams = config::streams_of(settings);
  for (const session::InputFiles& files : input_files(streams, settings.libraries)) session::check_files(files);
  std::optional<StagedDirectory> staged;
  if (out) {
    check_replaces_no_input(settings, *out);
    staged.emplace(*out, force);
  }
  const session::Session session(runtime, session_options(settings, streams.front(), streams.size(), {}), progress);
  report::DryRun would;
  for (std::size_t i = 0; i < session.models.size(); ++i) {
    const session::Model& model = session.models[i];
    const auto layers = static_cast<std::int64_t>(model.prepared.program.layers.size());
    would.models.push_back({model.name(), layers, model.prepared.model_bytes, session.set.groups[i],
                            model.output.spec.format, model.prepared.opaque_reason});
  }
  const std::vector<Direction> considered = candidates::directions(settings, session.models);
  for (const Direction& one : considered) would.directions.push_back({one.receiver, {one.donor}});
  for (const session::Model& model : session.models) {
    report::DryRun::Direction mixed{model.name(), {}};
    for (const Direction& one : considered) {
      if (one.receiver == mixed.receiver) mixed.donors.push_back(one.donor);
    }
    if (mixed.donors.size() > 1) would.directions.push_back(std::move(mixed));
  }
  add_streams(settings, streams, session, progress, would);
  if (out) would.out = out->string();
  return would;
}

}  // namespace repsim::pipeline
