#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/verify_metrics.hpp"
#include "repsim/video_list.hpp"

namespace repsim::report {

/// What `repsim verify` measured on a bundle, as plain data.
struct Verification {
  struct Model {
    std::string name;
    verify::Fidelity fidelity;                 ///< without baselines
    std::optional<verify::Accuracy> accuracy;  ///< with ground truth
    double min_fidelity = 0;                   ///< that the plan asks of this model, 0..1
    /// Measured below min_fidelity. A model of which nothing could be compared is neither broken nor known to hold.
    [[nodiscard]] bool is_broken() const { return fidelity.is_known() && !fidelity.keeps(min_fidelity); }
  };
  std::string video_path;            ///< of several videos all paths, with ", " between them
  std::vector<ListedVideo> videos;   ///< empty where there is one
  std::vector<std::int64_t> frames;  ///< numbers in the playlist, ascending
  std::vector<Model> models;         ///< in the order of the plan
  double min_fidelity = 0;           ///< of models of which the plan asks no other, 0..1
  [[nodiscard]] bool holds() const;  ///< no model is broken
};

/// All digits of what was measured.
[[nodiscard]] Json to_json(const Verification& verification);
/// "agrees with its original: fidelity 0.953 [0.931, 0.972], ...": what was measured of a model, on one line.
[[nodiscard]] std::string verdict_in_words(const Verification::Model& model);
/// A table for a summary page of a CI system, then whether the plan holds. Final newline.
[[nodiscard]] std::string to_markdown(const Verification& verification);
/// For a terminal: one line per model, then whether the plan holds. Final newline.
[[nodiscard]] std::string to_text(const Verification& verification);

}  // namespace repsim::report
