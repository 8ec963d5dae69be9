#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "repsim/fit/predictors.hpp"
#include "repsim/predictor.hpp"
#include "repsim/similarity.hpp"
#include "repsim/trial.hpp"
#include "repsim/validation.hpp"

/// The study of one ordered pair of models: many cuts, each with predictors and with what its merged model keeps.
namespace repsim::study {

struct Options {
  fit::AttachmentOptions attachment;  ///< without corrections
  std::int64_t cuts = 64;             ///< at most, per direction
  std::uint64_t seed = 0;             ///< of the drawn cuts and of random projections
};

/// What all directions of a study have in common. All of it outlives the study.
struct Setting {
  const session::Session& session;
  const Options& options;
  const similarity::ModelPairs& similarity;
  trial::CalibrationFrames& calibration;
  const std::vector<std::int64_t>& pilot_positions;  ///< of the pilot frames among the calibration frames
  const std::vector<std::int64_t>& holdout_frames;   ///< indices in the video
  trial::Measurer& pilot;                            ///< on the pilot frames: the cheap trial
  trial::Measurer& holdout;                          ///< on the hold-out frames
  Progress& progress;
};

/// A receiver, a donor, and their layers that may take part.
struct Direction {
  ModelIndex receiver = -1, donor = -1;
  std::vector<bool> replaceable, givable;  ///< per layer of the receiver, of the donor
};

struct DirectionResult {
  report::StudiedDirection direction;
  std::vector<report::StudiedCut> cuts;  ///< those that could be measured; their `direction` is not set
};

/// Draws cuts of this direction, fits each on the calibration frames and measures it on the hold-out frames.
/// @throws Error{kInterrupted}; a cut that cannot be computed is left out, with the reason
[[nodiscard]] DirectionResult study_direction(const Setting& setting, const Direction& direction);

}  // namespace repsim::study
