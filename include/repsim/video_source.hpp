#pragma once

#include <optional>
#include <string>

/// A video as a job names it, in plain words. Every stage may use this header.
namespace repsim::video {

struct VideoSource {
  std::string path = {};  ///< a file, a folder of pictures, or a numbered sequence of them
  std::string name = {};  ///< unique among the videos of a job; without meaning where there is one video
  /// How often frames of this video are drawn, beside those of the others: each video gets a part of the sampled frames
  /// that is proportional to its number of frames times its weight. Above 0.
  double weight = 1;
  std::optional<std::string> truth = {};  ///< ground truth; where there is one video, Settings::truth says it
};

}  // namespace repsim::video
