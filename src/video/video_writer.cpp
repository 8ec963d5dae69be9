#include "repsim/video_writer.hpp"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cctype>
#include <new>
#include <vector>

#include "container.hpp"
#include "repsim/base/posix.hpp"

namespace repsim::video {
namespace {

namespace fs = std::filesystem;

constexpr int kLargestRateTerm = 60000;  // MPEG-4 Part 2 takes no larger one than 65535
constexpr int kEncoderThreads = 1;       // the models need the cores, and equal frames give equal bytes
constexpr int kQuality = 4;              // of MPEG-4 Part 2: 1 is best, 31 worst

/// Which codecs a container usually holds, best first.
struct ContainerCodecs {
  const char* ending;
  std::array<AVCodecID, 2> codecs;
};
constexpr std::array kContainers{
    ContainerCodecs{".mp4", {AV_CODEC_ID_H264, AV_CODEC_ID_MPEG4}},
    ContainerCodecs{".mov", {AV_CODEC_ID_H264, AV_CODEC_ID_MPEG4}},
    ContainerCodecs{".mkv", {AV_CODEC_ID_H264, AV_CODEC_ID_MPEG4}},
    ContainerCodecs{".avi", {AV_CODEC_ID_MPEG4, AV_CODEC_ID_H264}},
    ContainerCodecs{".webm", {AV_CODEC_ID_VP9, AV_CODEC_ID_VP8}},
};

const ContainerCodecs& container_of(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  for (const ContainerCodecs& one : kContainers) {
    if (ending == one.ending) return one;
  }
  throw input_error(ending.empty() ? "the name has no ending that says which form of video to write"
                                   : "'" + ending + "' is no form of video that repsim writes",
                    path.string(), "a name that ends with .mp4, .mov, .mkv, .avi or .webm");
}

/// The encoders of this FFmpeg for a file of this name, best first.
std::vector<const AVCodec*> encoders_for(const fs::path& path) {
  std::vector<const AVCodec*> found;
  for (const AVCodecID codec : container_of(path).codecs) {
    if (const AVCodec* encoder = avcodec_find_encoder(codec)) found.push_back(encoder);
  }
  if (found.empty()) {
    throw input_error("this FFmpeg encodes no video for such a file", path.string(),
                      "another ending: .avi, .mp4 or .webm");
  }
  return found;
}

struct FreeOutput {
  void operator()(AVFormatContext* output) const {
    avio_closep(&output->pb);
    avformat_free_context(output);
  }
};
struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};

/// An open encoder, or nothing where this one does not work.
Owned<AVCodecContext> opened(const AVCodec* codec, const WrittenVideo& form, bool global_header) {
  Owned<AVCodecContext> encoder(avcodec_alloc_context3(codec));
  if (!encoder) throw std::bad_alloc();
  encoder->width = static_cast<int>(form.width);
  encoder->height = static_cast<int>(form.height);
  encoder->pix_fmt = AV_PIX_FMT_YUV420P;
  encoder->framerate = av_d2q(form.frames_per_second, kLargestRateTerm);
  encoder->time_base = av_inv_q(encoder->framerate);
  encoder->thread_count = kEncoderThreads;
  encoder->flags |= AV_CODEC_FLAG_BITEXACT;  // no version of the encoder in the file
  if (global_header) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  if (codec->id == AV_CODEC_ID_MPEG4) {
    encoder->flags |= AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = kQuality * FF_QP2LAMBDA;
  } else {
    // Options that an encoder does not have are no error.
    av_opt_set(encoder->priv_data, "preset", "veryfast", 0);
    av_opt_set(encoder->priv_data, "deadline", "realtime", 0);
    av_opt_set(encoder->priv_data, "crf", codec->id == AV_CODEC_ID_H264 ? "23" : "32", 0);
    av_opt_set_int(encoder->priv_data, "cpu-used", 6, 0);
  }
  if (avcodec_open2(encoder.get(), codec, nullptr) < 0) return nullptr;
  return encoder;
}

}  // namespace

void check_writable_name(const fs::path& path) { static_cast<void>(encoders_for(path)); }

struct VideoWriter::Impl {
  Impl(const fs::path& path, const fs::path& shown_path, const WrittenVideo& of)
      : shown(shown_path), form(of), packet(av_packet_alloc()), frame(av_frame_alloc()) {
    if (!packet || !frame) throw std::bad_alloc();
    if (form.width < 2 || form.height < 2 || form.width % 2 != 0 || form.height % 2 != 0 ||
        form.frames_per_second <= 0) {
      throw Error(ErrorKind::kInternal, "a video to write has an odd size, or no frame rate");
    }
    AVFormatContext* made = nullptr;
    const std::string name = rooted_path(path).string();
    check(avformat_alloc_output_context2(&made, nullptr, nullptr, name.c_str()));
    output.reset(made);
    open_encoder();
    check(avio_open(&output->pb, name.c_str(), AVIO_FLAG_WRITE));
    output->flags |= AVFMT_FLAG_BITEXACT;
    check(avformat_write_header(output.get(), nullptr));
    frame->format = encoder->pix_fmt;
    frame->width = encoder->width;
    frame->height = encoder->height;
    check(av_frame_get_buffer(frame.get(), 0));
    scaler.reset(sws_getContext(encoder->width, encoder->height, AV_PIX_FMT_BGR24, encoder->width, encoder->height,
                                encoder->pix_fmt, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, nullptr, nullptr,
                                nullptr));
    if (!scaler) throw std::bad_alloc();
  }

