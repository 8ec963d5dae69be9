#pragma once

#include <cstdint>
#include <vector>

#include "repsim/session.hpp"

namespace repsim::pipeline {

/// Which frames do what: the first part of each video fits, the middle part chooses among candidates, the last part
/// tests the plan. Parts of the video rather than every third frame, since neighbouring frames are near-copies.
struct PlanFrames {
  std::vector<std::int64_t> calibration, selection, test;  ///< ascending numbers in the playlist
};

/// @param frames  sampled over all videos, see video::sample_frames()
/// @param holdout  the part of them that fits nothing, in (0, 1): selection and test frames, half each in each video.
///                 If there are too few for two parts, all of them are both
/// @throws Error{kInput} as video::sample_frames()
[[nodiscard]] PlanFrames split_frames(const video::Playlist& videos, std::int64_t frames, double holdout);

/// The test frames, changed in known ways: baselines of fidelity.
inline constexpr video::Perturbation kBaselines[] = {video::Perturbation::kJpeg95, video::Perturbation::kJpeg80,
                                                     video::Perturbation::kShiftOnePixel};

/// Stores of the frames that measure.
struct HoldoutStores {
  capture::Stores selection, test;
  std::vector<verify::Perturbed> perturbed;  ///< test frames, one per entry of kBaselines
};

/// Stores of all frames of a plan.
struct PlanStores {
  capture::Stores calibration;
  HoldoutStores holdout;
};
/// Decodes all of them in one pass. @throws as video::decode()
[[nodiscard]] PlanStores decode(const session::Session& session, const PlanFrames& frames, Progress& progress);

/// Decodes the video once. A background thread decodes the hold-out frames while capture runs.
class PlanDecoding {
 public:
  /// Session, frames and progress outlive the object. @throws as video::decode()
  PlanDecoding(const session::Session& session, const PlanFrames& frames, Progress& progress);

  /// To be called once.
  [[nodiscard]] capture::Stores calibration() { return decoding_.first(); }
  /// Waits for them. To be called once. @throws as video::decode()
  [[nodiscard]] HoldoutStores holdout(Progress& progress);

 private:
  const session::Session& session_;
  video::DecodeBehind decoding_;
};

}  // namespace repsim::pipeline
