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

/// @param first  set of the selection frames
HoldoutStores holdout_stores(std::vector<capture::Stores> stores, std::size_t first) {
  HoldoutStores holdout{std::move(stores[first]), std::move(stores[first + 1]), {}};
  for (std::size_t i = 0; i < std::size(kBaselines); ++i)
    holdout.perturbed.push_back({kBaselines[i], std::move(stores[first + 2 + i])});
  return holdout;
}

}  // namespace

PlanFrames split_frames(const video::Playlist& videos, std::int64_t frames, double holdout) {
  constexpr std::size_t kMinFrames = 8;  // of selection and test frames each
  const video::Sampling sampling = video::sample_frames(videos, frames, holdout);
  if (sampling.holdout.size() < 2 * kMinFrames) return {sampling.calibration, sampling.holdout, sampling.holdout};
  PlanFrames parts{sampling.calibration, {}, {}};
  auto begin = sampling.holdout.begin();
  for (const std::int64_t count : videos.counts_of(sampling.holdout)) {
    const auto middle = begin + count / 2, end = begin + count;
    parts.selection.insert(parts.selection.end(), begin, middle);
    parts.test.insert(parts.test.end(), middle, end);
    begin = end;
  }
  // Videos of one hold-out frame each leave none to choose on.
  if (parts.selection.size() < kMinFrames) return {sampling.calibration, sampling.holdout, sampling.holdout};
  return parts;
}

PlanDecoding::PlanDecoding(const session::Session& session, const PlanFrames& frames, Progress& progress)
    : session_(session),
      decoding_(session.playlist, session.requests(calibration_set(frames)), session.requests(holdout_sets(frames)),
                progress) {}

HoldoutStores PlanDecoding::holdout(Progress& progress) {
  return holdout_stores(session_.split(decoding_.later(progress)), 0);
}

PlanStores decode(const session::Session& session, const PlanFrames& frames, Progress& progress) {
  std::vector<session::FrameSet> sets = calibration_set(frames);
  for (session::FrameSet& set : holdout_sets(frames)) sets.push_back(std::move(set));
  std::vector<capture::Stores> stores = session.decode(sets, progress);
  capture::Stores calibration = std::move(stores.front());
  return {std::move(calibration), holdout_stores(std::move(stores), 1)};
}

}  // namespace repsim::pipeline
