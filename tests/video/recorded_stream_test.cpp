// Files that `ffmpeg -c copy` records from a camera: packets as they came, so that times begin anywhere and the first
// picture may refer to one that was never recorded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_folder.hpp"
#include "repsim/frame_stream.hpp"
#include "repsim/video.hpp"
#include "video/containers.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

/// Copies the packets of a file from one on into another container, with times that begin `seconds` later.
void copy_stream(const std::filesystem::path& from, const std::filesystem::path& to, std::int64_t first_packet,
                 double seconds) {
  AVFormatContext *in = nullptr, *out = nullptr;
  test::require(avformat_open_input(&in, from.c_str(), nullptr, nullptr) >= 0, "no input");
  test::require(avformat_find_stream_info(in, nullptr) >= 0, "no streams");
  avformat_alloc_output_context2(&out, nullptr, nullptr, to.c_str());
  test::require(out != nullptr, "no such container");
  AVStream* stream = avformat_new_stream(out, nullptr);
  avcodec_parameters_copy(stream->codecpar, in->streams[0]->codecpar);
  stream->codecpar->codec_tag = 0;
  stream->time_base = in->streams[0]->time_base;
  out->avoid_negative_ts = 0;
  test::require(avio_open(&out->pb, to.c_str(), AVIO_FLAG_WRITE) >= 0, "the file does not open");
  test::require(avformat_write_header(out, nullptr) >= 0, "no header");
  AVPacket* packet = av_packet_alloc();
  for (std::int64_t i = 0; av_read_frame(in, packet) >= 0; ++i) {
    if (i >= first_packet) {
      const auto shift = static_cast<std::int64_t>(seconds / av_q2d(in->streams[0]->time_base));
      packet->pts += shift;
      packet->dts += shift;
      packet->pos = -1;
      av_packet_rescale_ts(packet, in->streams[0]->time_base, stream->time_base);
      test::require(av_interleaved_write_frame(out, packet) >= 0, "the packet is not written");
    }
    av_packet_unref(packet);
  }
  av_packet_free(&packet);
  test::require(av_write_trailer(out) >= 0, "no trailer");
  avio_closep(&out->pb);
  avformat_free_context(out);
  avformat_close_input(&in);
}

class RecordedStream : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { silence_opencv(); }

  void SetUp() override {
    test::write_container(folder_ / "camera.mkv", {{.codec = AV_CODEC_ID_MPEG2VIDEO, .frames = 40, .draw = stripes}});
  }

  /// The bits of the index as black and white stripes, which survive any codec.
  static void stripes(AVFrame& frame, std::int64_t index) {
    for (int row = 0; row < frame.height; ++row) {
      for (int column = 0; column < frame.width; ++column) {
        frame.data[0][row * frame.linesize[0] + column] = ((index >> (column / 8)) & 1) != 0 ? 230 : 20;
      }
    }
  }

  std::vector<std::int64_t> frames_of(const std::filesystem::path& path) {
    const VideoInfo info = probe(path, progress_);
    EXPECT_NEAR(static_cast<double>(FrameStream(path).announced_frames()), static_cast<double>(info.frame_count), 2);
    Request request;
    request.spec.width = info.width;
    request.spec.height = info.height;
    for (std::int64_t i = 0; i < info.frame_count; ++i) request.frames.push_back(i);
    const FrameStore store = std::move(decode(info, {&request, 1}, progress_).front());
    std::vector<std::int64_t> shown;
    for (std::int64_t i = 0; i < store.size(); ++i)
      shown.push_back(test::index_of(store.pixels(i).data(), info.width, info.height));
    return shown;
  }

  test::TempFolder folder_;
  SilentProgress progress_;
};

std::vector<std::int64_t> numbers(std::int64_t first, std::int64_t end) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = first; i < end; ++i) all.push_back(i);
  return all;
}

TEST_P(RecordedStream, GivesAllFramesWhateverTimeItBeginsAt) {
  for (const double seconds : {0.0, 1.4, 3600.0, 90000.0}) {
    const auto path = folder_ / (std::to_string(seconds) + GetParam());
    copy_stream(folder_ / "camera.mkv", path, 0, seconds);
    EXPECT_EQ(frames_of(path), numbers(0, 40)) << seconds;
  }
}

// Every fourth picture stands alone; packet 4 is such a one.
TEST_P(RecordedStream, BeginsWithAnyPictureThatStandsAlone) {
  const auto path = folder_ / (std::string("later") + GetParam());
  copy_stream(folder_ / "camera.mkv", path, 4, 1234.5);
  EXPECT_EQ(frames_of(path), numbers(4, 40));
}

INSTANTIATE_TEST_SUITE_P(Containers, RecordedStream, ::testing::Values(".ts", ".mp4", ".mkv"),
                         [](const auto& instance) { return std::string(instance.param).substr(1); });

}  // namespace
}  // namespace repsim::video
