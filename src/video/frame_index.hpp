#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/video.hpp"

namespace repsim::video {

/// A frame at which decoding can begin: it and all later frames come out as in decoding from the start.
struct AccessPoint {
  std::int64_t frame = 0;         ///< index in the video
  std::int64_t pts = 0, dts = 0;  ///< of its packet, in the stream's units of time
};

/// Which frames a video file has and where decoding can begin, without decoding it.
struct FrameIndex {
  std::int64_t frame_count = 0;
  std::vector<AccessPoint> points;  ///< ascending; at least kLeastGap frames apart
};

/// Access points closer than this are left out: decoding so many frames costs less than seeking.
inline constexpr std::int64_t kLeastGap = 16;

/// What the packets of a file say.
struct PacketTimes {
  std::vector<std::int64_t> pts;    ///< of all packets
  std::vector<AccessPoint> points;  ///< in the file's order; `frame` is not set
};

/// Sorts frames by the times at which they are shown.
/// @param first  time of the first frame that decodes: earlier ones do not count
/// @return nothing where two frames have one time
[[nodiscard]] std::optional<FrameIndex> index_of(PacketTimes times, std::int64_t first);

/// An index, or why there is none.
struct IndexOrReason {
  std::shared_ptr<FrameIndex> index;
  std::string reason;
};
/// Reads all packets of a file, and decodes none. There is an index for H.264, HEVC and codecs whose frames are all
/// independent, in MP4, MOV, Matroska and AVI, where every packet has its own time, is one whole frame, and is shown.
/// @param first  time of the first frame that decodes
/// @throws Error{kInput}; Error{kInterrupted}
[[nodiscard]] IndexOrReason read_frame_index(const std::filesystem::path& path, std::int64_t first, Progress& progress);

}  // namespace repsim::video
