#include "orientation.hpp"

#include <cmath>
#include <numbers>
#include <opencv2/core.hpp>

namespace repsim::video {

MatrixReading read_display_matrix(std::span<const std::int32_t, 9> matrix) {
  // Where the frame's x axis goes, and whether its y axis lies on the other side of it than in the frame.
  auto x = static_cast<double>(matrix[0]), y = static_cast<double>(matrix[1]);
  const auto y_axis_x = static_cast<double>(matrix[3]), y_axis_y = static_cast<double>(matrix[4]);
  if (x == 0 && y == 0) return {};
  MatrixReading reading;
  reading.orientation.mirrored = x * y_axis_y - y * y_axis_x < 0;
  if (reading.orientation.mirrored) {
    x = -x;
    y = -y;
  }
  const double degrees = std::atan2(y, x) * 180 / std::numbers::pi;  // clockwise, since y points down
  const auto turns = static_cast<int>(std::lround(degrees / 90));    // -2 to 2
  reading.orientation.quarter_turns = (turns + 4) % 4;
  reading.off_degrees = std::abs(degrees - 90.0 * turns);
  return reading;
}

cv::Mat turned(const cv::Mat& frame, const Orientation& orientation) {
  cv::Mat result = frame;
  if (orientation.mirrored) cv::flip(frame, result = cv::Mat(), 1);
  if (orientation.quarter_turns == 0) return result;
  const cv::RotateFlags turns[] = {cv::ROTATE_90_CLOCKWISE, cv::ROTATE_180, cv::ROTATE_90_COUNTERCLOCKWISE};
  cv::Mat upright;
  cv::rotate(result, upright, turns[orientation.quarter_turns - 1]);
  return upright;
}

std::string to_words(const Orientation& orientation) {
  std::string mirrored = orientation.mirrored ? "mirrored" : "";
  if (orientation.quarter_turns == 0) return mirrored;
  return mirrored + (mirrored.empty() ? "" : " and ") + "turned by " + std::to_string(90 * orientation.quarter_turns) +
         " degrees clockwise";
}

}  // namespace repsim::video
