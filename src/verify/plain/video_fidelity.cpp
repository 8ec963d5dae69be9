#include <algorithm>

#include "repsim/verify_metrics.hpp"

namespace repsim::verify {

bool finds_anything(std::span<const Detections> found, double threshold) {
  return std::any_of(found.begin(), found.end(), [&](const Detections& frame) {
    return std::any_of(frame.begin(), frame.end(), [&](const Detection& one) { return one.score >= threshold; });
  });
}

std::vector<VideoFidelity> fidelity_per_video(std::span<const Detections> found, std::span<const Target> targets,
                                              std::span<const std::int64_t> counts, double threshold,
                                              std::uint64_t seed) {
  std::vector<VideoFidelity> videos;
  std::size_t begin = 0;
  for (const std::int64_t count : counts) {
    const auto size = static_cast<std::size_t>(count);
    const std::span<const Detections> of_video = found.subspan(begin, size);
    const std::span<const Target> own = targets.subspan(begin, size);
    begin += size;
    const DetectionFigures figures = detection_figures(of_video, own, threshold, 0);
    VideoFidelity& one = videos.emplace_back();
    one.frames = count;
    one.own_detections = figures.own;
    one.kept = figures.kept;
    one.false_alarms = figures.false_alarms;
    if (figures.own > 0) {
      one.value = average_precision(of_video, own);
      one.interval = bootstrap_interval(of_video, own, 0.9, kDraws, seed);
    } else if (finds_anything(of_video, threshold)) {
      one.value = 0;  // all that it finds are false alarms
    }
  }
  return videos;
}

}  // namespace repsim::verify
