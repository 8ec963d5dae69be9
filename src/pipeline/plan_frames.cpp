#include "plan_frames.hpp"

#include <utility>

namespace repsim::pipeline {
namespace {

std::vector<session::FrameSet> calibration_set(const PlanFrames& frames) { return {{frames.calibration}}; }

std::vector<session::FrameSet> holdout_sets(const PlanFrames& frames) {
  std::vector<session::FrameSet> sets{{frames.selection}, {frames.test}};
  for (const video::Perturbation baseline : kBaselines) sets.push_back({frames.test, baseline});
  return sets;
}

}  // namespace

PlanFrames split_frames(const video::VideoInfo& video, std::int64_t frames, double holdout) {
  constexpr std::size_t kMinFrames = 8;  // of selection and test frames each
  const video::Sampling sampling = video::sample_frames(video, frames, holdout);
  if (sampling.holdout.size() < 2 * kMinFrames) return {sampling.calibration, sampling.holdout, sampling.holdout};
  const auto middle = sampling.holdout.begin() + static_cast<std::ptrdiff_t>(sampling.holdout.size() / 2);
  return {sampling.calibration, {sampling.holdout.begin(), middle}, {middle, sampling.holdout.end()}};
}

PlanDecoding::PlanDecoding(const session::Session& session, const PlanFrames& frames, Progress& progress)
    : session_(session),
      decoding_(session.video, session.requests(calibration_set(frames)), session.requests(holdout_sets(frames)),
                progress) {}

HoldoutStores PlanDecoding::holdout(Progress& progress) {
  std::vector<capture::Stores> stores = session_.split(decoding_.later(progress));
  HoldoutStores holdout{std::move(stores[0]), std::move(stores[1]), {}};
  for (std::size_t i = 0; i < std::size(kBaselines); ++i)
    holdout.perturbed.push_back({kBaselines[i], std::move(stores[i + 2])});
  return holdout;
}

}  // namespace repsim::pipeline
