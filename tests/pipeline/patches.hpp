#pragma once

#include <cstdint>
#include <opencv2/imgproc.hpp>

#include "video/small_video.hpp"

namespace repsim::test {

/// Large coloured patches that change from frame to frame.
inline cv::Mat patches(std::int64_t index) {
  cv::RNG random(static_cast<std::uint64_t>(index) + 100);
  cv::Mat coarse(6, 8, CV_8UC3), frame;
  random.fill(coarse, cv::RNG::UNIFORM, 0, 256);
  cv::resize(coarse, frame, cv::Size(kVideoWidth, kVideoHeight), 0, 0, cv::INTER_CUBIC);
  return frame;
}

}  // namespace repsim::test
