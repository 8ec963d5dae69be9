// How long it takes to count the frames of a long video and to draw some of them: by decoding all of it, and by its
// packets and access points. The video is made for this: H.264 with B-frames, two groups of pictures repeated.
//
//     repsim_bench_video FILE.mp4|FILE.mkv HOURS DRAWN [WIDTH HEIGHT] [--only-index]
//
// Writes FILE unless it is there. Prints a line per way. Both ways have to give the same pixels.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "repsim/base/hash.hpp"
#include "repsim/video.hpp"

namespace {

namespace fs = std::filesystem;
using repsim::video::VideoInfo;

constexpr int kRate = 25, kGroup = 50, kGroups = 2;  // frames per second; frames of a group; different groups

struct Free {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
};
template <typename Object>
using Owned = std::unique_ptr<Object, Free>;

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

void draw(AVFrame& frame, int index) {
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane > 0 ? 1 : 0;
    for (int y = 0; y < frame.height >> shift; ++y) {
      for (int x = 0; x < frame.width >> shift; ++x) {
        const double wave =
            std::sin((x + 3 * index) * 0.05) + std::sin((y - 2 * index) * 0.08) + std::sin((x + y) * 0.3);
        frame.data[plane][y * frame.linesize[plane] + x] = static_cast<std::uint8_t>(128 + 30 * wave);
      }
    }
  }
}

Owned<AVCodecContext> open_encoder(int width, int height) {
  const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
  require(codec != nullptr, "FFmpeg has no encoder for H.264");
  Owned<AVCodecContext> encoder(avcodec_alloc_context3(codec));
  encoder->width = width;
  encoder->height = height;
  encoder->pix_fmt = AV_PIX_FMT_YUV420P;
  encoder->time_base = {1, kRate};
  encoder->framerate = {kRate, 1};
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "preset", "veryfast", 0);
  av_dict_set(&options, "crf", "32", 0);
  av_dict_set(
      &options, "x264-params",
      ("keyint=" + std::to_string(kGroup) + ":min-keyint=" + std::to_string(kGroup) + ":bframes=2:scenecut=0").c_str(),
      0);
  require(avcodec_open2(encoder.get(), codec, &options) >= 0, "the encoder does not open");
  av_dict_free(&options);
  return encoder;
}

std::vector<Owned<AVPacket>> encode(AVCodecContext& encoder) {
  std::vector<Owned<AVPacket>> packets;
  const auto drain = [&] {
    for (Owned<AVPacket> packet(av_packet_alloc()); avcodec_receive_packet(&encoder, packet.get()) >= 0;
         packet.reset(av_packet_alloc()))
      packets.push_back(std::move(packet));
  };
  Owned<AVFrame> frame(av_frame_alloc());
  for (int i = 0; i < kGroup * kGroups; ++i) {
    frame->format = encoder.pix_fmt;
    frame->width = encoder.width;
    frame->height = encoder.height;
    require(av_frame_get_buffer(frame.get(), 0) >= 0, "no frame");
    draw(*frame, i);
    frame->pts = i;
    require(avcodec_send_frame(&encoder, frame.get()) >= 0, "a frame is not encoded");
    drain();
    av_frame_unref(frame.get());
  }
  avcodec_send_frame(&encoder, nullptr);
  drain();
  return packets;
}

/// Repeats the coded groups until the video has so many frames.
void write(const fs::path& path, std::int64_t frames, int width, int height) {
  const Owned<AVCodecContext> encoder = open_encoder(width, height);
  const std::vector<Owned<AVPacket>> packets = encode(*encoder);
  AVFormatContext* file = nullptr;
  avformat_alloc_output_context2(&file, nullptr, nullptr, path.c_str());
  require(file != nullptr, "no such container");
  AVStream* stream = avformat_new_stream(file, nullptr);
  stream->time_base = encoder->time_base;
  stream->avg_frame_rate = {kRate, 1};
  avcodec_parameters_from_context(stream->codecpar, encoder.get());
  require(avio_open(&file->pb, path.c_str(), AVIO_FLAG_WRITE) >= 0, "the file does not open");
  require(avformat_write_header(file, nullptr) >= 0, "no header");
  for (std::int64_t first = 0; first < frames; first += kGroup * kGroups) {
    for (const Owned<AVPacket>& one : packets) {
      Owned<AVPacket> packet(av_packet_clone(one.get()));
      packet->pts += first;
      packet->dts += first;
      packet->duration = 1;
      av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
      require(av_write_frame(file, packet.get()) >= 0, "a packet is not written");
    }
  }
  require(av_write_trailer(file) >= 0, "no trailer");
  avio_closep(&file->pb);
  avformat_free_context(file);
}

/// Counts and draws. @return SHA-256 of the drawn pixels
std::string measure(const fs::path& path, std::int64_t drawn, std::int64_t long_video) {
  repsim::SilentProgress silent;
  std::string sha256;
  const double hashing = repsim::seconds_of([&] { sha256 = repsim::video::sha256_of_video(path, silent); });
  VideoInfo info;
  const double probing = repsim::seconds_of([&] { info = repsim::video::probe(path, silent, long_video); });
  repsim::video::Request request;
  request.spec.width = 160;
  request.spec.height = 96;
  for (std::int64_t i = 0; i < drawn; ++i) request.frames.push_back(i * info.frame_count / drawn);
  std::vector<repsim::video::FrameStore> stores;
  const double drawing = repsim::seconds_of([&] { stores = repsim::video::decode(info, {&request, 1}, silent); });
  std::string pixels;
  for (std::int64_t i = 0; i < drawn; ++i) {
    const auto one = stores.front().pixels(i);
    pixels.append(reinterpret_cast<const char*>(one.data()), one.size());
  }
  std::printf("%s: %lld frames, SHA-256 alone %.1f s, hash and count %.1f s, draw %lld frames %.1f s\n",
              info.index ? "by packets" : "by decoding", static_cast<long long>(info.frame_count), hashing, probing,
              static_cast<long long>(drawn), drawing);
  std::fflush(stdout);
  return repsim::sha256(pixels);
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3) {
    std::fputs("usage: repsim_bench_video FILE HOURS DRAWN [WIDTH HEIGHT] [--only-index]\n", stderr);
    return 2;
  }
  const fs::path path = arguments[0];
  const bool only_index = arguments.back() == "--only-index";
  const bool has_size = arguments.size() >= 5;
  const int width = has_size ? std::stoi(arguments[3]) : 640, height = has_size ? std::stoi(arguments[4]) : 360;
  const auto frames = static_cast<std::int64_t>(std::stod(arguments[1]) * 3600 * kRate);
  repsim::video::silence_opencv();
  if (!fs::exists(path)) write(path, frames, width, height);
  std::printf("%s: %.0f MB\n", path.filename().c_str(), static_cast<double>(fs::file_size(path)) / 1e6);
  const std::int64_t drawn = std::stoll(arguments[2]);
  const std::string by_packets = measure(path, drawn, 1);
  if (only_index) return 0;
  const std::string by_decoding = measure(path, drawn, std::numeric_limits<std::int64_t>::max());
  std::puts(by_packets == by_decoding ? "same pixels" : "OTHER PIXELS");
  return by_packets == by_decoding ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try { return run({argv + 1, argv + argc}); } catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
