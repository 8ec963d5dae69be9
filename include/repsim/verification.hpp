#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::report {

/// What `repsim verify` measured on a bundle, as plain data.
struct Verification {
  struct Model {
    std::string name;
    verify::Fidelity fidelity;                 ///< without baselines
    std::optional<verify::Accuracy> accuracy;  ///< with ground truth
    double min_fidelity = 0;                   ///< that the plan asks of this model, 0..1
    [[nodiscard]] bool holds() const { return fidelity.value >= min_fidelity; }
  };
  std::string video_path;
  std::vector<std::int64_t> frames;  ///< indices in the video, ascending
  std::vector<Model> models;         ///< in the order of the plan
  double min_fidelity = 0;           ///< of models of which the plan asks no other, 0..1
  [[nodiscard]] bool holds() const;  ///< every model keeps its min_fidelity
};

/// All digits of what was measured.
[[nodiscard]] Json to_json(const Verification& verification);
/// For a terminal: one line per model, then whether the plan holds. Final newline.
[[nodiscard]] std::string to_text(const Verification& verification);

}  // namespace repsim::report
