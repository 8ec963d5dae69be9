#pragma once

#include <opencv2/core/mat.hpp>

#include "placement.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/video.hpp"

namespace repsim::video {

/// Resizes a frame into its place in `input`, and orders its channels.
/// @param placement  as place() gives it for the frame's size
/// @param input  8 bits, 3 channels, of the size of the model's input; its memory is written to
void draw_input(const cv::Mat& frame, const model::InputSpec& spec, const Placement& placement, cv::Mat& input);

/// The position of a store as a picture without memory of its own.
[[nodiscard]] cv::Mat picture_in(FrameStore& store, std::int64_t position);

}  // namespace repsim::video
