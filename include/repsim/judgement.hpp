#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

/// When the test frames support a share. Plain arithmetic, no torch.
namespace repsim::planner {

/// What the selection frames or the test frames say of a receiver with its share.
struct Judged {
  std::optional<double> fidelity;  ///< 0..1; nothing: nothing was compared
  double low = 0;                  ///< lower end of its interval at JudgingRule::interval()
  std::int64_t detections = 0;     ///< of the original
  bool is_raw = false;             ///< raw outputs are compared: there are no detections to count
  bool is_bit_identical = false;
  bool is_pooled = false;  ///< `low` is of selection and test frames together, the rest of the test frames
};

/// A share holds if its receiver reaches the target, if the lower end of an interval lies at most a tolerance below the
/// target, and if the original finds enough on these frames. It has to hold on the selection frames and again on the
/// test frames. There the interval is that of both together: the selection frames have favoured this share, but they
/// count as evidence. How the numbers were chosen: docs/research/evidence.md.
struct JudgingRule {
  double confidence = 0;           ///< above 0: the lower end of this central interval has to reach the target itself
  double tolerance = 0.02;         ///< how far the lower end may lie below the target
  double pooled_tolerance = 0.01;  ///< the same where selection and test frames are taken together
  std::int64_t min_evidence = 30;

  static constexpr double kInterval = 0.8;  ///< central: one true fidelity in ten lies below its lower end

  /// The confidence of the central interval that is needed.
  [[nodiscard]] double interval() const { return confidence > 0 ? confidence : kInterval; }

  /// Whether the test frames are judged together with the selection frames. An interval that the user asks for is that
  /// of the test frames alone, which the plan reports.
  [[nodiscard]] bool pools() const { return confidence <= 0; }

  /// The number that has to reach the target: the fidelity, or less where few detections speak for it.
  /// @param accepted  the user lets this model share on less evidence: the fidelity itself counts
  [[nodiscard]] double supported(const Judged& judged, bool accepted) const {
    const double fidelity = judged.fidelity.value_or(0);
    if (accepted) return fidelity;
    if (confidence > 0) return judged.low;
    return std::min(fidelity, judged.low + (judged.is_pooled ? pooled_tolerance : tolerance));
  }

  /// Own detections that a part needs so that a share without any error can hold there, at least min_evidence: so many
  /// that Wilson's lower end of 1 (docs/internals/contracts.md, the interval) reaches what is asked for. With fewer,
  /// every share would be refused.
  /// @param target  0..1; beyond what any number supports the result is kNoNumber
  /// @param block  frames that a bootstrap draws together: detections in one of them count as one
  [[nodiscard]] std::int64_t wanted(double target, std::int64_t block) const;

  static constexpr std::int64_t kNoNumber = 1'000'000'000;

  [[nodiscard]] bool holds(const Judged& judged, double target, bool accepted) const {
    if (judged.is_bit_identical) return true;
    if (!judged.fidelity) return accepted;
    if (!accepted && !judged.is_raw && judged.detections < min_evidence) return false;
    return supported(judged, accepted) >= target;
  }
};

}  // namespace repsim::planner
