#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "repsim/base/error.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

std::int64_t holdout_frames(std::int64_t count, double holdout) {
  const std::int64_t most = std::max<std::int64_t>(1, count - 1);
  return std::clamp<std::int64_t>(std::llround(static_cast<double>(count) * holdout), 1, most);
}

/// If this is true for a count, it is true for all larger ones: one frame more adds at most one to the hold-out.
bool enough(std::int64_t count, double holdout) { return count - holdout_frames(count, holdout) >= kMinibatchFrames; }

void check_holdout(double holdout) {
  if (holdout > 0 && holdout < 1) return;
  throw input_error("the hold-out part must be above 0 and below 1", "holdout", "--holdout 0.3");
}

/// The smallest number of frames that leaves a minibatch for calibration, if there is one up to `most`.
std::optional<std::int64_t> fewest(double holdout, std::int64_t most) {
  for (std::int64_t count = kMinibatchFrames + 1; count <= most; ++count) {
    if (enough(count, holdout)) return count;
  }
  return std::nullopt;
}

/// Every stride-th frame of a video, the last ones as its hold-out.
/// @param first  added to the frames' indices
void sample_evenly(const VideoInfo& video, std::int64_t first, std::int64_t count, double holdout, Sampling& sampling) {
  const std::int64_t calibration = count - holdout_frames(count, holdout);
  for (std::int64_t i = 0; i < count; ++i) {
    auto& part = i < calibration ? sampling.calibration : sampling.holdout;
    part.push_back(first + i * video.frame_count / count);
  }
}

/// How many of `count` frames each video gives. There are enough frames, and enough are asked for.
std::vector<std::int64_t> divide_frames(const std::vector<PlaylistVideo>& videos, std::int64_t count) {
  std::vector<std::int64_t> counts(videos.size(), kFewestPerVideo);
  // The video that is furthest below its part gets the next frame; the first one on a tie.
  double sum = 0;
  for (const PlaylistVideo& video : videos) sum += video.weight * static_cast<double>(video.info.frame_count);
  for (std::int64_t left = count - kFewestPerVideo * std::ssize(videos); left > 0; --left) {
    std::size_t next = videos.size();
    double most_missing = 0;
    for (std::size_t i = 0; i < videos.size(); ++i) {
      if (counts[i] == videos[i].info.frame_count) continue;
      const double part = videos[i].weight * static_cast<double>(videos[i].info.frame_count) / sum;
      const double missing = part * static_cast<double>(count) - static_cast<double>(counts[i]);
      if (next != videos.size() && missing <= most_missing) continue;
      next = i;
      most_missing = missing;
    }
    ++counts[next];
  }
  return counts;
}

/// The calibration frames of such a division.
std::int64_t calibration_frames(std::span<const std::int64_t> counts, double holdout) {
  std::int64_t calibration = 0;
  for (const std::int64_t count : counts) calibration += count - holdout_frames(count, holdout);
  return calibration;
}

}  // namespace

Sampling sample_frames(const VideoInfo& video, std::int64_t count, double holdout) {
  check_holdout(holdout);
  const std::string available = "the video has " + std::to_string(video.frame_count) + " frames";
  const auto least = fewest(holdout, video.frame_count);
  if (!least) {
    throw input_error(
        available + ", too few for a minibatch of 16 to calibrate beside a hold-out part of " + std::to_string(holdout),
        video.path, "take a longer video" + std::string(holdout > 0.3 ? " or a smaller --holdout" : ""));
  }
  if (count > video.frame_count) {
    throw input_error(available + ", fewer than the " + std::to_string(count) + " asked for", video.path,
                      "--frames " + std::to_string(video.frame_count) + " or fewer");
  }
  if (count < *least) {
    throw input_error(std::to_string(count) + " frames leave fewer than 16 (one minibatch) to calibrate", video.path,
                      "--frames " + std::to_string(*least) + " or more");
  }
  Sampling sampling;
  sample_evenly(video, 0, count, holdout, sampling);
  return sampling;
}

Sampling sample_frames(const Playlist& playlist, std::int64_t count, double holdout) {
  const std::vector<PlaylistVideo>& videos = playlist.videos();
  if (videos.size() == 1) return sample_frames(videos.front().info, count, holdout);
  check_holdout(holdout);
  const std::int64_t available = playlist.frame_count(), fewest_frames = kFewestPerVideo * std::ssize(videos);
  for (const PlaylistVideo& video : videos) {
    if (video.info.frame_count >= kFewestPerVideo) continue;
    const bool is_one = video.info.frame_count == 1;
    throw input_error("the video has " + std::to_string(video.info.frame_count) + (is_one ? " frame" : " frames") +
                          ", fewer than the " + std::to_string(kFewestPerVideo) + " that one of several videos needs",
                      video.info.path,
                      is_one ? "pictures that make up one video: name their folder, or img_%d.png"
                             : "leave it out, or take a longer one");
  }
  if (count > available) {
    throw input_error("the videos have " + std::to_string(available) + " frames, fewer than the " +
                          std::to_string(count) + " asked for",
                      playlist.path(), "--frames " + std::to_string(available) + " or fewer");
  }
  if (count < fewest_frames) {
    throw input_error(std::to_string(count) + " frames are too few for " + std::to_string(videos.size()) +
                          " videos: each needs " + std::to_string(kFewestPerVideo),
                      playlist.path(), "--frames " + std::to_string(fewest_frames) + " or more");
  }
  const std::vector<std::int64_t> counts = divide_frames(videos, count);
  if (calibration_frames(counts, holdout) < kMinibatchFrames) {
    throw input_error(
        std::to_string(count) + " frames of these videos leave fewer than 16 (one minibatch) to calibrate",
        playlist.path(), "a larger --frames or a smaller --holdout");
  }
  Sampling sampling;
  for (std::size_t i = 0; i < videos.size(); ++i)
    sample_evenly(videos[i].info, videos[i].first, counts[i], holdout, sampling);
  return sampling;
}

}  // namespace repsim::video
