#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "repsim/verify_metrics.hpp"

/// A circular block bootstrap over frames (Politis and Romano 1992) of any statistic.
namespace repsim::verify {

struct BootstrapOptions {
  double confidence = 0.9;  ///< of the interval, in (0, 1)
  int draws = kDraws;       ///< number of resamples
  std::uint64_t seed = 0;
  /// Frames of parts that no run crosses, such as those of one video; empty: all frames are one part.
  std::span<const std::int64_t> parts = {};
};

/// The statistic of a resample that holds frame f copies[f] times; nothing where the resample does not define it.
using Statistic = std::function<std::optional<double>(std::span<const std::int64_t> copies)>;

/// The central interval of a statistic. A resample consists of runs of bootstrap_block() frames. A run begins at any
/// frame and goes round in the part that it began in; where the part is shorter, it takes each of its frames once. So
/// resamples also differ in how many frames of each part they hold. Percentiles between
/// two resamples are interpolated linearly, and expanded by the ratio of Student's t to the normal distribution, with
/// as many degrees of freedom as there are blocks less one (Hesterberg 2015). Resamples without a value are left out.
/// Nothing without frames, draws or values.
[[nodiscard]] std::optional<Interval> bootstrap(std::int64_t frames, const BootstrapOptions& options,
                                                const Statistic& statistic);

}  // namespace repsim::verify
