#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "repsim/settings.hpp"
#include "repsim/video_source.hpp"

/// Which models of a job run on the same frames. No torch.
namespace repsim::config {

/// Models that run on one list of videos.
struct Stream {
  std::string name;                        ///< unique among the streams of a job
  std::vector<std::size_t> models;         ///< indices in Settings::models, ascending
  std::vector<video::VideoSource> videos;  ///< as in Settings; empty: none is given
  std::optional<std::string> truth;        ///< ground truth of a single video
};

/// The streams of a job, in the order of their first models. Models with equal lists of videos are one stream; so are
/// all models where none has videos of its own.
[[nodiscard]] std::vector<Stream> streams_of(const Settings& settings);

/// The stream of a job that cannot have several.
/// @param command  "repsim validate", for the error
/// @throws Error{kUsage} where there are several
[[nodiscard]] Stream only_stream(const Settings& settings, const std::string& command);

}  // namespace repsim::config
