#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace cv {
class Mat;
}

namespace repsim::report {

/// A colour: red, green, blue, 8 bits each.
using Rgb = std::array<std::uint8_t, 3>;

/// A picture as the bytes of a PNG file, compressed as far as OpenCV can.
/// @param picture  CV_8UC3 (blue, green, red) or CV_8UC4 (with alpha: 0 is transparent), both sides at least 1
/// @throws Error{kInternal} where OpenCV cannot write PNG
[[nodiscard]] std::string png(const cv::Mat& picture);

/// The picture as an address that holds its own content: "data:image/png;base64,...".
/// @param picture  as for png()
[[nodiscard]] std::string png_data_uri(const cv::Mat& picture);

/// The picture as a JPEG file of quality 80 in an address: "data:image/jpeg;base64,...". @param picture  CV_8UC3
[[nodiscard]] std::string jpeg_data_uri(const cv::Mat& picture);

}  // namespace repsim::report
