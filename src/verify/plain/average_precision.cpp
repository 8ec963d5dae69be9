#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <random>

#include "overlap.hpp"
#include "repsim/base/error.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::verify {
namespace {

/// A detection that is right or wrong, after matching within its frame.
struct Event {
  double score = 0;
  std::size_t frame = 0;
  bool hit = false;
};

struct Matched {
  std::vector<Event> events;          ///< best score first; ties in order of frames, labels, detections
  std::vector<std::int64_t> targets;  ///< per frame
};

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
    if (hit) free.erase(best);  // keeps the order of the others, which decides ties
    if (hit || std::none_of(ignored.begin(), ignored.end(),
                            [&](const Detection* unsure) { return overlap(*detection, *unsure) >= kMatchIou; })) {
      events.push_back({detection->score, frame, hit});
    }
  }
}

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

/// All-point interpolated AP of a resample that holds frame f copies[f] times, copies side by side.
double precision_area(const Matched& matched, std::span<const std::int64_t> copies) {
  std::int64_t total = 0;
  for (std::size_t frame = 0; frame < copies.size(); ++frame) total += copies[frame] * matched.targets[frame];
  if (total == 0) return 0;
  // Each hit adds 1/total of recall at the best precision from there on, and that best is always at a hit.
  std::vector<double> precision_at_hit;
  std::int64_t seen = 0;
  const std::vector<Event>& events = matched.events;
  for (std::size_t first = 0, last = 0; first < events.size(); first = last) {
    // Events of one frame and score belong together: each copy of the frame brings all of them in order.
    while (last < events.size() && events[last].frame == events[first].frame &&
           events[last].score == events[first].score) {
      ++last;
    }
    for (std::int64_t copy = 0; copy < copies[events[first].frame]; ++copy) {
      for (std::size_t event = first; event < last; ++event) {
        ++seen;
        if (!events[event].hit) continue;
        const auto hits = static_cast<double>(precision_at_hit.size() + 1);
        precision_at_hit.push_back(hits / static_cast<double>(seen));
      }
    }
  }
  double best = 0, area = 0;
  for (auto precision = precision_at_hit.rbegin(); precision != precision_at_hit.rend(); ++precision) {
    best = std::max(best, *precision);
    area += best;
  }
  return area / static_cast<double>(total);
}

/// The value below which the part `fraction` of the sorted values lies, interpolated between neighbours.
double percentile(std::span<const double> sorted, double fraction) {
  const double position = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

/// The fraction of resamples to leave out at either end.
double suffix_of(double confidence, double blocks) {
  const double freedom = std::max(1.0, blocks - 1);
  const double quantile = boost::math::quantile(boost::math::students_t(freedom), (1 + confidence) / 2);
  return boost::math::cdf(boost::math::normal(), -std::sqrt((freedom + 1) / freedom) * quantile);
}

/// Wilson's score interval (1927) of a share among `count` independent trials.
Interval wilson(double share, double count, double confidence) {
  const double z = boost::math::quantile(boost::math::normal(), (1 + confidence) / 2), zz = z * z / count;
  const double middle = share + zz / 2, reach = z * std::sqrt(share * (1 - share) / count + zz / (4 * count));
  return {(middle - reach) / (1 + zz), (middle + reach) / (1 + zz)};
}

}  // namespace

std::int64_t bootstrap_block(std::int64_t frames) {
  return std::max<std::int64_t>(1, std::llround(std::cbrt(static_cast<double>(frames))));
}

double average_precision(std::span<const Detections> found, std::span<const Target> targets) {
  const std::vector<std::int64_t> once(found.size(), 1);
  return precision_area(match(found, targets), once);
}

Interval bootstrap_interval(std::span<const Detections> found, std::span<const Target> targets, double confidence,
                            int draws, std::uint64_t seed) {
  const Matched matched = match(found, targets);
  const std::size_t frames = found.size();
  const auto block = static_cast<std::size_t>(bootstrap_block(static_cast<std::int64_t>(frames)));
  if (frames == 0 || draws < 1) {
    const double value = precision_area(matched, std::vector<std::int64_t>(frames, 1));
    return {value, value};
  }
  // The engine's numbers are fixed by the standard, those of the library's distributions are not.
  std::mt19937_64 engine(seed);
  std::vector<double> values;
  for (int draw = 0; draw < draws; ++draw) {
    std::vector<std::int64_t> copies(frames, 0);
    for (std::size_t begin = 0; begin < frames; begin += block) {
      // 32 random bits scaled to the range: uneven by less than frames / 2^32.
      const auto first = static_cast<std::size_t>(((engine() >> 32) * static_cast<std::uint64_t>(frames)) >> 32);
      for (std::size_t i = 0; i < std::min(block, frames - begin); ++i) ++copies[(first + i) % frames];
    }
    values.push_back(precision_area(matched, copies));
  }
  std::sort(values.begin(), values.end());
  const double suffix = suffix_of(confidence, static_cast<double>(frames) / static_cast<double>(block));
  Interval interval{percentile(values, suffix), percentile(values, 1 - suffix)};
  std::int64_t objects = 0;
  for (const std::int64_t count : matched.targets) objects += count;
  if (objects > 0) {
    const double value = precision_area(matched, std::vector<std::int64_t>(frames, 1));
    const Interval share =
        wilson(value, std::max(1.0, static_cast<double>(objects) / static_cast<double>(block)), confidence);
    interval = {std::min(interval.low, share.low), std::max(interval.high, share.high)};
  }
  return interval;
}

}  // namespace repsim::verify
