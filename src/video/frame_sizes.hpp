#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>

#include "repsim/base/progress.hpp"

namespace repsim::video {

/// Goes through the video that OpenCV would read and makes sure that all its frames have the size that its header says.
/// OpenCV does not: its FFmpeg reader converts every frame as if it had the header's size, which at best hands out
/// rescaled frames and at worst reads beyond the memory of smaller ones. So this comes before the first frame is asked
/// for. Damaged frames are left to the reader, which names them.
/// @param most  frames to look at
/// @throws Error{kInput} naming the frame and both sizes, or that FFmpeg cannot decode the file; Error{kInterrupted}
/// Cost: frame headers alone for Motion JPEG, PNG and MPEG-4, key frames for H.264 and HEVC, else one decoding pass.
void check_frame_sizes(const std::filesystem::path& path, Progress& progress,
                       std::int64_t most = std::numeric_limits<std::int64_t>::max());

}  // namespace repsim::video
