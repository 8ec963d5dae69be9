#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "repsim/verify_metrics.hpp"

namespace repsim::verify {

inline Detection box(double x1, double y1, double x2, double y2, double score, std::int64_t label = 0) {
  return {x1, y1, x2, y2, score, label};
}

inline bool same(const Detection& a, const Detection& b) {
  return a.x1 == b.x1 && a.y1 == b.y1 && a.x2 == b.x2 && a.y2 == b.y2 && a.score == b.score && a.label == b.label;
}

/// Straight from the definition, sharing nothing with what it judges.
inline double naive_iou(const Detection& a, const Detection& b) {
  const double left = std::max(a.x1, b.x1), right = std::min(a.x2, b.x2);
  const double top = std::max(a.y1, b.y1), bottom = std::min(a.y2, b.y2);
  if (right <= left || bottom <= top) return 0;
  const double both = (right - left) * (bottom - top);
  return both / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both);
}

struct Case {
  std::vector<Detections> found, own;
};

/// Own detections and jittered copies with other scores, other labels and extra boxes. Scores on a coarse grid, so that
/// ties are frequent.
inline Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53;
  };
  const auto grid = [](double score) { return std::round(std::clamp(score, 0.0, 1.0) * 25) / 25; };
  Case made;
  const auto frames = 1 + random() % 5;
  for (std::uint64_t f = 0; f < frames; ++f) {
    Detections own, found;
    for (auto k = random() % 12; k > 0; --k) {
      const double x = uniform(0, 0.8), y = uniform(0, 0.8);
      own.push_back(box(x, y, x + uniform(0.05, 0.3), y + uniform(0.05, 0.3), grid(uniform(0, 1)),
                        static_cast<std::int64_t>(random() % 2)));
      Detection copy = own.back();
      for (double* edge : {&copy.x1, &copy.y1, &copy.x2, &copy.y2}) *edge += uniform(-0.03, 0.03);
      copy.score = grid(copy.score + uniform(-0.3, 0.3));
      if (random() % 8 == 0) copy.label = 1 - copy.label;
      if (random() % 6 != 0) found.push_back(copy);
      if (random() % 5 == 0) found.push_back(box(x, y, x + 0.2, y + 0.2, grid(uniform(0, 1))));
    }
    made.own.push_back(own);
    made.found.push_back(found);
  }
  return made;
}

inline std::vector<Detections> suppressed(const std::vector<Detections>& raw) {
  std::vector<Detections> kept;
  kept.reserve(raw.size());
  for (const Detections& frame : raw) kept.push_back(suppress(frame));
  return kept;
}

}  // namespace repsim::verify
