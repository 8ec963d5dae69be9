#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <limits>

#include "bootstrap.hpp"
#include "matching.hpp"

namespace repsim::verify {
namespace {

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

/// Wilson's score interval (1927) of a share among `count` independent trials.
Interval wilson(double share, double count, double confidence) {
  const double z = boost::math::quantile(boost::math::normal(), (1 + confidence) / 2), zz = z * z / count;
  const double middle = share + zz / 2, reach = z * std::sqrt(share * (1 - share) / count + zz / (4 * count));
  return {(middle - reach) / (1 + zz), (middle + reach) / (1 + zz)};
}

}  // namespace

double average_precision(std::span<const Detections> found, std::span<const Target> targets) {
  const std::vector<std::int64_t> once(found.size(), 1);
  return precision_area(match(found, targets), once);
}

double best_possible_precision(std::span<const Detections> seen, std::span<const Target> targets) {
  std::vector<Detections> found(seen.begin(), seen.end());
  for (std::size_t frame = seen.size(); frame < targets.size(); ++frame) {
    found.push_back(targets[frame].sure);
    for (Detection& one : found.back()) one.score = std::numeric_limits<double>::infinity();
  }
  return average_precision(found, targets);
}

Interval bootstrap_interval(std::span<const Detections> found, std::span<const Target> targets, double confidence,
                            int draws, std::uint64_t seed, std::span<const std::int64_t> parts) {
  const Matched matched = match(found, targets);
  const std::vector<std::int64_t> once(found.size(), 1);
  const double value = precision_area(matched, once);
  const auto drawn = bootstrap(static_cast<std::int64_t>(found.size()), {confidence, draws, seed, parts},
                               [&](std::span<const std::int64_t> copies) { return precision_area(matched, copies); });
  if (!drawn) return {value, value};
  Interval interval = *drawn;
  std::int64_t objects = 0;
  for (const std::int64_t count : matched.targets) objects += count;
  if (objects > 0) {
    const auto block = static_cast<double>(bootstrap_block(static_cast<std::int64_t>(found.size())));
    const Interval share = wilson(value, std::max(1.0, static_cast<double>(objects) / block), confidence);
    interval = {std::min(interval.low, share.low), std::max(interval.high, share.high)};
  }
  return interval;
}

}  // namespace repsim::verify
