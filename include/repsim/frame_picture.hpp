#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "repsim/verify_metrics.hpp"

/// Pictures of frames on which a merged model and its original differ, for report.html.
namespace repsim::report {

struct PictureSize {
  std::int64_t width = 0, height = 0;  ///< pixels
};

/// The size of the picture of a frame: its own, or with the longer side 640 where that is smaller.
[[nodiscard]] PictureSize picture_size(std::int64_t width, std::int64_t height);

struct FramePicture {
  std::string model;
  std::int64_t frame = 0;  ///< index in the video
  std::string video = {};  ///< its name, where there are several
  PictureSize size;
  std::int64_t kept = 0, missed = 0, false_alarms = 0;  ///< boxes
  std::string uri;                                      ///< "data:image/jpeg;base64,..."
};

/// Draws the boxes on the frame: kept ones in grey, missed ones in orange, false alarms in pink.
/// @param bgr  height * width * 3 bytes
[[nodiscard]] FramePicture frame_picture(const std::string& model, std::span<const std::uint8_t> bgr,
                                         const PictureSize& size, const verify::FrameBoxes& boxes);

}  // namespace repsim::report
