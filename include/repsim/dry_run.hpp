#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/model_spec.hpp"

namespace repsim::report {

/// What `repsim plan --dry-run` says: the plan's job up to its first measurement.
struct DryRun {
  struct Model {
    std::string name;
    std::int64_t layers = 0;
    std::int64_t bytes = 0;                                   ///< of parameters and buffers
    int input_group = 0;                                      ///< models of one group take the same tensor
    model::OutputFormat format = model::OutputFormat::kAuto;  ///< as recognised
    std::string opaque_reason;                                ///< empty: the model is rewritable
  };
  struct Direction {
    std::string receiver;
    std::vector<std::string> donors;  ///< several: cuts whose layers come from different donors
  };
  /// One of several videos.
  struct Video {
    std::string name, path;
    std::int64_t frames = 0;       ///< that it would sample
    std::int64_t frame_count = 0;  ///< that the video has
  };
  /// Models that would run on the same frames.
  struct Stream {
    std::string name, video_path;  ///< of several videos all paths, with ", " between them
    std::vector<std::string> models;
    std::int64_t video_frames = 0;  ///< of its videos together
    std::vector<Video> videos;      ///< empty where it has one
  };
  std::vector<Model> models;          ///< in plan order
  std::vector<Direction> directions;  ///< that a plan would consider
  std::int64_t frames = 0;            ///< that it would sample
  std::int64_t video_frames = 0;      ///< that the video has, or all videos together
  std::vector<Video> videos;          ///< empty where there is one
  std::string video_path, out;        ///< out: the folder it would write; empty: not said
  std::vector<Stream> streams;        ///< empty where there is one; `frames` are then sampled from each
};

/// For a terminal: one line per model and per direction, then frames, video and folder. Final newline.
[[nodiscard]] std::string to_text(const DryRun& dry_run);

}  // namespace repsim::report
