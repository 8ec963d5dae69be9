#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan_frames.hpp"
#include "repsim/report.hpp"

/// Looks for frames on which the models at hand find something: fidelity rests on what the originals detect.
namespace repsim::pipeline {

struct EvidenceOptions {
  /// Detections of a receiver that a part with so many frames needs. Called for `models` only.
  std::function<std::int64_t(ModelIndex, std::int64_t frames)> wanted;
  std::int64_t scan_frames = 512;     ///< further frames that a model is run on, per part of the videos
  std::vector<ModelIndex> models;     ///< that may receive, and have detections
  std::vector<std::string> accepted;  ///< names of models that may share on less
};

/// Frames with what the models find on them.
struct EvidentFrames {
  PlanFrames frames;                                           ///< those that were given, and those that were found
  std::vector<std::optional<report::ModelEvidence>> evidence;  ///< per model; absent: raw outputs, or never a receiver
  [[nodiscard]] bool grew(const PlanFrames& before) const {
    return frames.calibration != before.calibration || frames.selection != before.selection ||
           frames.test != before.test;
  }
};

/// Counts the models' detections on the selection and test frames. Where a model finds less than wanted, runs it on
/// further frames of that part of the video, in growing steps evenly over the part, until it finds enough or the part
/// or scan_frames ends, and adds frames on which it finds something, evenly chosen. Models that are short anywhere get
/// further calibration frames in the same way. Models run as optimised copies.
/// @param calibration,holdout  stores of `frames`
/// @throws Error{kInput}, Error{kInterrupted}
[[nodiscard]] EvidentFrames find_evidence(const session::Session& session, const PlanFrames& frames,
                                          const capture::Stores& calibration, const HoldoutStores& holdout,
                                          const EvidenceOptions& options, Progress& progress);

/// Frames of [first, last).
struct FrameRange {
  std::int64_t first = 0, last = 0;
};
/// Frames of some ranges to look at next: `count` of those that are not in `seen`, evenly spaced over what is left of
/// all ranges, ascending; all that are left if there are fewer.
/// @param ranges  ascending
/// @param seen  ascending
[[nodiscard]] std::vector<std::int64_t> frames_between(const std::vector<FrameRange>& ranges,
                                                       const std::vector<std::int64_t>& seen, std::int64_t count);

/// A frame on which a model finds something.
struct Sighting {
  std::int64_t frame = 0;
  std::int64_t detections = 0;
};
/// Frames that together have at least `wanted` detections, as evenly spread over `sightings` as that allows: 1, 2, 4,
/// ... evenly spaced ones until they are enough; all if they are too few.
/// @param sightings  ascending
[[nodiscard]] std::vector<std::int64_t> spread_over(const std::vector<Sighting>& sightings, std::int64_t wanted);

}  // namespace repsim::pipeline
