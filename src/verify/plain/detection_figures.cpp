#include <algorithm>
#include <set>
#include <string>

#include "matching.hpp"
#include "overlap.hpp"
#include "repsim/base/error.hpp"

namespace repsim::verify {
namespace {

std::vector<Detections> strong(std::span<const Detections> found, double threshold) {
  std::vector<Detections> selected;
  selected.reserve(found.size());
  for (const Detections& frame : found) {
    Detections& kept = selected.emplace_back();
    std::copy_if(frame.begin(), frame.end(), std::back_inserter(kept),
                 [&](const Detection& detection) { return reaches(detection.score, threshold); });
  }
  return selected;
}

}  // namespace

DetectionFigures detection_figures(std::span<const Detections> found, std::span<const Target> targets, double threshold,
                                   std::size_t worst_frames) {
  const Matched matched = match(strong(found, threshold), targets);
  DetectionFigures figures;
  std::vector<DetectionFigures::Frame> frames;
  for (const std::int64_t count : matched.targets) {
    figures.own += count;
    frames.push_back({static_cast<std::int64_t>(frames.size()), count, 0});
  }
  for (const Event& event : matched.events) {
    ++(event.hit ? figures.kept : figures.false_alarms);
    if (event.hit) {
      --frames[event.frame].missed;
    } else {
      ++frames[event.frame].false_alarms;
    }
  }
  const auto wrong = [](const DetectionFigures::Frame& frame) { return frame.missed + frame.false_alarms; };
  std::erase_if(frames, [&](const DetectionFigures::Frame& frame) { return wrong(frame) == 0; });
  std::stable_sort(frames.begin(), frames.end(), [&](const auto& a, const auto& b) { return wrong(a) > wrong(b); });
  if (frames.size() > worst_frames) frames.resize(worst_frames);
  figures.worst = std::move(frames);
  return figures;
}

double standing_still(std::span<const Target> targets) {
  constexpr std::size_t kFewestFrames = 4;
  constexpr std::int64_t kFewestTargets = 10;
  constexpr double kSamePlace = 0.9;
  std::int64_t all = 0, still = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Detections& later = targets[(i + targets.size() / 2) % targets.size()].sure;
    for (const Detection& one : targets[i].sure) {
      ++all;
      still += std::any_of(later.begin(), later.end(), [&](const Detection& other) {
        return other.label == one.label && overlap(one, other) >= kSamePlace;
      });
    }
  }
  if (targets.size() < kFewestFrames || all < kFewestTargets) return 0;
  return static_cast<double>(still) / static_cast<double>(all);
}

FrameBoxes frame_boxes(const Detections& found, const Target& target, double threshold) {
  const std::vector<Detections> selected = strong({&found, 1}, threshold);
  const Matched matched = match(selected, {&target, 1});
  FrameBoxes boxes;
  std::set<const Detection*> met;
  for (const Event& event : matched.events) {
    if (event.hit)
      met.insert(event.target);
    else
      boxes.false_alarms.push_back(*event.detection);
  }
  for (const Detection& own : target.sure) (met.count(&own) > 0 ? boxes.kept : boxes.missed).push_back(own);
  return boxes;
}

std::int64_t moments(std::span<const Target> targets, std::span<const std::int64_t> frames, std::int64_t gap) {
  if (targets.size() != frames.size()) {
    throw Error(ErrorKind::kInternal, "targets of " + std::to_string(targets.size()) + " frames against " +
                                          std::to_string(frames.size()) + " indices of frames");
  }
  std::vector<std::int64_t> occupied;
  for (std::size_t frame = 0; frame < frames.size(); ++frame) {
    if (!targets[frame].sure.empty()) occupied.push_back(frames[frame]);
  }
  std::sort(occupied.begin(), occupied.end());
  // The first frame that is far enough from the last one counted: no other choice leaves more room for the rest.
  std::int64_t count = 0, last = 0;
  for (const std::int64_t frame : occupied) {
    if (count > 0 && frame - last < std::max<std::int64_t>(gap, 1)) continue;
    last = frame;
    ++count;
  }
  return count;
}

}  // namespace repsim::verify
