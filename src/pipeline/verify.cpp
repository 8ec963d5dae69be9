#include "repsim/verify.hpp"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "open_plan.hpp"
#include "repsim/base/error.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

Json fidelity_json(const verify::Fidelity& fidelity) {
  return {{"value", fidelity.value},
          {"interval", {fidelity.interval.low, fidelity.interval.high}},
          {"frames", fidelity.frames},
          {"own_detections", fidelity.own_detections},
          {"bit_identical", fidelity.bit_identical},
          {"max_abs_difference", fidelity.max_abs_difference}};
}

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

}  // namespace

Verification verify(const VerifySettings& settings, Progress& progress) {
  const session::Runtime runtime({settings.threads, "cpu", settings.memory_limit});
  session::check_files({settings.libraries, "", {}});
  const fs::path file = plan_file(settings.plan);
  const report::Plan plan = report::plan_from_json(read_json(file), file.string());
  session::check_files({{}, "", settings.truth});
  if (plan.holdout_frames.empty()) {
    throw input_error("the plan has no hold-out frames", file.string() + ": frames.holdout", "run repsim plan again");
  }
  const std::string bundle = (file.parent_path() / "bundle.pt").string();
  check_unchanged(bundle, plan.bundle_sha256, "bundle");
  const std::string video_path = settings.video.value_or(plan.video_path);
  if (settings.video) {
    video::check_readable(video_path);
  } else {
    check_unchanged(video_path, plan.video_sha256, "video");
  }
  const session::Session session(runtime, {models_of(plan), video_path, settings.truth, {}}, progress);

  const std::vector<std::int64_t> frames = judging_frames(settings, plan, session.video);
  const std::vector<session::FrameSet> sets{{frames}};
  const std::vector<capture::Stores> stores = session.decode(sets, progress);
  verify::BundleCheck check;
  check.truth = session.truth;
  check.bundle_path = bundle;
  check.models = session.loaded();
  check.heads = session.heads();
  check.set = &session.set;
  check.frames = &stores.front();

  Verification result;
  result.video_path = video_path;
  result.frames = frames;
  result.min_fidelity = report::min_fidelity(plan).value_or(0);
  for (const verify::Verdict& verdict : verify::check_bundle(check, progress)) {
    result.models.push_back(plan.models[result.models.size()].name);
    result.fidelity.push_back(verdict.fidelity);
    result.accuracy.push_back(verdict.accuracy);
    result.min_fidelity_of.push_back(report::min_fidelity(plan, result.models.back()).value_or(0));
    result.holds = result.holds && verdict.fidelity.value >= result.min_fidelity_of.back();
  }
  runtime.memory_limit().judge();
  return result;
}

Json to_json(const Verification& verification) {
  Json json;
  json["video"] = verification.video_path;
  json["frames"] = verification.frames;
  json["min_fidelity"] = verification.min_fidelity;
  json["holds"] = verification.holds;
  json["models"] = Json::array();
  for (std::size_t i = 0; i < verification.models.size(); ++i) {
    Json one;
    one["name"] = verification.models[i];
    one["min_fidelity"] = verification.min_fidelity_of[i];
    one["fidelity"] = fidelity_json(verification.fidelity[i]);
    one["accuracy"] = nullptr;
    if (const auto& accuracy = verification.accuracy[i]) {
      one["accuracy"] = {{"own", accuracy->own},
                         {"own_interval", {accuracy->own_interval.low, accuracy->own_interval.high}},
                         {"merged", accuracy->merged},
                         {"merged_interval", {accuracy->merged_interval.low, accuracy->merged_interval.high}},
                         {"frames", accuracy->frames},
                         {"truth_boxes", accuracy->truth_boxes}};
    }
    json["models"].push_back(std::move(one));
  }
  return json;
}

std::string to_text(const Verification& verification) {
  std::size_t width = 5;
  for (const std::string& name : verification.models) width = std::max(width, name.size());
  std::ostringstream text;
  text << std::fixed << std::setprecision(3);
  text << verification.frames.size() << " frames of " << verification.video_path << "\n";
  for (std::size_t i = 0; i < verification.models.size(); ++i) {
    const verify::Fidelity& fidelity = verification.fidelity[i];
    text << "  " << std::left << std::setw(static_cast<int>(width)) << verification.models[i] << std::right;
    if (fidelity.bit_identical) {
      text << "  bit-identical to its original";
    } else {
      text << "  agrees with its original: fidelity " << fidelity.value << " [" << fidelity.interval.low << ", "
           << fidelity.interval.high << "]"
           << (fidelity.value < verification.min_fidelity_of[i] ? ", BELOW the plan's minimum" : "");
    }
    if (const auto& accuracy = verification.accuracy[i]) {
      text << "; AP50 " << accuracy->own << " -> " << accuracy->merged << " (" << accuracy->truth_boxes << " boxes)";
    }
    text << "\n";
  }
  text << (verification.holds ? "holds" : "does not hold") << ": the plan asks for a fidelity of "
       << verification.min_fidelity;
  for (std::size_t i = 0; i < verification.models.size(); ++i) {
    if (verification.min_fidelity_of[i] != verification.min_fidelity)
      text << ", of " << verification.models[i] << " " << verification.min_fidelity_of[i];
  }
  text << "\n";
  return text.str();
}

}  // namespace repsim::pipeline
