#include "listed_videos.hpp"

namespace repsim::pipeline {

std::vector<report::ListedVideo> listed_videos(const video::Playlist& playlist) {
  std::vector<report::ListedVideo> videos;
  if (!playlist.has_several()) return videos;
  for (const video::PlaylistVideo& one : playlist.videos())
    videos.push_back({one.name, one.info.path, one.info.sha256, one.weight, one.info.frame_count});
  return videos;
}

}  // namespace repsim::pipeline
