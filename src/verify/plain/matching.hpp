#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "repsim/verify_metrics.hpp"

/// How detections meet targets: average_precision() and detection_figures() match alike.
namespace repsim::verify {

/// A detection that is right or wrong, after matching within its frame. Points into what was matched.
struct Event {
  double score = 0;
  std::size_t frame = 0;
  bool hit = false;
  const Detection* detection = nullptr;
  const Detection* target = nullptr;  ///< that it meets; null: none
};

/// All frames, matched.
struct Matched {
  std::vector<Event> events;          ///< best score first; ties in order of frames, labels, detections
  std::vector<std::int64_t> targets;  ///< sure ones, per frame
};

/// Matches frame by frame and class by class, best score first, as average_precision() says. A detection that meets no
/// free target but an ignored one makes no event.
/// @throws Error{kInternal} when the sizes differ
[[nodiscard]] Matched match(std::span<const Detections> found, std::span<const Target> targets);

}  // namespace repsim::verify
