#include "bootstrap.hpp"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "repsim/base/error.hpp"

namespace repsim::verify {
namespace {

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

/// A part of the frames: [begin, end).
struct Part {
  std::size_t begin = 0, end = 0;
};

/// Per frame the part that it belongs to.
std::vector<Part> parts_of(std::size_t frames, std::span<const std::int64_t> lengths) {
  if (lengths.empty()) return std::vector<Part>(frames, {0, frames});
  std::vector<Part> parts;
  for (const std::int64_t length : lengths) {
    const Part part{parts.size(), parts.size() + static_cast<std::size_t>(length)};
    parts.insert(parts.end(), static_cast<std::size_t>(length), part);
  }
  if (parts.size() != frames) {
    throw Error(ErrorKind::kInternal,
                "parts of " + std::to_string(parts.size()) + " frames for a bootstrap over " + std::to_string(frames));
  }
  return parts;
}

}  // namespace

std::int64_t bootstrap_block(std::int64_t frames) {
  return std::max<std::int64_t>(1, std::llround(std::cbrt(static_cast<double>(frames))));
}

std::optional<Interval> bootstrap(std::int64_t frame_count, const BootstrapOptions& options,
                                  const Statistic& statistic) {
  const auto frames = static_cast<std::size_t>(frame_count);
  if (frames == 0) return std::nullopt;
  const auto block = static_cast<std::size_t>(bootstrap_block(frame_count));
  const std::vector<Part> parts = parts_of(frames, options.parts);
  // The engine's numbers are fixed by the standard, those of the library's distributions are not.
  std::mt19937_64 engine(options.seed);
  std::vector<double> values;
  for (int draw = 0; draw < options.draws; ++draw) {
    std::vector<std::int64_t> copies(frames, 0);
    for (std::size_t drawn = 0; drawn < frames;) {
      // 32 random bits scaled to the range: uneven by less than frames / 2^32.
      const auto first = static_cast<std::size_t>(((engine() >> 32) * static_cast<std::uint64_t>(frames)) >> 32);
      const auto [begin, end] = parts[first];
      const std::size_t run = std::min({block, frames - drawn, end - begin});
      for (std::size_t i = 0; i < run; ++i) ++copies[begin + (first - begin + i) % (end - begin)];
      drawn += run;
    }
    if (const auto value = statistic(copies)) values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const double suffix = suffix_of(options.confidence, static_cast<double>(frames) / static_cast<double>(block));
  return Interval{percentile(values, suffix), percentile(values, 1 - suffix)};
}

}  // namespace repsim::verify
