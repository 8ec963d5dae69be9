// Files that others make: several streams, cover pictures, edit lists, deep and grey pixels, uneven times.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <opencv2/videoio.hpp>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/video.hpp"
#include "video/containers.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using test::EncodedStream;

class VideoFiles : public testing::Test {
 protected:
  static void SetUpTestSuite() { silence_opencv(); }

  VideoInfo probe(const std::filesystem::path& path) { return video::probe(path, progress_); }
  VideoInfo written(const std::string& name, const std::vector<EncodedStream>& streams) {
    test::write_container(folder_ / name, streams);
    return probe(folder_ / name);
  }
  /// Frames at their own size.
  FrameStore frames_of(const VideoInfo& info) {
    Request request;
    request.spec.width = info.width;
    request.spec.height = info.height;
    for (std::int64_t i = 0; i < info.frame_count; ++i) request.frames.push_back(i);
    return std::move(decode(info, {&request, 1}, progress_).front());
  }

  test::TempFolder folder_;
  SilentProgress progress_;
};

// OpenCV's own reader is what people train and run their models with.
TEST_F(VideoFiles, GiveThePixelsThatOpenCvGives) {
  std::vector<std::filesystem::path> paths;
  for (const auto& [width, height] : {std::pair{64, 48}, {176, 144}, {62, 46}}) {
    paths.push_back(folder_ / (std::to_string(width) + ".avi"));
    test::write_avi(paths.back(), 5, [&](std::int64_t i) { return test::noise_frame(i, width, height); });
    paths.push_back(folder_ / (std::to_string(width) + ".png"));
    test::write_lossless(paths.back(), {test::noise_frame(1, width, height), test::noise_frame(2, width, height)});
  }
  for (const AVCodecID codec : {AV_CODEC_ID_MPEG4, AV_CODEC_ID_FFV1}) {
    paths.push_back(folder_ / (std::to_string(codec) + ".mkv"));
    test::write_container(paths.back(),
                          {{.codec = codec, .width = 96, .height = 80, .draw = [](AVFrame& frame, std::int64_t i) {
                              for (int x = 0; x < 64 * 40; ++x)
                                frame.data[0][x] = static_cast<std::uint8_t>(x * (i + 3));
                            }}});
  }
  for (const auto& path : paths) {
    const VideoInfo info = probe(path);
    const FrameStore store = frames_of(info);
    cv::VideoCapture capture(path.string(), cv::CAP_FFMPEG);
    cv::Mat expected;
    for (std::int64_t i = 0; i < info.frame_count; ++i) {
      ASSERT_TRUE(capture.read(expected)) << path;
      const cv::Mat frame(expected.rows, expected.cols, CV_8UC3, const_cast<std::uint8_t*>(store.pixels(i).data()));
      EXPECT_EQ(cv::norm(frame, expected, cv::NORM_INF), 0) << path << " " << i;
    }
    EXPECT_FALSE(capture.read(expected)) << path;
  }
  silence_opencv();  // OpenCV's reader set FFmpeg's level
}

TEST_F(VideoFiles, OfSeveralStreamsTheDefaultOneIsRead) {
  const EncodedStream preview{.width = 96, .height = 64, .frames = 7}, main{.disposition = AV_DISPOSITION_DEFAULT};
  EXPECT_EQ(written("v.mkv", {preview, main}).width, 64);
  EXPECT_EQ(written("v.mkv", {main, preview}).width, 64);
  EXPECT_EQ(written("v.mkv", {preview, main}).frame_count, 10);
}

TEST_F(VideoFiles, OfSeveralEqualStreamsTheLargestIsRead) {
  const EncodedStream small{.width = 32, .height = 32, .disposition = AV_DISPOSITION_DEFAULT},
      large{.width = 96, .height = 64, .frames = 7, .disposition = AV_DISPOSITION_DEFAULT};
  EXPECT_EQ(written("v.mkv", {small, large, small}).width, 96);
  EXPECT_EQ(written("v.mkv", {small, large, small}).frame_count, 7);
}

TEST_F(VideoFiles, DecodeTheStreamThatIsProbed) {
  const auto grey = [](std::uint8_t level) {
    return [level](AVFrame& frame, std::int64_t) {
      for (int y = 0; y < frame.height; ++y)
        std::fill_n(frame.data[0] + std::ptrdiff_t{y} * frame.linesize[0], frame.width, level);
    };
  };
  const VideoInfo info = written("v.mkv", {{.width = 32, .height = 32, .draw = grey(16)},
                                           {.disposition = AV_DISPOSITION_DEFAULT, .draw = grey(235)}});
  const FrameStore store = frames_of(info);
  EXPECT_THAT(store.pixels(9), testing::Each(255));
}

