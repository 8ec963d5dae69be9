#include "repsim/verify.hpp"

#include "engine_arrays.hpp"
#include "repsim/base/error.hpp"
#include "repsim/open_plan.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/single_frames.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

/// The frames of `video` on which to judge.
std::vector<std::int64_t> judging_frames(const VerifySettings& settings, const report::Plan& plan,
                                         const video::VideoInfo& video) {
  if (!settings.video && settings.frames == 0) return plan.holdout_frames;
  // On the plan's own video only what no fit has seen; another video was never seen at all.
  const std::int64_t first = settings.video ? 0 : plan.holdout_frames.front(), most = video.frame_count - first;
  const auto count = settings.frames > 0 ? settings.frames : static_cast<std::int64_t>(plan.holdout_frames.size());
  if (count > most) {
    throw input_error("the video has " + std::to_string(most) + " frames" +
                          (settings.video ? "" : " from the plan's hold-out on") + ", not " + std::to_string(count),
                      video.path, "--frames " + std::to_string(most) + " or fewer");
  }
  std::vector<std::int64_t> frames;
  for (std::int64_t i = 0; i < count; ++i) frames.push_back(first + i * most / count);
  return frames;
}

/// The frames that judge, and where they are dumped from the plan's own video, some that calibrated the fits.
std::vector<session::FrameSet> sets_of(const VerifySettings& settings, const report::Plan& plan,
                                       const std::vector<std::int64_t>& frames) {
  std::vector<session::FrameSet> sets{{frames}};
  if (settings.dump_inputs && !settings.video) sets.push_back({calibration_for_engines(plan.calibration_frames)});
  return sets;
}

report::Verification verify(const VerifySettings& settings, const session::SingleFrames& single, Progress& progress) {
  const session::Runtime runtime({settings.threads, config::Device{}, settings.memory_limit});
  session::check_files({settings.libraries, "", {}});
  const fs::path file = rebuild::plan_file(settings.plan);
  const report::Plan plan = rebuild::read_plan(file);
  session::check_files({{}, "", settings.truth});
  if (plan.holdout_frames.empty()) {
    throw input_error("the plan has no hold-out frames", file.string() + ": frames.holdout", "run repsim plan again");
  }
  const std::string bundle = (file.parent_path() / "bundle.pt").string();
  rebuild::check_unchanged(bundle, plan.bundle_sha256, "bundle");
  const std::string video_path = settings.video.value_or(plan.video_path);
  if (settings.video) {
    video::check_readable(video_path);
  } else {
    rebuild::check_video_unchanged(plan, progress);
  }
  const std::vector<session::ModelSource> models = session::marked(rebuild::models_of(plan), single);
  const session::Session session(runtime, {models, video_path, settings.truth, {}}, progress);

  const std::vector<std::int64_t> frames = judging_frames(settings, plan, session.video);
  const std::vector<session::FrameSet> sets = sets_of(settings, plan, frames);
  const std::vector<capture::Stores> stores = session.decode(sets, progress);
  if (settings.dump_inputs)
    write_engine_inputs(*settings.dump_inputs, session, stores.front(), sets.size() > 1 ? &stores[1] : nullptr);
  std::optional<EngineOutputs> engine;
  if (settings.engine_outputs) engine.emplace(*settings.engine_outputs, session, frames);
  verify::BundleCheck check;
  check.truth = session.truth;
  check.bundle_path = bundle;
  check.models = session.checked_models();
  check.set = &session.set;
  check.frames = &stores.front();

  report::Verification result;
  result.video_path = video_path;
  result.frames = frames;
  result.min_fidelity = report::min_fidelity(plan).value_or(0);
  for (const verify::Verdict& verdict : verify::check_bundle(check, progress)) {
    const std::string& name = plan.models[result.models.size()].name;
    result.models.push_back({name, verdict.fidelity, verdict.accuracy, report::min_fidelity(plan, name).value_or(0)});
  }
  if (engine) engine->judge(check, result, progress);
  runtime.memory_limit().judge();
  return result;
}

}  // namespace

report::Verification verify(const VerifySettings& settings, Progress& progress) {
  return session::with_single_frames(
      [&](const session::SingleFrames& single) { return verify(settings, single, progress); });
}

}  // namespace repsim::pipeline
