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
  /// Models that were measured on the same frames.
  struct Stream {
    std::string name;
    std::vector<std::string> models;
    std::string video_path;            ///< as in Verification
    std::vector<ListedVideo> videos;   ///< as in Verification
    std::vector<std::int64_t> frames;  ///< numbers in the stream's playlist, ascending
  };
  struct Model {
    std::string name;
    verify::Fidelity fidelity;                 ///< without baselines
    std::optional<verify::Accuracy> accuracy;  ///< with ground truth
    double min_fidelity = 0;                   ///< that the plan asks of this model, 0..1
    /// What another engine returned, against the original in Torch; nothing: not given.
    std::optional<verify::Fidelity> original_on_engine = {}, bundle_on_engine = {};
    /// Measured below min_fidelity, in Torch or on the engine. A model of which nothing could be compared is neither
    /// broken nor known to hold.
    [[nodiscard]] bool is_broken() const {
      return is_below(fidelity) || (bundle_on_engine && is_below(*bundle_on_engine));
    }
    [[nodiscard]] bool is_below(const verify::Fidelity& measured) const {
      return measured.is_known() && !measured.keeps(min_fidelity);
    }
  };
  std::string video_path;            ///< of several videos all paths, with ", " between them
  std::vector<ListedVideo> videos;   ///< empty where there is one
  std::vector<std::int64_t> frames;  ///< numbers in the playlist, ascending
  std::vector<Stream> streams;       ///< empty where there is one; else the three members above are empty
  std::vector<Model> models;         ///< in the order of the plan
  double min_fidelity = 0;           ///< of models of which the plan asks no other, 0..1
  [[nodiscard]] bool holds() const;  ///< no model is broken
};

/// All digits of what was measured.
[[nodiscard]] Json to_json(const Verification& verification);
/// "agrees with its original: fidelity 0.953 [0.931, 0.972], ...": what was measured of a model, on one line.
[[nodiscard]] std::string verdict_in_words(const Verification::Model& model);
/// What merging loses of 1, what the engine loses of the original, and both together, as far as it is known: "on the
/// engine: bundle 0.941, original 0.998; merging loses 0.047, the engine 0.002, both 0.059". Empty without an engine.
[[nodiscard]] std::string engine_in_words(const Verification::Model& model);
/// A table for a summary page of a CI system, then whether the plan holds. Final newline.
[[nodiscard]] std::string to_markdown(const Verification& verification);
/// For a terminal: one line per model, then whether the plan holds. Final newline.
[[nodiscard]] std::string to_text(const Verification& verification);

}  // namespace repsim::report
