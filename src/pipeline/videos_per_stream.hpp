#pragma once

#include <string>
#include <vector>

#include "repsim/open_plan.hpp"

namespace repsim::pipeline {

/// Videos that `--video NAME=PATH` states for the streams of a plan, NAME being a stream.
/// @param given  paths are "NAME=PATH"; several of one stream are taken together
/// @param command  for errors
/// @return per stream, one or more
/// @throws Error{kUsage} where a stream has none, or there is no such stream
[[nodiscard]] std::vector<rebuild::StreamVideos> videos_per_stream(const std::vector<video::VideoSource>& given,
                                                                   const std::vector<report::PlanStream>& streams,
                                                                   const std::string& command);

/// "NAME=PATH" of `--video`, taken apart. @throws Error{kUsage}
struct NamedVideo {
  std::size_t stream = 0;  ///< index in `streams`
  std::string path;
};
[[nodiscard]] NamedVideo named_video(const std::string& text, const std::vector<std::string>& streams);

}  // namespace repsim::pipeline
