#include <algorithm>
#include <cmath>
#include <utility>

#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

std::string size_text(const PlaylistVideo& video) {
  return video.name + " " + std::to_string(video.info.width) + "x" + std::to_string(video.info.height);
}

/// Whether two maps lead every point of the input to one place, up to half a pixel of the input.
bool agree(const AffineMap& a, const AffineMap& b, const model::InputSpec& spec) {
  const auto apart = [](double scale, double offset, std::int64_t pixels) {
    return std::max(std::abs(offset), std::abs(scale + offset)) * static_cast<double>(pixels) >= 0.5;
  };
  return !apart(a.scale_x - b.scale_x, a.offset_x - b.offset_x, spec.width) &&
         !apart(a.scale_y - b.scale_y, a.offset_y - b.offset_y, spec.height);
}

}  // namespace

Playlist::Playlist(VideoInfo only) {
  if (only.path.empty()) return;
  videos_.push_back({std::move(only)});
}

Playlist::Playlist(std::vector<PlaylistVideo> videos) : videos_(std::move(videos)) {
  std::int64_t first = 0;
  for (PlaylistVideo& video : videos_) {
    video.first = first;
    first += video.info.frame_count;
  }
}

std::int64_t Playlist::frame_count() const {
  return videos_.empty() ? 0 : videos_.back().first + videos_.back().info.frame_count;
}

Playlist::Place Playlist::place_of(std::int64_t frame) const {
  if (frame < 0 || frame >= frame_count())
    throw Error(ErrorKind::kInternal, "the videos have no frame " + std::to_string(frame));
  const auto next =
      std::upper_bound(videos_.begin(), videos_.end(), frame,
                       [](std::int64_t value, const PlaylistVideo& video) { return value < video.first; });
  const auto video = std::prev(next);
  return {static_cast<std::size_t>(video - videos_.begin()), frame - video->first};
}

std::vector<std::int64_t> Playlist::counts_of(std::span<const std::int64_t> frames) const {
  std::vector<std::int64_t> counts;
  auto begin = frames.begin();
  for (const PlaylistVideo& video : videos_) {
    const auto end = std::lower_bound(begin, frames.end(), video.first + video.info.frame_count);
    counts.push_back(end - begin);
    begin = end;
  }
  return counts;
}

std::string Playlist::path() const {
  std::string text;
  for (const PlaylistVideo& video : videos_) text += (text.empty() ? "" : ", ") + video.info.path;
  return text;
}

std::string Playlist::sha256() const {
  std::vector<std::string> hashes;
  for (const PlaylistVideo& video : videos_) hashes.push_back(video.info.sha256);
  return sha256_of_hashes(hashes);
}

std::string sha256_of_hashes(std::span<const std::string> hashes) {
  if (hashes.empty()) return {};
  if (hashes.size() == 1) return hashes.front();
  std::string lines = "videos\n";
  for (const std::string& hash : hashes) lines += hash + "\n";
  return repsim::sha256(lines);
}

Playlist open_playlist(std::span<const VideoSource> sources, Progress& progress) {
  std::vector<PlaylistVideo> videos;
  for (const VideoSource& source : sources) {
    PlaylistVideo video{probe(source.path, progress), source.name, source.weight};
    for (const PlaylistVideo& other : videos) {
      if (other.info.sha256 != video.info.sha256) continue;
      throw input_error("two videos have the same content: '" + other.name + "' and '" + video.name + "'", source.path,
                        "name each video once; to draw more frames from one, give it a weight (docs/config.md)");
    }
    videos.push_back(std::move(video));
  }
  return Playlist(std::move(videos));
}

AffineMap input_to_frame(const model::InputSpec& spec, const Playlist& videos) {
  if (videos.empty()) return {};
  const PlaylistVideo& first = videos.videos().front();
  const AffineMap map = input_to_frame(spec, first.info.width, first.info.height);
  for (const PlaylistVideo& other : videos.videos()) {
    if (agree(map, input_to_frame(spec, other.info.width, other.info.height), spec)) continue;
    throw input_error("the videos have different aspect ratios, so that an input of " + std::to_string(spec.width) +
                          "x" + std::to_string(spec.height) + " (" + to_string(spec.resize) +
                          ") shows different parts of their frames: " + size_text(first) + ", " + size_text(other),
                      other.info.path,
                      "plan them apart, or bring them to one aspect ratio (ffmpeg -vf crop or pad); inputs that are "
                      "stretched take any");
  }
  return map;
}

}  // namespace repsim::video
