#pragma once

#include <vector>

#include "repsim/video.hpp"
#include "repsim/video_list.hpp"

namespace repsim::pipeline {

/// The videos of a job as results list them; empty where there is one.
[[nodiscard]] std::vector<report::ListedVideo> listed_videos(const video::Playlist& playlist);

}  // namespace repsim::pipeline