TEST_F(VideoFiles, CoverPicturesAreNoVideo) {
  const EncodedStream cover{.codec = AV_CODEC_ID_MJPEG,
                            .format = AV_PIX_FMT_YUVJ420P,
                            .width = 320,
                            .height = 240,
                            .frames = 1,
                            .disposition = AV_DISPOSITION_ATTACHED_PIC};
  const EncodedStream video{.codec = AV_CODEC_ID_MPEG4};
  const VideoInfo info = written("v.mp4", {cover, video});
  EXPECT_EQ(info.width, 64);
  EXPECT_EQ(info.frame_count, 10);
  test::write_container(folder_ / "cover.mp4", {cover});
  EXPECT_THAT(test::error_text([&] { (void)probe(folder_ / "cover.mp4"); }),
              HasSubstr("a cover picture is in it, but no video"));
}

// What an editor cut off at the start stays in the file, and players do not show it.
TEST_F(VideoFiles, EditListsCutOffTheStart) {
  const auto path = folder_ / "v.mp4";
  const auto draw = [](AVFrame& frame, std::int64_t index) {
    for (int y = 0; y < frame.height; ++y)
      std::fill_n(frame.data[0] + std::ptrdiff_t{y} * frame.linesize[0], frame.width,
                  static_cast<std::uint8_t>(16 + 20 * index));
  };
  test::write_container(path, {{.codec = AV_CODEC_ID_MPEG4, .draw = draw}});
  const FrameStore whole = frames_of(probe(path));
  std::string bytes = test::read_text(path);
  const std::size_t media = bytes.find("mdhd");
  test::begin_later(path, 3 * test::get_32(bytes, media + 16) / 25);  // three frames, in the media's units
  const VideoInfo info = probe(path);
  ASSERT_EQ(info.frame_count, 7);
  const FrameStore cut = frames_of(info);
  for (std::int64_t i = 0; i < 7; ++i) EXPECT_THAT(cut.pixels(i), testing::ElementsAreArray(whole.pixels(i + 3))) << i;
}

// Each frame once, however long it is shown.
TEST_F(VideoFiles, UnevenTimesNeitherRepeatNorDropFrames) {
  for (const std::string name : {"v.mkv", "v.mp4"}) {
    const VideoInfo info =
        written(name, {{.codec = AV_CODEC_ID_MPEG4, .frames = 9, .time = [](std::int64_t i) { return i * i * 3; }}});
    EXPECT_EQ(info.frame_count, 9) << name;
  }
}

/// The colour of all pixels of the last frame.
void expect_colour(const FrameStore& store, int blue, int green, int red) {
  const auto pixels = store.pixels(store.size() - 1);
  for (std::size_t i = 0; i < pixels.size(); i += 3) {
    ASSERT_NEAR(pixels[i], blue, 2);
    ASSERT_NEAR(pixels[i + 1], green, 2);
    ASSERT_NEAR(pixels[i + 2], red, 2);
  }
}

// Luma of a limited range from 16 to 235, scaled to the depth; the colour of all is the middle grey or white.
TEST_F(VideoFiles, DeepAndGreyPixelsBecomeEightBits) {
  struct Depth {
    AVPixelFormat format;
    int bytes, white, middle;  ///< of a sample; its values for white and for no colour
  };
  for (const Depth& depth : {Depth{AV_PIX_FMT_YUV420P10, 2, 235 * 4, 512},
                             {AV_PIX_FMT_YUV422P12, 2, 235 * 16, 2048},
                             {AV_PIX_FMT_YUV444P, 1, 235, 128},
                             {AV_PIX_FMT_YUVA420P, 1, 235, 128}}) {
    const auto draw = [&](AVFrame& frame, std::int64_t) {
      for (int plane = 0; plane < 3; ++plane) {
        const int value = plane == 0 ? depth.white : depth.middle;
        const bool half = plane > 0 && av_pix_fmt_desc_get(depth.format)->log2_chroma_h > 0;
        const int rows = half ? (frame.height + 1) / 2 : frame.height;
        for (int i = 0; i + 1 < rows * frame.linesize[plane]; i += depth.bytes) {
          frame.data[plane][i] = static_cast<std::uint8_t>(value);
          if (depth.bytes == 2) frame.data[plane][i + 1] = static_cast<std::uint8_t>(value >> 8);
        }
      }
    };
    const VideoInfo info = written("v.mkv", {{.format = depth.format, .width = 63, .height = 47, .draw = draw}});
    EXPECT_EQ(info.width, 63);
    EXPECT_EQ(info.height, 47);
    EXPECT_EQ(info.frame_count, 10);
    expect_colour(frames_of(info), 255, 255, 255);
  }
}

