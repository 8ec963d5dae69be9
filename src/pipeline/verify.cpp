#include "repsim/verify.hpp"

#include "engine_arrays.hpp"
#include "listed_videos.hpp"
#include "repsim/base/error.hpp"
#include "repsim/open_plan.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/single_frames.hpp"
#include "videos_per_stream.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

/// Frames that no fit has seen: all of other videos; of the plan's own those of each video from its hold-out on.
std::vector<std::int64_t> unseen_frames(const VerifySettings& settings, const report::PlanVideos& plan,
                                        const video::Playlist& videos) {
  std::vector<std::int64_t> unseen;
  auto holdout = plan.holdout_frames.begin();
  const std::vector<std::int64_t> counts = videos.counts_of(plan.holdout_frames);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const video::PlaylistVideo& video = videos.videos()[i];
    const std::int64_t end = video.first + video.info.frame_count;
    const bool is_own = settings.videos.empty();
    const std::int64_t first = !is_own ? video.first : counts[i] > 0 ? *holdout : end;
    for (std::int64_t frame = first; frame < end; ++frame) unseen.push_back(frame);
    holdout += counts[i];
  }
  return unseen;
}

/// The frames on which to judge.
std::vector<std::int64_t> judging_frames(const VerifySettings& settings, const report::PlanVideos& plan,
                                         const video::Playlist& videos) {
  const bool is_own = settings.videos.empty();
  if (is_own && settings.frames == 0) return plan.holdout_frames;
  const std::vector<std::int64_t> unseen = unseen_frames(settings, plan, videos);
  const std::int64_t most = std::ssize(unseen);
  const auto count = settings.frames > 0 ? settings.frames : static_cast<std::int64_t>(plan.holdout_frames.size());
  if (count > most) {
    throw input_error(std::string(videos.has_several() ? "the videos have " : "the video has ") + std::to_string(most) +
                          " frames" + (is_own ? " from the plan's hold-out on" : "") + ", not " + std::to_string(count),
                      videos.path(), "--frames " + std::to_string(most) + " or fewer");
  }
  std::vector<std::int64_t> frames;
  for (std::int64_t i = 0; i < count; ++i) frames.push_back(unseen[static_cast<std::size_t>(i * most / count)]);
  return frames;
}

/// The frames that judge, and where they are dumped from the plan's own video, some that calibrated the fits.
std::vector<session::FrameSet> sets_of(const VerifySettings& settings, const report::PlanVideos& plan,
                                       const std::vector<std::int64_t>& frames) {
  std::vector<session::FrameSet> sets{{frames}};
  if (settings.dump_inputs && settings.videos.empty())
    sets.push_back({calibration_for_engines(plan.calibration_frames)});
  return sets;
}

void check_truth(const VerifySettings& settings, std::size_t videos) {
  if (!settings.truth || videos < 2) return;
  throw Error(ErrorKind::kUsage, "there are " + std::to_string(videos) + " videos, and this says not of which it is",
              "--truth", "one video with its ground truth at a time: --video V --truth FILE");
}

/// Other engines get the inputs of one call, which has all models only where all run on the same frames.
void check_several_streams(const VerifySettings& settings, const std::vector<report::PlanStream>& streams) {
  if (streams.size() == 1) return;
  const char* flag = settings.dump_inputs      ? "--dump-inputs"
                     : settings.engine_outputs ? "--engine-outputs"
                     : settings.truth          ? "--truth"
                                               : nullptr;
  if (flag == nullptr) return;
  throw Error(ErrorKind::kUsage,
              "the models of this plan run on " + std::to_string(streams.size()) +
                  " streams, and this is for models of one stream",
              flag, "leave it out");
}

/// On what to judge, per stream: the plan's own videos, or those of the flags.
std::vector<rebuild::StreamVideos> judging_videos(const VerifySettings& settings, const report::Plan& plan,
                                                  const std::vector<report::PlanStream>& streams) {
  if (settings.videos.empty()) {
    std::vector<rebuild::StreamVideos> own = rebuild::stream_videos_of(plan);
    own.front().truth = settings.truth;
    return own;
  }
  if (streams.size() == 1) return {{settings.videos, settings.truth}};
  return videos_per_stream(settings.videos, streams, "repsim verify");
}

/// The check of a bundle on the frames of one stream.
verify::BundleCheck check_of(const rebuild::OpenStream& opened, const std::string& bundle,
                             const capture::Stores& stores) {
  verify::BundleCheck check;
  check.truth = opened.session->truth;
  check.bundle_path = bundle;
  check.method = opened.stream.run_method;
  check.models = opened.session->checked_models();
  check.set = &opened.session->set;
  check.frames = &stores;
  check.playlist = &opened.session->playlist;
  return check;
}

