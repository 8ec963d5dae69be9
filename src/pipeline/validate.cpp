#include <algorithm>

#include "../study/direction_study.hpp"
#include "job.hpp"
#include "listed_videos.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/version.hpp"
#include "repsim/candidates.hpp"
#include "repsim/study.hpp"
#include "signatures.hpp"

namespace repsim::pipeline {
namespace {

constexpr std::int64_t kPilotFrames = 24;  // of the calibration frames, at most: those of a cheap trial

/// Which frames do what in a study.
struct StudyFrames {
  std::vector<std::int64_t> calibration, pilot, holdout;  ///< numbers in the playlist
  std::vector<std::int64_t> pilot_positions;              ///< of the pilot frames among the calibration frames
};

StudyFrames split_frames(const video::Playlist& videos, const Settings& settings) {
  const video::Sampling sampling = video::sample_frames(videos, settings.frames, settings.holdout);
  StudyFrames frames{sampling.calibration, {}, sampling.holdout, {}};
  const auto all = static_cast<std::int64_t>(sampling.calibration.size()), count = std::min(all, kPilotFrames);
  for (std::int64_t i = 0; i < count; ++i) {
    frames.pilot_positions.push_back(i * all / count);
    frames.pilot.push_back(sampling.calibration[frames.pilot_positions.back()]);
  }
  return frames;
}

/// All that a validation says beside its cuts.
report::Validation describe(const StudySettings& settings, const session::Session& session, const StudyFrames& frames) {
  const Settings& job = settings.job;
  report::Validation validation;
  validation.tool_version = tool_version();
  for (const session::Model& model : session.models)
    validation.models.push_back({model.name(), model.loaded.spec.path, model.loaded.sha256});
  validation.video_path = session.playlist.path();
  validation.video_sha256 = session.playlist.sha256();
  validation.frame_count = session.playlist.frame_count();
  validation.videos = listed_videos(session.playlist);
  validation.calibration_frames = frames.calibration;
  validation.trial_frames = frames.pilot;
  validation.holdout_frames = frames.holdout;
  validation.adapters = job.adapters;
  validation.refit = job.refit;
  validation.cuts_asked = settings.cuts;
  validation.seed = job.seed;
  validation.truth = job.truth;
  return validation;
}

void study_all_directions(const Settings& job, const study::Setting& setting, report::Validation& validation) {
  const candidates::Options options = candidates::options_of(job);
  const std::vector<session::Model>& models = setting.session.models;
  for (const Direction& pair : candidates::directions(job, models)) {
    const ModelIndex receiver = session::find_model(models, pair.receiver),
                     donor = session::find_model(models, pair.donor);
    study::DirectionResult result = study::study_direction(
        setting, {receiver, donor, candidates::usable_layers(options, models[receiver].prepared.program, true),
                  candidates::usable_layers(options, models[donor].prepared.program, false)});
    validation.directions.push_back(std::move(result.direction));
    for (report::StudiedCut& cut : result.cuts) {
      cut.direction = validation.directions.size() - 1;
      validation.cuts.push_back(std::move(cut));
    }
  }
}

}  // namespace

void check(const StudySettings& settings) {
  check(settings.job);
  constexpr std::int64_t kFewest = 8, kMost = 10'000;
  if (settings.cuts < kFewest || settings.cuts > kMost) {
    throw Error(ErrorKind::kUsage,
                "the value is " + std::to_string(settings.cuts) + ", not " + std::to_string(kFewest) + " to " +
                    std::to_string(kMost),
                "--cuts");
  }
}

namespace {

report::Validation validate(const StudySettings& settings, const session::SingleFrames& single,
                            const std::filesystem::path& out, bool force, Progress& progress) {
  const Settings& job = settings.job;
  check(settings);
  const session::Runtime runtime(runtime_options(job));
  const config::Stream stream = config::only_stream(job, "repsim validate");
  session::check_files(input_files({stream}, job.libraries).front());
  StagedDirectory staged(out, force);
  const session::Session session(runtime, session_options(job, stream, 1, single), progress);
  const StudyFrames frames = split_frames(session.playlist, job);
  const std::vector<session::FrameSet> sets{{frames.calibration}, {frames.pilot}, {frames.holdout}};
  const std::vector<capture::Stores> stores = session.decode(sets, progress);
  const SessionSignatures captured = signatures_of(job, session, stores[0], progress);
  const similarity::ModelPairs similarity(captured.signatures);
  trial::CalibrationFrames calibration(session, stores[0], progress);
  const std::int64_t kept = session.memory_budget.frame_values;
  trial::Measurer pilot(session, stores[1], {0, job.seed, kept}, progress);
  trial::Measurer holdout(session, stores[2], {0, job.seed, kept}, progress);
  const study::Options options{candidates::options_of(job).attachment, settings.cuts, job.seed};

  report::Validation validation = describe(settings, session, frames);
  study_all_directions(
      job,
      {session, options, similarity, calibration, frames.pilot_positions, frames.holdout, pilot, holdout, progress},
      validation);
  if (validation.cuts.empty()) {
    throw Error(ErrorKind::kNothingToShare, "no cut of any pair of models can be measured", out.string(),
                "repsim inspect says which layers a model has, and why others are none");
  }
  report::fill_tables(validation);
  write_file_atomically(staged.path("validation.json"), repsim::to_text(report::to_json(validation)));
  write_file_atomically(staged.path("validation.csv"), report::to_csv(validation));
  write_file_atomically(staged.path("validation.html"), report::html(validation));
  staged.commit("validation.json");
  runtime.memory_limit().judge();
  return validation;
}

}  // namespace

report::Validation validate(const StudySettings& settings, const std::filesystem::path& out, bool force,
                            Progress& progress) {
  return session::with_single_frames(
      [&](const session::SingleFrames& single) { return validate(settings, single, out, force, progress); });
}

}  // namespace repsim::pipeline
