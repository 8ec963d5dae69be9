#include "frame_sizes.hpp"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <array>
#include <memory>
#include <string>

#include "repsim/base/error.hpp"

namespace repsim::video {
namespace {

struct Free {
  void operator()(AVFormatContext* input) const { avformat_close_input(&input); }
  void operator()(AVCodecContext* decoder) const { avcodec_free_context(&decoder); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
template <typename Object>
using Owned = std::unique_ptr<Object, Free>;

Error undecodable(const std::filesystem::path& path, const std::string& why) {
  return input_error("is no video that FFmpeg can decode: " + why, path.string(),
                     "check it with ffprobe, or convert it: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4");
}

std::string text_of(int failure) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(failure, text.data(), text.size());
  return text.data();
}

/// Which frames the decoder may skip without missing a change of size. Videos of other codecs are decoded completely:
/// in VP9 and AV1, for example, any frame can have another size.
AVDiscard skippable(AVCodecID codec) {
  switch (codec) {
    // Sizes are in the headers of frames, which these decoders read of skipped frames too; MSMPEG4 holds none at all.
    case AV_CODEC_ID_MJPEG:
    case AV_CODEC_ID_PNG:
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_MSMPEG4V2:
    case AV_CODEC_ID_MSMPEG4V3:
      return AVDISCARD_ALL;
    // Sizes are in parameter sets, which a key frame puts into force.
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
      return AVDISCARD_NONKEY;
    default:
      return AVDISCARD_DEFAULT;
  }
}

struct Size {
  int width = 0, height = 0;
  bool operator==(const Size&) const = default;
  [[nodiscard]] std::string text() const { return std::to_string(width) + "x" + std::to_string(height); }
};

/// The first video stream of a file, which is the one that OpenCV takes, and its decoder.
class Stream {
 public:
  explicit Stream(const std::filesystem::path& path) : path_(path) {
    AVFormatContext* input = nullptr;
    // Absolute: "concat:a.avi" would be a protocol, not a file.
    int result = avformat_open_input(&input, std::filesystem::absolute(path).c_str(), nullptr, nullptr);
    if (result < 0) throw undecodable(path, text_of(result));
    input_.reset(input);
    result = avformat_find_stream_info(input, nullptr);
    if (result < 0) throw undecodable(path, text_of(result));
    for (unsigned i = 0; i < input->nb_streams && stream_ == nullptr; ++i) {
      if (input->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) stream_ = input->streams[i];
    }
    if (stream_ == nullptr) throw undecodable(path, "there is no video in it");
    open_decoder();
  }

  [[nodiscard]] Size announced() const { return {stream_->codecpar->width, stream_->codecpar->height}; }

  /// Calls see(index, size) for each frame, skipped ones included, until it returns false.
  template <typename See>
  void each(Progress& progress, const See& see) {
    const Owned<AVPacket> packet(av_packet_alloc());
    const Owned<AVFrame> frame(av_frame_alloc());
    std::int64_t packets = 0, frames = 0;
    bool more = true;
    while (more) {
      // An empty packet, which stands for a repeated frame, would tell the decoder that the video ends here.
      const bool read = av_read_frame(input_.get(), packet.get()) >= 0;
      const bool ours = read && packet->stream_index == stream_->index && packet->size > 0;
      if (ours || !read) {
        // Damaged frames are the reader's to report.
        static_cast<void>(avcodec_send_packet(decoder_.get(), read ? packet.get() : nullptr));
        while (avcodec_receive_frame(decoder_.get(), frame.get()) >= 0) {
          if (whole_ && more) more = see(frames++, Size{frame->width, frame->height});
        }
        // Frames are few or none where they may be skipped; the decoder itself knows the size.
        if (!whole_ && ours && more) more = see(packets++, Size{decoder_->width, decoder_->height});
      }
      av_packet_unref(packet.get());
      progress.step(0);
      more = more && read;
    }
  }

 private:
  void open_decoder() {
    const AVCodec* codec = avcodec_find_decoder(stream_->codecpar->codec_id);
    if (codec == nullptr) throw undecodable(path_, "there is no decoder for it");
    decoder_.reset(avcodec_alloc_context3(codec));
    decoder_->skip_frame = skippable(codec->id);
    decoder_->skip_loop_filter = AVDISCARD_ALL;  // the pixels are not used
    whole_ = decoder_->skip_frame == AVDISCARD_DEFAULT;
    // With several threads the decoder's size lags behind the packets; its frames know their own.
    decoder_->thread_count = whole_ ? 0 : 1;
    int result = avcodec_parameters_to_context(decoder_.get(), stream_->codecpar);
    if (result >= 0) result = avcodec_open2(decoder_.get(), codec, nullptr);
    if (result < 0) throw undecodable(path_, text_of(result));
  }

  std::filesystem::path path_;
  Owned<AVFormatContext> input_;
  Owned<AVCodecContext> decoder_;
  const AVStream* stream_ = nullptr;
  bool whole_ = true;  // every frame is decoded
};

}  // namespace

void check_frame_sizes(const std::filesystem::path& path, Progress& progress, std::int64_t most) {
  Stream stream(path);
  const Size announced = stream.announced();
  stream.each(progress, [&](std::int64_t index, const Size& size) {
    if (size == announced) return index + 1 < most;
    throw input_error("has " + size.text() + " pixels, " +
                          (index == 0 ? "the video's header says " : "the frames before it have ") + announced.text(),
                      path.string() + ": frame " + std::to_string(index),
                      "bring all frames to one size: ffmpeg -i INPUT -vf scale=" + std::to_string(announced.width) +
                          ":" + std::to_string(announced.height) + " -c:v libx264 OUTPUT.mp4");
  });
}

}  // namespace repsim::video
