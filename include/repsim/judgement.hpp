#pragma once

#include <cstdint>
#include <optional>

/// When the test frames support a share. Plain arithmetic, no torch.
namespace repsim::planner {

/// What the test frames say of a receiver with its share.
struct Judged {
  std::optional<double> fidelity;  ///< 0..1; nothing: nothing was compared
  double low = 0;                  ///< lower end of its interval at JudgingRule::interval() of this look
  std::int64_t detections = 0;     ///< of the original
  bool is_raw = false;             ///< raw outputs are compared: there are no detections to count
  bool is_bit_identical = false;
};

/// A share holds if its receiver reaches the target, if the lower end of an interval lies at most `tolerance` below the
/// target, and if the original finds enough on these frames. How the numbers were chosen: docs/research/evidence.md.
struct JudgingRule {
  double confidence = 0;    ///< above 0: the lower end of this central interval has to reach the target itself
  double tolerance = 0.02;  ///< how far the lower end may lie below the target
  double doubt = 0.10;      ///< chance, over all looks, that a true fidelity lies below the lower end
  std::int64_t min_evidence = 30;

  /// The confidence of the central interval whose lower end look number `look` asks for. The doubt is divided by the
  /// number of looks (Bonferroni): of several plans that are shown to the same frames, one may hold by luck.
  /// @param look  from 1
  [[nodiscard]] double interval(std::int64_t look) const {
    return confidence > 0 ? confidence : 1 - 2 * doubt / static_cast<double>(look);
  }

  /// @param accepted  the user lets this model share on less evidence
  [[nodiscard]] bool holds(const Judged& judged, double target, bool accepted) const {
    if (judged.is_bit_identical) return true;
    if (!judged.fidelity) return accepted;
    if (*judged.fidelity < target) return false;
    if (accepted) return true;
    if (!judged.is_raw && judged.detections < min_evidence) return false;
    return judged.low >= (confidence > 0 ? target : target - tolerance);
  }
};

}  // namespace repsim::planner
