// Videos whose frames have not one size. OpenCV's reader reads beyond the memory of the smaller ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

extern "C" {
#include <libavformat/avformat.h>
}

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/video.hpp"
#include "video/small_video.hpp"

#ifdef __SANITIZE_ADDRESS__
// The HEVC encoder that writes a test's video leaks; repsim itself never encodes.
extern "C" const char* __lsan_default_suppressions() { return "leak:libx265"; }
#endif

namespace repsim::video {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// `count` frames of noise.
std::vector<cv::Mat> noise(int count, int width, int height) {
  std::vector<cv::Mat> frames;
  for (int i = 0; i < count; ++i) frames.push_back(test::noise_frame(i, width, height));
  return frames;
}

std::vector<cv::Mat> joined(std::vector<cv::Mat> first, const std::vector<cv::Mat>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// The packets of an AVI, as they are: encoders of video streams write them so that they may follow one another.
std::string packets_of(const std::filesystem::path& path) {
  AVFormatContext* input = nullptr;
  if (avformat_open_input(&input, path.c_str(), nullptr, nullptr) < 0) return {};
  std::string bytes;
  AVPacket* packet = av_packet_alloc();
  while (av_read_frame(input, packet) >= 0) {
    bytes.append(reinterpret_cast<const char*>(packet->data), static_cast<std::size_t>(packet->size));
    av_packet_unref(packet);
  }
  av_packet_free(&packet);
  avformat_close_input(&input);
  return bytes;
}

class FrameSizes : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { silence_opencv(); }

  std::string complaint(const std::filesystem::path& path) {
    return test::error_text([&] { (void)probe(path, progress_); });
  }

  /// Twelve frames of noise; false where FFmpeg has no such encoder.
  bool write_encoded(const std::filesystem::path& path, const char (&codec)[5], cv::Size size) {
    testing::internal::CaptureStderr();  // encoders talk
    cv::VideoWriter writer(path.string(), cv::CAP_FFMPEG,
                           cv::VideoWriter::fourcc(codec[0], codec[1], codec[2], codec[3]), 25, size);
    const bool opened = writer.isOpened();
    for (const cv::Mat& frame : noise(opened ? 12 : 0, size.width, size.height)) writer.write(frame);
    writer.release();
    (void)testing::internal::GetCapturedStderr();
    return opened;
  }

  /// A raw stream of twelve frames of 160x128 and then twelve of 96x64; false where FFmpeg has no such encoder.
  bool write_stream(const std::filesystem::path& path, const char (&codec)[5]) {
    std::string stream;
    for (const cv::Size size : {cv::Size(160, 128), cv::Size(96, 64)}) {
      if (!write_encoded(folder_ / "part.avi", codec, size)) return false;
      stream += packets_of(folder_ / "part.avi");
    }
    test::write_text(path, stream);
    return true;
  }

  /// Makes an AVI's header (BITMAPINFOHEADER) say another size.
  void announce(const std::filesystem::path& path, std::uint32_t width, std::uint32_t height) {
    std::string bytes = test::read_text(path);
    const std::size_t format = bytes.find("strf");
    ASSERT_NE(format, std::string::npos);
    for (std::size_t i = 0; i < 4; ++i) {
      bytes[format + 12 + i] = static_cast<char>(width >> (8 * i));
      bytes[format + 16 + i] = static_cast<char>(height >> (8 * i));
    }
    test::write_text(path, bytes);
  }

  void expect_refused(const std::string& file, const char (&codec)[5]) {
    if (!write_stream(folder_ / file, codec)) GTEST_SKIP() << "this FFmpeg cannot write " << codec;
    EXPECT_EQ(complaint(folder_ / file),
              "input: " + (folder_ / file).string() +
                  ": frame 12: has 96x64 pixels, the frames before it have 160x128; bring all frames to one size: "
                  "ffmpeg -i INPUT -vf scale=160:128 -c:v libx264 OUTPUT.mp4");
  }

  test::TempFolder folder_;
  SilentProgress progress_;
};

// The pair that makes OpenCV 4.6 read far beyond the small frame.
TEST_F(FrameSizes, RefusesImagesThatShrink) {
  for (const std::string format : {".png", ".jpg", ".bmp"}) {  // by headers, by headers, by decoding
    const auto path = folder_ / ("v" + (format == ".jpg" ? std::string(".mjpeg") : format));
    test::write_images(path, format, joined(noise(3, 1920, 1080), noise(2, 16, 16)));
    EXPECT_THAT(complaint(path), AllOf(StartsWith("input: " + path.string() + ": frame 3: has 16x16 pixels"),
                                       HasSubstr("before it have 1920x1080"), HasSubstr("scale=1920:1080")));
  }
}

TEST_F(FrameSizes, RefusesImagesThatGrow) {
  test::write_lossless(folder_ / "v.png", joined(noise(30, 64, 48), noise(1, 64, 49)));
  EXPECT_THAT(complaint(folder_ / "v.png"), HasSubstr("frame 30: has 64x49 pixels, the frames before it have 64x48"));
}

TEST_F(FrameSizes, RefusesMpeg4ThatChanges) { expect_refused("v.m4v", "XVID"); }
TEST_F(FrameSizes, RefusesH264ThatChanges) { expect_refused("v.h264", "H264"); }
TEST_F(FrameSizes, RefusesHevcThatChanges) { expect_refused("v.hevc", "HEVC"); }

// The frames that are left out before the first one that decodes do not count.
TEST_F(FrameSizes, SeesAChangeBehindADamagedStart) {
  test::write_lossless(folder_ / "v.png", joined(noise(5, 64, 48), noise(2, 32, 24)));
  std::string bytes = test::read_text(folder_ / "v.png");
  for (std::size_t i = 0; i < 60; ++i) bytes[bytes.size() / 15 + i] ^= static_cast<char>(0x5a);
  test::write_text(folder_ / "v.png", bytes);
  EXPECT_THAT(complaint(folder_ / "v.png"), HasSubstr("frame 4: has 32x24 pixels"));
}

// A container that announces larger frames than there are does OpenCV's reader the same harm.
TEST_F(FrameSizes, NeverTrustsTheContainersSize) {
  test::write_avi(folder_ / "mjpeg.avi", 3);
  announce(folder_ / "mjpeg.avi", 80, 60);
  const VideoInfo info = probe(folder_ / "mjpeg.avi", progress_);
  EXPECT_EQ(info.width, test::kVideoWidth);
  EXPECT_EQ(info.height, test::kVideoHeight);
}

TEST_F(FrameSizes, ReadsFramesThatAreSmallerThanTheContainerSays) {
  const auto path = folder_ / "v.avi";
  if (!write_encoded(path, "VP80", cv::Size(64, 48))) GTEST_SKIP() << "this FFmpeg cannot write VP8";
  announce(path, 1920, 1080);
  EXPECT_EQ(probe(path, progress_).width, 64);
  EXPECT_EQ(probe(path, progress_).height, 48);
  EXPECT_EQ(probe(path, progress_).frame_count, 12);
}

TEST_F(FrameSizes, StopsWhenAskedTo) {
  class Stopped : public SilentProgress {
    [[nodiscard]] bool stop_requested() const override { return true; }
  } stopped;
  test::write_lossless(folder_ / "v.png", joined(noise(5, 64, 48), noise(1, 32, 24)));
  EXPECT_THAT(test::error_text([&] { (void)probe(folder_ / "v.png", stopped); }), StartsWith("interrupted"));
}

TEST_F(FrameSizes, AcceptsAStreamOfOneSize) {
  test::write_images(folder_ / "v.bmp", ".bmp", noise(7, 65, 47));
  EXPECT_EQ(probe(folder_ / "v.bmp", progress_).frame_count, 7);
}

}  // namespace
}  // namespace repsim::video