/// The videos and frames of a stream, in the result.
void add_stream(const rebuild::OpenStream& opened, const std::vector<std::int64_t>& frames, bool is_only,
                report::Verification& result) {
  const video::Playlist& playlist = opened.session->playlist;
  if (is_only) {
    result.video_path = playlist.path();
    result.videos = listed_videos(playlist);
    result.frames = frames;
    return;
  }
  result.streams.push_back(
      {opened.stream.name, opened.stream.models, playlist.path(), listed_videos(playlist), frames});
}

void check_outputs(const VerifySettings& settings, const report::Plan& plan,
                   const std::vector<rebuild::StreamVideos>& videos) {
  std::vector<InputFile> inputs = rebuild::input_files_of(settings.plan, plan);
  for (const rebuild::StreamVideos& one : videos) {
    for (const video::VideoSource& video : one.videos) inputs.push_back({video.path, "the video"});
  }
  if (settings.truth) inputs.push_back({*settings.truth, "the ground truth"});
  if (settings.engine_outputs) inputs.push_back({settings.engine_outputs->string(), "the file of outputs"});
  if (settings.dump_inputs) check_replaces_no_input(*settings.dump_inputs, inputs, "--dump-inputs");
  if (!settings.result_file) return;
  check_replaces_no_input(*settings.result_file, inputs, "--output-file");
  if (settings.dump_inputs && is_same_file(*settings.dump_inputs, *settings.result_file))
    throw Error(ErrorKind::kUsage, "--dump-inputs and --output-file name one file", "--output-file", "another name");
}

report::Verification verify(const VerifySettings& settings, const session::SingleFrames& single, Progress& progress) {
  const session::Runtime runtime({settings.threads, config::Device{}, settings.memory_limit});
  session::check_files({settings.libraries, {}, {}});
  const fs::path file = rebuild::plan_file(settings.plan);
  const report::Plan plan = rebuild::read_plan(file);
  const std::vector<report::PlanStream> streams = report::streams_of(plan);
  check_several_streams(settings, streams);
  const std::vector<rebuild::StreamVideos> videos = judging_videos(settings, plan, streams);
  check_outputs(settings, plan, videos);
  if (streams.size() == 1) check_truth(settings, videos.front().videos.size());
  session::check_files({{}, {}, settings.truth});
  for (const report::PlanStream& stream : streams) {
    if (stream.holdout_frames.empty())
      throw input_error("the plan has no hold-out frames", file.string() + ": frames.holdout", "run repsim plan again");
  }
  const std::string bundle = (file.parent_path() / "bundle.pt").string();
  rebuild::check_unchanged(bundle, plan.bundle_sha256, "bundle");
  if (settings.videos.empty()) {
    rebuild::check_videos_unchanged(plan, progress);
  } else {
    for (const rebuild::StreamVideos& one : videos) session::check_files({{}, one.videos, {}});
  }
  const std::vector<session::ModelSource> models = session::marked(rebuild::models_of(plan), single);
  const std::vector<rebuild::OpenStream> opened = rebuild::open_streams(runtime, plan, models, videos, progress);

  report::Verification result;
  result.min_fidelity = report::min_fidelity(plan).value_or(0);
  for (const report::ModelEntry& entry : plan.models)
    result.models.push_back({entry.name, {}, {}, report::min_fidelity(plan, entry.name).value_or(0)});
  for (const rebuild::OpenStream& one : opened) {
    const session::Session& session = *one.session;
    const std::vector<std::int64_t> frames = judging_frames(settings, one.stream, session.playlist);
    const std::vector<session::FrameSet> sets = sets_of(settings, one.stream, frames);
    const std::vector<capture::Stores> stores = session.decode(sets, progress);
    if (settings.dump_inputs)
      write_engine_inputs(*settings.dump_inputs, session, stores.front(), sets.size() > 1 ? &stores[1] : nullptr);
    std::optional<EngineOutputs> engine;
    if (settings.engine_outputs) engine.emplace(*settings.engine_outputs, session, frames);
    verify::BundleCheck check = check_of(one, bundle, stores.front());
    add_stream(one, frames, opened.size() == 1, result);
    std::vector<verify::Verdict> verdicts = verify::check_bundle(check, progress);
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      report::Verification::Model& model = result.models[session.members[i]];
      model.fidelity = std::move(verdicts[i].fidelity);
      model.accuracy = verdicts[i].accuracy;
    }
    if (engine) engine->judge(check, result, progress);
  }
  runtime.memory_limit().judge();
  return result;
}

}  // namespace

report::Verification verify(const VerifySettings& settings, Progress& progress) {
  return session::with_single_frames(
      [&](const session::SingleFrames& single) { return verify(settings, single, progress); });
}

}  // namespace repsim::pipeline
