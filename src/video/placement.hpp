#pragma once

#include <cstdint>

#include "repsim/model_spec.hpp"

namespace repsim::video {

/// Where the whole frame lies in the model's input, in pixels of the input. Beyond it: the letterbox's border. What
/// lies outside of the input (left or top below 0): cut off by the crop.
struct Placement {
  std::int64_t width = 0, height = 0;  ///< of the resized frame
  std::int64_t left = 0, top = 0;
};

/// Sizes and borders of the letterbox round as Ultralytics does (half to even, left = round(border / 2 - 0.1)), those
/// of the crop as torchvision's CenterCrop.
/// @throws Error{kInput} when the crop of a very narrow frame would need a resized frame of more than 32767 pixels a
/// side
[[nodiscard]] Placement place(const model::InputSpec& spec, std::int64_t frame_width, std::int64_t frame_height);

}  // namespace repsim::video
