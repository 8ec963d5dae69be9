#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"

/// The videos that a result was made from, as results state them. No torch.
namespace repsim::report {

/// One of several videos. Their order is that in which frame numbers count through them.
struct ListedVideo {
  std::string name, path, sha256;
  double weight = 1;
  std::int64_t frame_count = 0;
};

/// Frames that a result names, by what they did ("calibration"): numbers in the playlist, ascending.
struct NamedFrames {
  const char* key;
  const std::vector<std::int64_t>& frames;
};

/// Per video name, path, hash, weight, number of frames, the number of its first frame, and its own frames as indices
/// in the video.
[[nodiscard]] Json to_json(const std::vector<ListedVideo>& videos, const std::vector<NamedFrames>& frames);

/// Inverse of to_json(): reads the member `key` of `reader`; empty where it is absent.
/// @throws Error{kInput} also where the frames of a video are not those of `frames`, or there is only one video
[[nodiscard]] std::vector<ListedVideo> read_videos(JsonReader& reader, const std::string& key,
                                                   const std::vector<NamedFrames>& frames);

/// Those of `frames` that lie in video `index`, as indices in it.
[[nodiscard]] std::vector<std::int64_t> frames_in_video(const std::vector<ListedVideo>& videos, std::size_t index,
                                                        const std::vector<std::int64_t>& frames);

}  // namespace repsim::report
