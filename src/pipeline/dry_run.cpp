#include <utility>

#include "job.hpp"
#include "quiet_progress.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/candidates.hpp"

namespace repsim::pipeline {
namespace {

/// How the frames are divided among several videos.
void add_videos(const video::Playlist& playlist, const video::Sampling& sampled, report::DryRun& would) {
  if (!playlist.has_several()) return;
  const std::vector<std::int64_t> calibration = playlist.counts_of(sampled.calibration),
                                  holdout = playlist.counts_of(sampled.holdout);
  for (std::size_t i = 0; i < playlist.videos().size(); ++i) {
    const video::PlaylistVideo& video = playlist.videos()[i];
    would.videos.push_back({video.name, video.info.path, calibration[i] + holdout[i], video.info.frame_count});
  }
}

}  // namespace

report::DryRun dry_run(const Settings& settings, const std::filesystem::path& out, bool force, Progress& progress) {
  const session::Runtime runtime(runtime_options(settings));
  check(settings);
  session::check_files(input_files(settings));
  const StagedDirectory staged(out, force);
  const session::Session session(runtime, session_options(settings, {}), progress);
  const video::Sampling sampled = video::sample_frames(session.playlist, settings.frames, settings.holdout);
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
  would.frames = settings.frames;
  would.video_frames = session.playlist.frame_count();
  would.video_path = session.playlist.path();
  add_videos(session.playlist, sampled, would);
  would.out = out.string();
  return would;
}

}  // namespace repsim::pipeline
