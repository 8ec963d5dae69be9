#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/videoio.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace repsim::test {

inline constexpr int kVideoWidth = 64, kVideoHeight = 48;

/// A frame that says which one it is: eight stripes, black or white, the bits of `index`.
inline cv::Mat striped_frame(std::int64_t index) {
  cv::Mat frame(kVideoHeight, kVideoWidth, CV_8UC3, cv::Scalar::all(20));
  for (int bit = 0; bit < 8; ++bit) {
    if (((index >> bit) & 1) != 0) frame(cv::Rect(bit * 8, 0, 8, kVideoHeight)).setTo(cv::Scalar::all(230));
  }
  return frame;
}

/// What striped_frame was made with, from pixels of any size that show the whole frame stretched.
inline std::int64_t index_of(const std::uint8_t* pixels, std::int64_t width, std::int64_t height) {
  std::int64_t index = 0;
  for (std::int64_t bit = 0; bit < 8; ++bit) {
    const std::int64_t x = (2 * bit + 1) * width / 16;
    if (pixels[(height / 2 * width + x) * 3] > 125) index |= std::int64_t{1} << bit;
  }
  return index;
}

/// Frames that differ in every pixel and channel, the same in every run.
inline cv::Mat noise_frame(std::int64_t index, int width = kVideoWidth, int height = kVideoHeight) {
  cv::Mat frame(height, width, CV_8UC3);
  cv::RNG random(static_cast<std::uint64_t>(index) + 1);
  random.fill(frame, cv::RNG::UNIFORM, 0, 256);
  return frame;
}

/// Motion JPEG in AVI, as cameras write it.
inline void write_avi(const std::filesystem::path& path, std::int64_t frames,
                      const std::function<cv::Mat(std::int64_t)>& frame = striped_frame) {
  const cv::Size size = frame(0).size();
  cv::VideoWriter writer(path.string(), cv::CAP_OPENCV_MJPEG, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), 25, size);
  if (!writer.isOpened()) throw std::runtime_error("cannot write " + path.string());
  for (std::int64_t i = 0; i < frames; ++i) writer.write(frame(i));
}

/// Images one after the other, which FFmpeg reads as a video.
/// @param format  of one image, as a file name ends: ".png"
inline void write_images(const std::filesystem::path& path, const std::string& format,
                         const std::vector<cv::Mat>& frames) {
  std::ofstream file(path, std::ios::binary);
  for (const cv::Mat& frame : frames) {
    std::vector<unsigned char> bytes;
    cv::imencode(format, frame, bytes);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
}

/// Writes a video without any loss, as PNG images.
inline void write_lossless(const std::filesystem::path& path, const std::vector<cv::Mat>& frames) {
  write_images(path, ".png", frames);
}

}  // namespace repsim::test
