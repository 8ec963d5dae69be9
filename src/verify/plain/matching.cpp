#include "matching.hpp"

#include <algorithm>

#include "overlap.hpp"
#include "repsim/base/error.hpp"

namespace repsim::verify {
namespace {

std::vector<const Detection*> with_label(const Detections& detections, std::int64_t label) {
  std::vector<const Detection*> selected;
  for (const Detection& detection : detections) {
    if (detection.label == label) selected.push_back(&detection);
  }
  return selected;
}

/// Matches the detections of one label (best score first) with that label's targets.
void match_label(std::span<const Detection* const> found, const Target& target, std::size_t frame,
                 std::vector<Event>& events) {
  const std::int64_t label = found.front()->label;
  std::vector<const Detection*> free = with_label(target.sure, label);
  const std::vector<const Detection*> ignored = with_label(target.ignored, label);
  for (const Detection* detection : found) {
    auto best = free.end();
    double best_overlap = -1;
    for (auto candidate = free.begin(); candidate != free.end(); ++candidate) {
      const double common = overlap(*detection, **candidate);
      if (common > best_overlap) {
        best = candidate;
        best_overlap = common;
      }
    }
    const bool hit = best_overlap >= kMatchIou;
    const Detection* met = hit ? *best : nullptr;
    if (hit) free.erase(best);  // keeps the order of the others, which decides ties
    if (hit || std::none_of(ignored.begin(), ignored.end(),
                            [&](const Detection* unsure) { return overlap(*detection, *unsure) >= kMatchIou; })) {
      events.push_back({detection->score, frame, hit, detection, met});
    }
  }
}

}  // namespace

Matched match(std::span<const Detections> found, std::span<const Target> targets) {
  if (found.size() != targets.size()) {
    throw Error(ErrorKind::kInternal, "detections of " + std::to_string(found.size()) + " frames against targets of " +
                                          std::to_string(targets.size()));
  }
  Matched matched;
  for (std::size_t frame = 0; frame < found.size(); ++frame) {
    matched.targets.push_back(static_cast<std::int64_t>(targets[frame].sure.size()));
    std::vector<const Detection*> sorted;
    for (const Detection& detection : found[frame]) sorted.push_back(&detection);
    std::stable_sort(sorted.begin(), sorted.end(), [](const Detection* a, const Detection* b) {
      return a->label != b->label ? a->label < b->label : a->score > b->score;
    });
    for (auto first = sorted.begin(); first != sorted.end();) {
      const auto last =
          std::find_if(first, sorted.end(), [&](const Detection* other) { return other->label != (*first)->label; });
      match_label({first, last}, targets[frame], frame, matched.events);
      first = last;
    }
  }
  std::stable_sort(matched.events.begin(), matched.events.end(),
                   [](const Event& a, const Event& b) { return a.score > b.score; });
  return matched;
}

}  // namespace repsim::verify