// Telephones and screen recorders use all values from 0 on, and say so beside a format that says nothing.
TEST_F(VideoFiles, TheFullRangeOfLumaIsNotStretched) {
  for (const AVPixelFormat format : {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV444P}) {
    for (const int level : {0, 16, 100, 235, 255}) {
      const auto draw = [&](AVFrame& frame, std::int64_t) {
        for (int plane = 0; plane < 3; ++plane) {
          const int rows = plane > 0 && format == AV_PIX_FMT_YUV420P ? frame.height / 2 : frame.height;
          std::fill_n(frame.data[plane], std::ptrdiff_t{rows} * frame.linesize[plane],
                      static_cast<std::uint8_t>(plane == 0 ? level : 128));
        }
      };
      const VideoInfo info = written("v.mkv", {{.format = format, .draw = draw, .range = AVCOL_RANGE_JPEG}});
      expect_colour(frames_of(info), level, level, level);
    }
  }
}

TEST_F(VideoFiles, GreyAndTransparentImagesBecomeColour) {
  const cv::Scalar colour(20, 120, 220, 60);  // blue, green, red, and nearly transparent
  const auto info_of = [&](int type, const cv::Scalar& value) {
    test::write_lossless(folder_ / "v.png", {cv::Mat(47, 63, type, value), cv::Mat(47, 63, type, value)});
    return probe(folder_ / "v.png");
  };
  expect_colour(frames_of(info_of(CV_8UC4, colour)), 20, 120, 220);
  expect_colour(frames_of(info_of(CV_8UC1, cv::Scalar(99))), 99, 99, 99);
  expect_colour(frames_of(info_of(CV_16UC1, cv::Scalar(99 * 257))), 99, 99, 99);
  expect_colour(frames_of(info_of(CV_16UC3, colour * 257)), 20, 120, 220);
}

/// A lossless video whose images from..to (of ten) are damaged.
void write_damaged(const std::filesystem::path& path, std::size_t from, std::size_t to) {
  std::vector<std::string> images;
  for (int i = 0; i < 10; ++i) {
    test::write_lossless(path, {test::noise_frame(i)});
    images.push_back(test::read_text(path));
  }
  std::string bytes;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (i >= from && i <= to) {
      for (std::size_t k = 0; k < 60; ++k) images[i][images[i].size() / 2 + k] ^= static_cast<char>(0x5a);
    }
    bytes += images[i];
  }
  test::write_text(path, bytes);
}

// A recording that was cut out of a longer one begins with frames that need others.
TEST_F(VideoFiles, BeginWithTheFirstFrameThatDecodes) {
  write_damaged(folder_ / "v.png", 0, 2);
  const VideoInfo info = probe(folder_ / "v.png");
  EXPECT_EQ(info.frame_count, 7);
  EXPECT_NO_THROW(check_readable(folder_ / "v.png"));
  const FrameStore store = frames_of(info);
  const cv::Mat first(48, 64, CV_8UC3, const_cast<std::uint8_t*>(store.pixels(0).data()));
  EXPECT_EQ(cv::norm(first, test::noise_frame(3), cv::NORM_INF), 0);
}

TEST_F(VideoFiles, EndWithTheLastFrameThatDecodes) {
  write_damaged(folder_ / "v.png", 8, 9);
  EXPECT_EQ(probe(folder_ / "v.png").frame_count, 8);
}

TEST_F(VideoFiles, OfWhichNoFrameDecodesAreRefused) {
  write_damaged(folder_ / "v.png", 0, 9);
  const std::string text = test::error_text([&] { (void)probe(folder_ / "v.png"); });
  EXPECT_THAT(text, AllOf(StartsWith("input: " + (folder_ / "v.png").string()), HasSubstr("no frame of the video")));
  EXPECT_EQ(test::error_text([&] { check_readable(folder_ / "v.png"); }), text);
}

// FFmpeg would take these for a pattern of file names.
TEST_F(VideoFiles, NamesWithPatternCharactersAreNames) {
  for (const std::string name : {"a%03d.png", "b*.png", "c?.png", "[d].png", "{e}.png", "file:f.png", "-g.png"}) {
    test::write_lossless(folder_ / name, {test::noise_frame(1), test::noise_frame(2)});
    EXPECT_EQ(probe(folder_ / name).frame_count, 2) << name;
    EXPECT_TRUE(probe(folder_ / name).pictures.empty()) << name;
  }
}

}  // namespace
}  // namespace repsim::video
