#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/temp_folder.hpp"

/// Video files as phones, cameras and editors write them, made with FFmpeg's libraries.
namespace repsim::test {

/// A stream of a file to write.
struct EncodedStream {
  AVCodecID codec = AV_CODEC_ID_FFV1;
  AVPixelFormat format = AV_PIX_FMT_YUV420P;
  int width = 64, height = 48;
  std::int64_t frames = 10;
  int disposition = 0;                                               ///< AV_DISPOSITION_...
  std::function<void(AVFrame&, std::int64_t index)> draw = nullptr;  ///< fills the planes; none: grey
  std::function<std::int64_t(std::int64_t index)> time = nullptr;    ///< in units of 1/25 s; none: the index
  std::string encoder = {};                                          ///< by name; none: the codec's usual one
  std::vector<std::pair<std::string, std::string>> options = {};     ///< of the encoder
  AVColorRange range = AVCOL_RANGE_UNSPECIFIED;
};

inline void require(bool good, const std::string& what) {
  if (!good) throw std::runtime_error(what);
}

/// A stream that is being encoded.
class StreamWriter {
 public:
  StreamWriter(AVFormatContext* file, const EncodedStream& stream) : file_(file), stream_(stream) {
    const AVCodec* codec = stream.encoder.empty() ? avcodec_find_encoder(stream.codec)
                                                  : avcodec_find_encoder_by_name(stream.encoder.c_str());
    require(codec != nullptr, "no encoder");
    encoder_ = avcodec_alloc_context3(codec);
    encoder_->width = stream.width;
    encoder_->height = stream.height;
    encoder_->pix_fmt = stream.format;
    encoder_->color_range = stream.range;
    encoder_->time_base = {1, 25};
    encoder_->gop_size = 4;
    encoder_->max_b_frames = 0;
    encoder_->thread_count = 1;
    if ((file->oformat->flags & AVFMT_GLOBALHEADER) != 0) encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary* options = nullptr;
    for (const auto& [key, value] : stream.options) av_dict_set(&options, key.c_str(), value.c_str(), 0);
    const int opened = avcodec_open2(encoder_, codec, &options);
    av_dict_free(&options);
    require(opened >= 0, "the encoder does not open");
    out_ = avformat_new_stream(file, nullptr);
    out_->time_base = encoder_->time_base;
    out_->disposition = stream.disposition;
    avcodec_parameters_from_context(out_->codecpar, encoder_);
  }
  ~StreamWriter() { avcodec_free_context(&encoder_); }
  StreamWriter(const StreamWriter&) = delete;
  StreamWriter& operator=(const StreamWriter&) = delete;

  void write() {
    AVFrame* frame = av_frame_alloc();
    for (std::int64_t i = 0; i < stream_.frames; ++i) {
      frame->format = stream_.format;
      frame->width = stream_.width;
      frame->height = stream_.height;
      require(av_frame_get_buffer(frame, 0) >= 0, "no frame");
      for (int plane = 0; plane < 4 && frame->buf[plane] != nullptr; ++plane) {
        std::fill_n(frame->buf[plane]->data, frame->buf[plane]->size, std::uint8_t{128});
      }
      if (stream_.draw) stream_.draw(*frame, i);
      frame->pts = stream_.time ? stream_.time(i) : i;
      require(avcodec_send_frame(encoder_, frame) >= 0, "the frame is not encoded");
      drain();
      av_frame_unref(frame);
    }
    av_frame_free(&frame);
    avcodec_send_frame(encoder_, nullptr);
    drain();
  }

 private:
  void drain() {
    AVPacket* packet = av_packet_alloc();
    while (avcodec_receive_packet(encoder_, packet) >= 0) {
      packet->duration = 1;  // else the edit list of an MP4 cuts off the last frame
      av_packet_rescale_ts(packet, encoder_->time_base, out_->time_base);
      packet->stream_index = out_->index;
      require(av_interleaved_write_frame(file_, packet) >= 0, "the packet is not written");
    }
    av_packet_free(&packet);
  }

  AVFormatContext* file_;
  EncodedStream stream_;
  AVCodecContext* encoder_ = nullptr;
  AVStream* out_ = nullptr;
};

/// Writes a file of these streams; the suffix of its name tells the container.
inline void write_container(const std::filesystem::path& path, const std::vector<EncodedStream>& streams) {
  AVFormatContext* file = nullptr;
  avformat_alloc_output_context2(&file, nullptr, nullptr, path.c_str());
  require(file != nullptr, "no such container");
  std::vector<std::unique_ptr<StreamWriter>> writers;
  for (const EncodedStream& stream : streams) writers.push_back(std::make_unique<StreamWriter>(file, stream));
  require(avio_open(&file->pb, path.c_str(), AVIO_FLAG_WRITE) >= 0, "the file does not open");
  require(avformat_write_header(file, nullptr) >= 0, "no header");
  for (const auto& writer : writers) writer->write();
  require(av_write_trailer(file) >= 0, "no trailer");
  avio_closep(&file->pb);
  avformat_free_context(file);
}

/// Writes a number of four bytes, the highest first.
inline void put_32(std::string& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i));
}
inline std::uint32_t get_32(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// Puts a display matrix into the header of an MP4 or MOV file's first track: (x, y) goes to (a x + c y, b x + d y).
inline void set_display_matrix(const std::filesystem::path& path, double a, double b, double c, double d) {
  std::string bytes = read_text(path);
  const std::size_t header = bytes.find("tkhd");
  require(header != std::string::npos && bytes[header + 4] == 0, "no track header of version 0");
  const std::size_t matrix = header + 44;
  const auto fixed = [](double value) { return static_cast<std::uint32_t>(static_cast<std::int32_t>(value * 65536)); };
  put_32(bytes, matrix, fixed(a));
  put_32(bytes, matrix + 4, fixed(b));
  put_32(bytes, matrix + 12, fixed(c));
  put_32(bytes, matrix + 16, fixed(d));
  write_text(path, bytes);
}

/// Makes the edit list of an MP4 or MOV file begin later in the media, by so many units of the media's time.
inline void begin_later(const std::filesystem::path& path, std::uint32_t units) {
  std::string bytes = read_text(path);
  const std::size_t edits = bytes.find("elst");
  require(edits != std::string::npos && bytes[edits + 4] == 0 && get_32(bytes, edits + 8) == 1, "no list of one edit");
  put_32(bytes, edits + 16, get_32(bytes, edits + 16) + units);
  write_text(path, bytes);
}

}  // namespace repsim::test