  void open_encoder() {
    const bool global_header = (output->oformat->flags & AVFMT_GLOBALHEADER) != 0;
    for (const AVCodec* codec : encoders_for(shown)) {
      encoder = opened(codec, form, global_header);
      if (encoder) break;
    }
    if (!encoder) {
      throw input_error(
          "no encoder of this FFmpeg takes frames of " + std::to_string(form.width) + "x" + std::to_string(form.height),
          shown.string(), "another ending: .avi, .mp4 or .webm");
    }
    stream = avformat_new_stream(output.get(), nullptr);
    if (stream == nullptr) throw std::bad_alloc();
    stream->time_base = encoder->time_base;
    stream->avg_frame_rate = encoder->framerate;
    check(avcodec_parameters_from_context(stream->codecpar, encoder.get()));
  }

  /// @param result  of an FFmpeg call
  void check(int result) const {
    if (result == AVERROR(ENOMEM)) throw std::bad_alloc();
    const int stored = output && output->pb != nullptr ? output->pb->error : 0;
    const int failure = result < 0 ? result : stored;
    if (failure >= 0) return;
    // FFmpeg's own codes are far below those of the system.
    if (failure > -4096) throw system_error("the video cannot be written", shown, AVUNERROR(failure));
    std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
    av_strerror(failure, text.data(), text.size());
    throw input_error("the video cannot be written: " + std::string(text.data()), shown.string(),
                      "another ending: .avi, .mp4 or .webm");
  }

  /// Gives the encoder a frame, or tells it that there is none, and writes what it has ready.
  void encode(const AVFrame* one) {
    check(avcodec_send_frame(encoder.get(), one));
    while (true) {
      const int result = avcodec_receive_packet(encoder.get(), packet.get());
      if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
      check(result);
      packet->stream_index = stream->index;
      packet->duration = 1;
      av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
      check(av_interleaved_write_frame(output.get(), packet.get()));
    }
  }

  const fs::path shown;
  const WrittenVideo form;
  std::unique_ptr<AVFormatContext, FreeOutput> output;
  Owned<AVCodecContext> encoder;
  AVStream* stream = nullptr;
  Owned<AVPacket> packet;
  Owned<AVFrame> frame;
  std::unique_ptr<SwsContext, FreeScaler> scaler;
  std::int64_t written = 0;
};

VideoWriter::VideoWriter(const fs::path& path, const fs::path& shown, const WrittenVideo& form)
    : impl_(std::make_unique<Impl>(path, shown, form)) {}
VideoWriter::~VideoWriter() = default;

void VideoWriter::write(std::span<const std::uint8_t> bgr) {
  Impl& to = *impl_;
  const auto row = static_cast<std::size_t>(3 * to.form.width);
  if (bgr.size() != row * static_cast<std::size_t>(to.form.height))
    throw Error(ErrorKind::kInternal, "a frame's pixels do not fit the size of the video");
  to.check(av_frame_make_writable(to.frame.get()));
  // FFmpeg's fast paths read whole groups of pixels, so the rows need room behind them.
  constexpr std::size_t kGroup = 64;
  const std::size_t stride = (row + kGroup - 1) / kGroup * kGroup;
  std::vector<std::uint8_t> padded(stride * static_cast<std::size_t>(to.form.height) + kGroup);
  for (std::size_t y = 0; y < static_cast<std::size_t>(to.form.height); ++y)
    std::copy_n(bgr.begin() + static_cast<std::ptrdiff_t>(y * row), row,
                padded.begin() + static_cast<std::ptrdiff_t>(y * stride));
  const std::array<const std::uint8_t*, 4> planes{padded.data()};
  const std::array<int, 4> strides{static_cast<int>(stride)};
  sws_scale(to.scaler.get(), planes.data(), strides.data(), 0, to.encoder->height, to.frame->data, to.frame->linesize);
  to.frame->pts = to.written++;
  to.encode(to.frame.get());
}

void VideoWriter::finish() {
  impl_->encode(nullptr);
  impl_->check(av_write_trailer(impl_->output.get()));
  impl_->check(avio_closep(&impl_->output->pb));
}

std::string VideoWriter::codec() const { return avcodec_get_name(impl_->encoder->codec_id); }

}  // namespace repsim::video
