#include "placement.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "repsim/base/error.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

/// Half to even, as Python's round(): the libraries that people export with compute these sizes there.
std::int64_t round_even(double value) { return static_cast<std::int64_t>(std::nearbyint(value)); }

/// Both sides by the same factor, at least one pixel each.
Placement scaled(std::int64_t frame_width, std::int64_t frame_height, double scale) {
  Placement placement;
  placement.width = std::max<std::int64_t>(1, round_even(static_cast<double>(frame_width) * scale));
  placement.height = std::max<std::int64_t>(1, round_even(static_cast<double>(frame_height) * scale));
  return placement;
}

}  // namespace

Placement place(const model::InputSpec& spec, std::int64_t frame_width, std::int64_t frame_height) {
  const double scale_x = static_cast<double>(spec.width) / static_cast<double>(frame_width);
  const double scale_y = static_cast<double>(spec.height) / static_cast<double>(frame_height);
  switch (spec.resize) {
    case model::Resize::kStretch:
      break;
    case model::Resize::kLetterbox: {
      Placement placement = scaled(frame_width, frame_height, std::min(scale_x, scale_y));
      placement.left = round_even(static_cast<double>(spec.width - placement.width) / 2 - 0.1);
      placement.top = round_even(static_cast<double>(spec.height - placement.height) / 2 - 0.1);
      return placement;
    }
    case model::Resize::kCrop: {
      constexpr std::int64_t kMostPixels = 32767;  // OpenCV's limit for a side
      Placement placement = scaled(frame_width, frame_height, std::max(scale_x, scale_y));
      if (std::max(placement.width, placement.height) > kMostPixels) {
        throw input_error("frames of " + std::to_string(frame_width) + "x" + std::to_string(frame_height) +
                              " are too narrow to be cropped to " + std::to_string(spec.width) + "x" +
                              std::to_string(spec.height),
                          "input.resize", "use letterbox or stretch");
      }
      placement.left = -round_even(static_cast<double>(placement.width - spec.width) / 2);
      placement.top = -round_even(static_cast<double>(placement.height - spec.height) / 2);
      return placement;
    }
  }
  return {spec.width, spec.height, 0, 0};
}

AffineMap input_to_frame(const model::InputSpec& spec, std::int64_t frame_width, std::int64_t frame_height) {
  const Placement placement = place(spec, frame_width, frame_height);
  const auto width = static_cast<double>(placement.width), height = static_cast<double>(placement.height);
  AffineMap map;
  map.scale_x = static_cast<double>(spec.width) / width;
  map.scale_y = static_cast<double>(spec.height) / height;
  map.offset_x = -static_cast<double>(placement.left) / width;
  map.offset_y = -static_cast<double>(placement.top) / height;
  return map;
}

}  // namespace repsim::video
