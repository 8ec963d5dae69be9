#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "orientation.hpp"
#include "repsim/base/error.hpp"

namespace repsim::video {

/// Frees what FFmpeg allocates.
struct FreeFfmpeg {
  void operator()(AVIOContext* file) const { avio_closep(&file); }
  void operator()(AVFormatContext* input) const { avformat_close_input(&input); }
  void operator()(AVCodecContext* decoder) const { avcodec_free_context(&decoder); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
template <typename Object>
using Owned = std::unique_ptr<Object, FreeFfmpeg>;

/// A video file that is open for decoding.
struct Container {
  Owned<AVIOContext> file;
  Owned<AVFormatContext> input;
  const AVStream* stream = nullptr;  ///< the one to decode
  Owned<AVCodecContext> decoder;
  std::optional<MatrixReading> display;  ///< the stream's display matrix; nothing: it has none
  std::string choice;                    ///< which stream was taken, for the log; empty: there is only one
};

/// Opens the file and a decoder for its main video: of several streams the one that is marked as default, of several
/// such the largest, then the first. Cover pictures and thumbnails are no video.
/// @throws Error{kInput} when FFmpeg cannot decode the file, or when it is text
[[nodiscard]] Container open_container(const std::filesystem::path& path);

/// What to type where a video cannot be used.
inline constexpr const char* kVideoRemedy =
    "check it with ffprobe, or convert it: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4";

}  // namespace repsim::video
