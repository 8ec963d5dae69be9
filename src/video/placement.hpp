#pragma once

#include <cstdint>

#include "repsim/model_spec.hpp"

namespace repsim::video {

/// The place of the whole frame in the model's input, in pixels of the input. The letterbox's border lies beyond it; a
/// crop cuts off the parts that lie outside of the input (left or top below 0).
struct Placement {
  std::int64_t width = 0, height = 0;  ///< of the resized frame
  std::int64_t left = 0, top = 0;
};

/// Sizes and borders of the letterbox are rounded as in Ultralytics (half to even, left = round(border / 2 - 0.1)),
/// those of the crop as in torchvision's CenterCrop.
/// @throws Error{kInput} when the crop of a very narrow frame would need a resized frame of more than 32767 pixels a
///         side
[[nodiscard]] Placement place(const model::InputSpec& spec, std::int64_t frame_width, std::int64_t frame_height);

}  // namespace repsim::video
