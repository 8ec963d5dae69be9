#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>

#include "repsim/base/progress.hpp"

namespace repsim::video {

/// Checks that all frames of the video that OpenCV would read have the size that its header states.
/// OpenCV does not check: its FFmpeg reader converts every frame as if it had the header's size. At best that gives
/// rescaled frames, at worst it reads beyond the memory of smaller ones. So call this before the first frame is read.
/// Damaged frames are not reported here; the reader names them.
/// @param most  the number of frames to check
/// @throws Error{kInput} naming the frame and both sizes, or that FFmpeg cannot decode the file; Error{kInterrupted}
/// Cost: frame headers alone for Motion JPEG, PNG and MPEG-4, key frames for H.264 and HEVC, else one decoding pass.
void check_frame_sizes(const std::filesystem::path& path, Progress& progress,
                       std::int64_t most = std::numeric_limits<std::int64_t>::max());

}  // namespace repsim::video
