#pragma once

#include <cstdint>
#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <opencv2/videoio.hpp>
#include <string>

#include "repsim/base/error.hpp"

namespace repsim::video {

/// A video file, frame after frame. OpenCV's exceptions become Error{kInput} that names the file.
class Reader {
 public:
  /// @throws Error{kInput} when the file is missing, no regular file, empty or no video
  explicit Reader(const std::filesystem::path& path);

  /// Decodes the next frame; false at the end.
  /// @throws Error{kInput} naming a damaged frame, if more frames follow
  [[nodiscard]] bool next();
  /// Index of the frame that next() decoded last, from 0; -1 before the first.
  [[nodiscard]] std::int64_t index() const { return index_; }
  /// The frame that next() decoded last: 8 bits, BGR. @throws Error{kInput} naming the frame
  [[nodiscard]] cv::Mat frame();
  /// The number of frames as the container states it; 0 when it states none, or an impossible one.
  [[nodiscard]] std::int64_t announced_frames() const;
  /// An Error{kInput} about a frame.
  [[nodiscard]] Error frame_error(std::int64_t index, const std::string& problem) const;

 private:
  std::string path_;
  cv::VideoCapture capture_;
  std::int64_t index_ = -1;
};

}  // namespace repsim::video
