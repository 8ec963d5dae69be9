#include <cmath>
#include <limits>

#include "repsim/base/error.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::verify {

void TensorAgreement::add(std::size_t output, std::span<const float> own, std::span<const float> merged) {
  if (own.size() != merged.size()) {
    throw Error(ErrorKind::kInternal, "output " + std::to_string(output) + " has " + std::to_string(merged.size()) +
                                          " values where the original has " + std::to_string(own.size()));
  }
  if (output >= outputs_.size()) outputs_.resize(output + 1);
  // The piece's own sums first. Deviations are taken from its first value, so that a constant piece has exactly none.
  OutputAgreement piece;
  double origin = 0, sum = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    const double value = own[i], difference = static_cast<double>(merged[i]) - value;
    if (!std::isfinite(difference)) {
      const bool same = own[i] == merged[i] || (std::isnan(own[i]) && std::isnan(merged[i]));
      if (!same) outputs_[output].error = std::numeric_limits<double>::infinity();
      continue;
    }
    if (piece.count++ == 0) origin = value;
    sum += value - origin;
    piece.error += difference * difference;
  }
  if (piece.count == 0) return;
  const auto count = static_cast<double>(piece.count);
  piece.mean = origin + sum / count;
  for (const float value : own) {
    const double deviation = static_cast<double>(value) - piece.mean;
    if (std::isfinite(value)) piece.squares += deviation * deviation;
  }
  OutputAgreement& all = outputs_[output];
  const double shift = piece.mean - all.mean;
  const auto before = static_cast<double>(all.count), together = before + count;
  all.squares += piece.squares + (all.count == 0 ? 0 : shift * shift * before * count / together);
  all.mean = all.count == 0 ? piece.mean : all.mean + shift * count / together;
  all.count += piece.count;
  all.error += piece.error;
}

double TensorAgreement::fidelity() const {
  double error = 0, variance = 0;
  for (const OutputAgreement& sums : outputs_) {
    const auto count = static_cast<double>(sums.count);
    if (std::isinf(sums.error)) return 0;
    if (sums.squares > 0) {
      error += sums.error / (sums.squares / count);
      variance += count;
    } else if (sums.error > 0) {
      error += count;
      variance += count;
    }
  }
  if (variance == 0) return 1;
  return std::max(0.0, 1 - error / variance);
}

}  // namespace repsim::verify
