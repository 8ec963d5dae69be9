#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace repsim::video {

/// The form of a video to write.
struct WrittenVideo {
  std::int64_t width = 0, height = 0;  ///< pixels, both even
  double frames_per_second = 25;       ///< more than 0
};

/// @throws Error{kInput} when the ending of the name is none of a container that repsim writes (.mp4, .mov, .mkv, .avi,
///         .webm), or when this FFmpeg has no encoder for it
void check_writable_name(const std::filesystem::path& path);

/// Writes a video file, frame after frame. The ending of the name decides the container; the codec is the first of the
/// container's usual ones that this FFmpeg encodes (H.264, else MPEG-4 Part 2; VP9 or VP8 for .webm). Without finish()
/// the file is no whole video.
class VideoWriter {
 public:
  /// Makes the file and writes its head.
  /// @param shown  the name in errors: the place where the file will be in the end
  /// @throws Error{kInput} as check_writable_name() does, or when the file cannot be made
  VideoWriter(const std::filesystem::path& path, const std::filesystem::path& shown, const WrittenVideo& form);
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  /// Appends a frame. @param bgr  height * width * 3 bytes @throws Error{kInput} when the disk is full
  void write(std::span<const std::uint8_t> bgr);
  /// Ends the file and closes it. To be called once. @throws Error{kInput} when the disk is full
  void finish();
  [[nodiscard]] std::string codec() const;  ///< "h264"

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace repsim::video
