#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/frame_picture.hpp"
#include "repsim/verify_metrics.hpp"

/// What `repsim run` found, as plain data, and its forms (docs/outputs.md).
namespace repsim::report {

/// What one model found on one frame.
struct FrameDetections {
  std::int64_t frame = 0;  ///< index in the video
  std::string model;
  std::string stream = {};   ///< on whose frames it runs; empty: the bundle has one stream
  bool is_original = false;  ///< the model as it was before merging
  std::string method;        ///< what was called: "forward", "run_front"
  bool is_raw = false;       ///< the outputs of this model are no detections
  model::Detections boxes;   ///< relative to the frame, as verify::suppress() leaves them
  double milliseconds = 0;   ///< of the call, without decoding and preprocessing
};

/// A line of JSON, with its line break. Boxes in pixels of the frame, three decimals; scores with six.
/// @param classes  names of labels
[[nodiscard]] std::string to_json_line(const FrameDetections& found, const PictureSize& frame,
                                       const std::vector<std::string>& classes);

/// How a model of a bundle fared against its original, summed over frames.
struct RunComparison {
  std::int64_t own = 0, kept = 0, false_alarms = 0;  ///< detections
  double milliseconds = 0;                           ///< of the original, median over frames
};

struct RunModel {
  std::string name;
  bool is_raw = false;
  std::int64_t detections = 0;  ///< on all frames
  double milliseconds = 0;      ///< of the call that gave its results, median over frames
  std::optional<RunComparison> against;
};

/// A whole run, or its part on one stream.
struct RunSummary {
  std::string stream;  ///< empty: the bundle has one stream
  std::string video_path;
  std::int64_t frames = 0;
  double seconds = 0;        ///< of decoding, running, drawing and writing
  bool is_one_call = false;  ///< one call ran all models: their milliseconds are the same
  std::vector<RunModel> models;
  std::vector<std::string> written;  ///< files
};

/// For a terminal. Final newline.
[[nodiscard]] std::string to_text(const RunSummary& run);

}  // namespace repsim::report
