#pragma once

#include <algorithm>

#include "repsim/model_spec.hpp"

namespace repsim::verify {

/// Intersection over union. The union is at least 1e-12, so boxes without area overlap nothing, whatever the order of
/// their corners; 0 or NaN for boxes that are not finite, and no comparison accepts NaN.
inline double overlap(const model::Detection& a, const model::Detection& b) {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const double common = std::max(width, 0.0) * std::max(height, 0.0);
  const double areas = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1);
  return common / std::max(areas - common, 1e-12);
}

/// score >= threshold in float32, the precision in which models return scores: a double threshold of 0.35 lies above
/// the float32 score 0.35.
inline bool reaches(double score, double threshold) {
  return static_cast<float>(score) >= static_cast<float>(threshold);
}

}  // namespace repsim::verify
