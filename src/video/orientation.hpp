#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <span>
#include <string>

namespace repsim::video {

/// How a frame is turned before anything else sees it: mirrored (left and right change places) if `mirrored`, then
/// turned clockwise.
struct Orientation {
  bool mirrored = false;
  int quarter_turns = 0;  ///< 0 to 3

  friend bool operator==(const Orientation&, const Orientation&) = default;
};

/// What a display matrix asks for.
struct MatrixReading {
  Orientation orientation;  ///< the nearest of the eight orientations
  double off_degrees = 0;   ///< by how much the matrix's angle differs from it, 0 to 45
};

/// Reads a display matrix as containers store it and FFmpeg hands it on: row by row, a point (x, y) of the frame goes
/// to (m[0] x + m[3] y, m[1] x + m[4] y). Translation and scale are not read. A matrix of zeros asks for nothing.
[[nodiscard]] MatrixReading read_display_matrix(std::span<const std::int32_t, 9> matrix);

/// The frame as it is to be seen. Without turns it is the frame itself, not a copy.
[[nodiscard]] cv::Mat turned(const cv::Mat& frame, const Orientation& orientation);

/// "mirrored and turned by 90 degrees clockwise".
[[nodiscard]] std::string to_words(const Orientation& orientation);

}  // namespace repsim::video
