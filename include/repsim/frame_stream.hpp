#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "repsim/video.hpp"

namespace repsim::video {

/// A video, frame after frame, for jobs that look at each frame once and keep none. It reads the same frames, with the
/// same pixels, as probe() and decode().
class FrameStream {
 public:
  /// Opens the video and decodes its first frame. @throws Error{kInput} as check_readable() does
  explicit FrameStream(const std::filesystem::path& path);
  ~FrameStream();
  FrameStream(const FrameStream&) = delete;
  FrameStream& operator=(const FrameStream&) = delete;

  [[nodiscard]] std::int64_t width() const;   ///< pixels of all upright frames
  [[nodiscard]] std::int64_t height() const;  ///< pixels of all upright frames
  /// How many frames the container states; 0: none, or an impossible number.
  [[nodiscard]] std::int64_t announced_frames() const;
  /// How many frames are shown in a second; 0 where nothing states it, as for pictures.
  [[nodiscard]] double frames_per_second() const;

  /// Goes on to the next frame; the first call goes to the first one. False at the end.
  /// @throws Error{kInput} naming a frame that cannot be read, or that has another size than the first one
  [[nodiscard]] bool next();
  [[nodiscard]] std::int64_t index() const;  ///< of the current frame in the video, from 0
  /// The current frame, upright: height * width * 3 bytes, BGR. Valid until next(). @throws Error{kInput}
  [[nodiscard]] std::span<const std::uint8_t> pixels();
  /// Resizes the current frame into one position of a store. @throws Error{kInput} naming the frame
  void fill(FrameStore& store, std::int64_t position);
  /// Logs how the video was read, as probe() does. To be called once, at the end.
  void log_findings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace repsim::video
