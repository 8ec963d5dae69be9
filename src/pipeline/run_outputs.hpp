#pragma once

#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/input_files.hpp"
#include "repsim/detection_tiles.hpp"
#include "repsim/frame_stream.hpp"
#include "repsim/run.hpp"
#include "repsim/video_writer.hpp"

namespace repsim::pipeline {

/// What is drawn and written of a model.
struct ShownModel {
  std::vector<std::string> classes;
  double min_score = 0;
};

/// What a merged model and its original make of one frame, by their scores' thresholds.
struct FrameComparison {
  verify::FrameBoxes boxes;
  std::int64_t own = 0;  ///< the original's detections
};
[[nodiscard]] FrameComparison compare_detections(const model::Detections& merged, const model::Detections& original,
                                                 double min_score);

/// The detections of a score of at least `min_score`, compared as float32, as models return scores.
[[nodiscard]] model::Detections of_score(const model::Detections& boxes, double min_score);

/// The drawn video and the file of lines of a run. Both are put into their places by commit(), and only there.
class RunOutputs {
 public:
  /// Checks the places of the files, before any work. @throws Error{kInput, kUsage}
  /// @param inputs  what is read
  RunOutputs(const RunSettings& settings, std::span<const InputFile> inputs);

  /// Makes the files, before each video; the file of lines goes on through all of them. @param models  names do not
  /// matter, their number does @throws Error{kInput}
  void open(const video::FrameStream& video, std::int64_t models);
  /// Draws and writes one frame.
  /// @param found  as FrameRunner::run() returns it @param shown  per model
  void add(video::FrameStream& video, const std::vector<report::FrameDetections>& found,
           const std::vector<ShownModel>& shown);
  /// @return the files
  [[nodiscard]] std::vector<std::string> commit();

 private:
  void add_lines(const report::PictureSize& frame, const std::vector<report::FrameDetections>& found,
                 const std::vector<ShownModel>& shown);
  void add_picture(video::FrameStream& video, const std::vector<report::FrameDetections>& found,
                   const std::vector<ShownModel>& shown);
  [[noreturn]] void fail_lines() const;

  const RunSettings& settings_;
  std::optional<StagedFile> draw_place_, json_place_;
  std::ofstream lines_;
  report::TileGrid grid_;
  std::unique_ptr<video::VideoWriter> writer_;
};

}  // namespace repsim::pipeline
