#include <algorithm>
#include <cmath>

#include "bootstrap.hpp"
#include "repsim/base/error.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::verify {

TensorAgreement::OutputSums& TensorAgreement::sums_of(std::size_t output, std::size_t own, std::size_t merged) {
  if (own != merged) {
    throw Error(ErrorKind::kInternal, "output " + std::to_string(output) + " has " + std::to_string(merged) +
                                          " values where the original has " + std::to_string(own));
  }
  if (output >= outputs_.size()) outputs_.resize(output + 1);
  OutputSums& sums = outputs_[output];
  if (own > 0) frame_has_values_ = true;
  if (frame_ >= sums.frames.size()) sums.frames.resize(frame_ + 1);
  return sums;
}

void TensorAgreement::add(std::size_t output, std::span<const float> own, std::span<const float> merged) {
  OutputSums& all = sums_of(output, own.size(), merged.size());
  if (all.exact) throw Error(ErrorKind::kInternal, "output " + std::to_string(output) + " is an integer one");
  all.floating = true;
  FrameSums& frame = all.frames[frame_];
  // The piece's own sums first. Deviations are taken from its first value, so that a constant piece has exactly none.
  std::int64_t counted = 0;
  double origin = 0, sum = 0, error = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    const double value = own[i], difference = static_cast<double>(merged[i]) - value;
    if (!std::isfinite(difference)) {
      const bool same = own[i] == merged[i] || (std::isnan(own[i]) && std::isnan(merged[i]));
      if (!same) frame.broken = true;
      continue;
    }
    if (counted++ == 0) origin = value;
    sum += value - origin;
    error += difference * difference;
  }
  if (counted == 0) return;
  frame.count += counted;
  frame.error += error;
  const auto count = static_cast<double>(counted);
  const double mean = origin + sum / count;
  double squares = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    const double deviation = static_cast<double>(own[i]) - mean;
    if (std::isfinite(own[i]) && std::isfinite(merged[i])) squares += deviation * deviation;
  }
  const double shift = mean - all.mean;
  const auto before = static_cast<double>(all.count), together = before + count;
  all.squares += squares + (all.count == 0 ? 0 : shift * shift * before * count / together);
  all.mean = all.count == 0 ? mean : all.mean + shift * count / together;
  all.count += counted;
}

void TensorAgreement::add_exact(std::size_t output, std::span<const std::int64_t> own,
                                std::span<const std::int64_t> merged) {
  OutputSums& all = sums_of(output, own.size(), merged.size());
  if (all.floating) throw Error(ErrorKind::kInternal, "output " + std::to_string(output) + " is a floating one");
  all.exact = true;
  if (own.empty()) return;
  FrameSums& frame = all.frames[frame_];
  if (all.count == 0) all.first = own.front();
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (own[i] != all.first) all.varies = true;
    if (own[i] != merged[i]) ++frame.error;
  }
  frame.count += static_cast<std::int64_t>(own.size());
  all.count += static_cast<std::int64_t>(own.size());
}

void TensorAgreement::next_frame() {
  if (frame_has_values_) ++frame_;
  frame_has_values_ = false;
}

void TensorAgreement::next_video() {
  next_frame();
  videos_.push_back(frame_);
}

Compared TensorAgreement::compared(const OutputSums& sums) {
  const bool differs = std::any_of(sums.frames.begin(), sums.frames.end(),
                                   [](const FrameSums& frame) { return frame.error > 0 || frame.broken; });
  if (differs) return Compared::kYes;
  if (sums.count == 0) return Compared::kEmpty;
  return sums.squares > 0 || sums.varies ? Compared::kYes : Compared::kConstant;
}

std::vector<Compared> TensorAgreement::outputs() const {
  std::vector<Compared> all;
  for (const OutputSums& sums : outputs_) all.push_back(compared(sums));
  return all;
}

/// Per frame, over all outputs that count.
std::vector<TensorAgreement::Tally> TensorAgreement::tallies() const {
  std::vector<Tally> all(frame_ + (frame_has_values_ ? 1 : 0));
  for (const OutputSums& sums : outputs_) {
    if (compared(sums) != Compared::kYes) continue;
    const bool constant = sums.squares == 0 && !sums.varies;
    const double variance = sums.exact ? 1 : sums.squares / static_cast<double>(sums.count);
    for (std::size_t i = 0; i < std::min(all.size(), sums.frames.size()); ++i) {
      const FrameSums& frame = sums.frames[i];
      const auto values = static_cast<double>(frame.count);
      all[i].error += constant ? values : frame.error / variance;
      all[i].values += values;
      all[i].broken = all[i].broken || frame.broken;
    }
  }
  return all;
}

std::optional<double> TensorAgreement::fidelity_of(const Tally& tally) {
  if (tally.broken) return 0;
  if (tally.values == 0) return std::nullopt;
  return std::max(0.0, 1 - tally.error / tally.values);
}

std::optional<double> TensorAgreement::fidelity() const {
  Tally sum;
  for (const Tally& tally : tallies()) {
    sum.error += tally.error;
    sum.values += tally.values;
    sum.broken = sum.broken || tally.broken;
  }
  return fidelity_of(sum);
}

Interval TensorAgreement::interval(double confidence, int draws, std::uint64_t seed) const {
  const std::vector<Tally> all = tallies();
  const double value = fidelity().value_or(0);
  std::vector<std::int64_t> parts;
  std::size_t begin = 0;
  for (const std::size_t end : videos_) {
    parts.push_back(static_cast<std::int64_t>(end - begin));
    begin = end;
  }
  if (begin < all.size()) parts.push_back(static_cast<std::int64_t>(all.size() - begin));
  const auto drawn = bootstrap(static_cast<std::int64_t>(all.size()), {confidence, draws, seed, parts},
                               [&](std::span<const std::int64_t> copies) {
                                 Tally sum;
                                 for (std::size_t i = 0; i < copies.size(); ++i) {
                                   const auto times = static_cast<double>(copies[i]);
                                   sum.error += times * all[i].error;
                                   sum.values += times * all[i].values;
                                   sum.broken = sum.broken || (copies[i] > 0 && all[i].broken);
                                 }
                                 return fidelity_of(sum);
                               });
  return drawn.value_or(Interval{value, value});
}

}  // namespace repsim::verify
