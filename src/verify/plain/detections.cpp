#include <algorithm>
#include <cmath>
#include <map>

#include "overlap.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::verify {

Detections suppress(const Detections& raw) {
  std::map<std::int64_t, Detections> by_label;
  for (const Detection& detection : raw) {
    if (reaches(detection.score, kMinScore)) by_label[detection.label].push_back(detection);
  }
  Detections kept;
  for (auto& [label, candidates] : by_label) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Detection& a, const Detection& b) { return a.score > b.score; });
    if (candidates.size() > kMaxPerClass) candidates.resize(kMaxPerClass);
    const auto first = static_cast<std::ptrdiff_t>(kept.size());
    for (const Detection& candidate : candidates) {
      const bool covered = std::any_of(kept.begin() + first, kept.end(),
                                       [&](const Detection& better) { return overlap(better, candidate) > kNmsIou; });
      if (!covered) kept.push_back(candidate);
    }
  }
  return kept;
}

bool has_area(const Detection& detection) {
  const auto& [x1, y1, x2, y2, score, label] = detection;
  return std::isfinite(x1) && std::isfinite(y1) && std::isfinite(x2) && std::isfinite(y2) && x2 > x1 && y2 > y1;
}

std::int64_t drop_boxes_without_area(Detections& detections) {
  std::int64_t dropped = 0;
  std::erase_if(detections, [&](const Detection& detection) {
    if (has_area(detection)) return false;
    if (reaches(detection.score, kMinScore)) ++dropped;
    return true;
  });
  return dropped;
}

std::vector<Target> targets_from_own(std::span<const Detections> own, double threshold) {
  std::vector<Target> targets;
  targets.reserve(own.size());
  for (const Detections& frame : own) {
    Target& target = targets.emplace_back();
    for (const Detection& detection : frame) {
      if (reaches(detection.score, threshold)) {
        target.sure.push_back(detection);
      } else if (reaches(detection.score, threshold / 5)) {
        target.ignored.push_back(detection);
      }
    }
  }
  return targets;
}

std::vector<Detections> only_labels(std::span<const Detections> found, std::span<const std::int64_t> labels) {
  std::vector<Detections> selected;
  selected.reserve(found.size());
  for (const Detections& frame : found) {
    Detections& kept = selected.emplace_back();
    std::copy_if(frame.begin(), frame.end(), std::back_inserter(kept),
                 [&](const Detection& one) { return std::binary_search(labels.begin(), labels.end(), one.label); });
  }
  return selected;
}

}  // namespace repsim::verify
