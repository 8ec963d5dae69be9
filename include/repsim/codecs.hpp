#pragma once

#include <string>
#include <vector>

/// What the video and picture libraries of this process can read.
namespace repsim::video {

struct Codec {
  std::string name;       ///< "h264", ".png"
  bool readable = false;  ///< frames of this form decode
  bool common = false;    ///< people expect it: most videos of cameras have it, or repsim itself needs it
};

/// Video codecs that cameras and tools write. A codec counts as readable if this FFmpeg has a decoder that opens.
[[nodiscard]] std::vector<Codec> video_codecs();

/// Suffixes of pictures, each tried: OpenCV encodes a small picture and decodes it again.
[[nodiscard]] std::vector<Codec> picture_formats();

/// A library at run time, and as repsim was built with it.
struct LibraryVersion {
  std::string running, built;
};
[[nodiscard]] LibraryVersion opencv_version();
[[nodiscard]] LibraryVersion ffmpeg_version();  ///< of libavcodec, which decodes

}  // namespace repsim::video
