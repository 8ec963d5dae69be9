// Turns of frames, as containers ask for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

extern "C" {
#include <libavutil/display.h>
}

#include <array>
#include <cmath>
#include <opencv2/core.hpp>

#include "base/temp_folder.hpp"
#include "repsim/video.hpp"
#include "video/containers.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

/// The four numbers of a display matrix that turn: (x, y) goes to (a x + c y, b x + d y).
struct Turn {
  int a, b, c, d;
};
constexpr std::array<Turn, 8> kTurns{{{1, 0, 0, 1},
                                      {0, 1, -1, 0},
                                      {-1, 0, 0, -1},
                                      {0, -1, 1, 0},
                                      {-1, 0, 0, 1},
                                      {1, 0, 0, -1},
                                      {0, 1, 1, 0},
                                      {0, -1, -1, 0}}};

/// The frame with each pixel where the matrix puts it.
cv::Mat moved(const cv::Mat& frame, const Turn& turn) {
  const bool lies = turn.a == 0;
  cv::Mat result(lies ? frame.cols : frame.rows, lies ? frame.rows : frame.cols, CV_8UC3);
  for (int y = 0; y < frame.rows; ++y) {
    for (int x = 0; x < frame.cols; ++x) {
      const int to_x = turn.a * x + turn.c * y, to_y = turn.b * x + turn.d * y;
      // What lands left of or above the origin lies in a picture that ends there.
      const bool left = turn.a < 0 || turn.c < 0, above = turn.b < 0 || turn.d < 0;
      result.at<cv::Vec3b>(to_y + (above ? result.rows - 1 : 0), to_x + (left ? result.cols - 1 : 0)) =
          frame.at<cv::Vec3b>(y, x);
    }
  }
  return result;
}

/// All frames of a video at their own size.
std::vector<cv::Mat> frames_of(const std::filesystem::path& path) {
  SilentProgress progress;
  const VideoInfo info = probe(path, progress);
  Request request;
  request.spec.width = info.width;
  request.spec.height = info.height;
  for (std::int64_t i = 0; i < info.frame_count; ++i) request.frames.push_back(i);
  const FrameStore store = std::move(decode(info, {&request, 1}, progress).front());
  std::vector<cv::Mat> frames;
  for (std::int64_t i = 0; i < store.size(); ++i) {
    const cv::Mat frame(static_cast<int>(info.height), static_cast<int>(info.width), CV_8UC3,
                        const_cast<std::uint8_t*>(store.pixels(i).data()));
    frames.push_back(frame.clone());
  }
  return frames;
}

/// A frame without symmetry: grey that grows to the right, and a bright corner.
void draw_ramp(AVFrame& frame, std::int64_t index) {
  for (int y = 0; y < frame.height; ++y) {
    for (int x = 0; x < frame.width; ++x) {
      const bool corner = x < frame.width / 4 && y < frame.height / 4;
      frame.data[0][y * frame.linesize[0] + x] =
          corner ? std::uint8_t{235} : static_cast<std::uint8_t>(30 + 2 * x + y + 4 * index);
    }
  }
}

class OrientationOfFiles : public testing::Test {
 protected:
  /// The frames of a file whose display matrix is this turn have to be those of the plain file, moved.
  void expect_turned(const std::string& suffix, AVCodecID codec, AVPixelFormat format = AV_PIX_FMT_YUV420P) {
    const auto plain = folder_ / ("plain" + suffix);
    test::write_container(plain, {{.codec = codec, .format = format, .frames = 3, .draw = draw_ramp}});
    const std::vector<cv::Mat> upright = frames_of(plain);
    ASSERT_EQ(upright.size(), 3U);
    for (const Turn& turn : kTurns) {
      const auto path = folder_ / ("turned" + suffix);
      std::filesystem::copy_file(plain, path, std::filesystem::copy_options::overwrite_existing);
      test::set_display_matrix(path, turn.a, turn.b, turn.c, turn.d);
      const std::vector<cv::Mat> frames = frames_of(path);
      ASSERT_EQ(frames.size(), upright.size());
      for (std::size_t i = 0; i < frames.size(); ++i) {
        const cv::Mat expected = moved(upright[i], turn);
        ASSERT_EQ(frames[i].size(), expected.size());
        EXPECT_EQ(cv::norm(frames[i], expected, cv::NORM_INF), 0) << turn.a << turn.b << turn.c << turn.d;
      }
    }
  }

  test::TempFolder folder_;
};

TEST_F(OrientationOfFiles, Mp4IsTurnedAsItsDisplayMatrixSays) { expect_turned(".mp4", AV_CODEC_ID_MPEG4); }
TEST_F(OrientationOfFiles, MovIsTurnedAsItsDisplayMatrixSays) {
  expect_turned(".mov", AV_CODEC_ID_MJPEG, AV_PIX_FMT_YUVJ420P);
}

TEST_F(OrientationOfFiles, HevcIsTurnedAsItsDisplayMatrixSays) {
  if (avcodec_find_encoder(AV_CODEC_ID_HEVC) == nullptr) GTEST_SKIP() << "this FFmpeg cannot write HEVC";
  testing::internal::CaptureStderr();  // the encoder talks
  expect_turned(".mp4", AV_CODEC_ID_HEVC);
  (void)testing::internal::GetCapturedStderr();
}

// Sizes decide how frames are placed in the models' inputs, and where boxes of the ground truth lie.
TEST_F(OrientationOfFiles, SizesAreThoseOfTheUprightFrame) {
  const auto path = folder_ / "v.mp4";
  test::write_container(path, {{.codec = AV_CODEC_ID_MPEG4, .width = 64, .height = 48}});
  test::set_display_matrix(path, 0, 1, -1, 0);
  SilentProgress progress;
  const VideoInfo info = probe(path, progress);
  EXPECT_EQ(info.width, 48);
  EXPECT_EQ(info.height, 64);
  EXPECT_EQ(info.frame_count, 10);
  EXPECT_NO_THROW(check_readable(path));
}

// Twice the size, and a turn by three degrees that shaky software writes: the nearest quarter turn.
TEST_F(OrientationOfFiles, OtherAnglesAreTakenAsTheNearestQuarterTurn) {
  const auto path = folder_ / "v.mp4";
  test::write_container(path, {{.codec = AV_CODEC_ID_MPEG4, .frames = 2, .draw = draw_ramp}});
  const std::vector<cv::Mat> upright = frames_of(path);
  const double angle = 93 * 3.14159265358979 / 180;
  test::set_display_matrix(path, 2 * std::cos(angle), 2 * std::sin(angle), -2 * std::sin(angle), 2 * std::cos(angle));
  EXPECT_EQ(cv::norm(frames_of(path)[1], moved(upright[1], kTurns[1]), cv::NORM_INF), 0);
}

TEST_F(OrientationOfFiles, AMatrixOfZerosAsksForNothing) {
  const auto path = folder_ / "v.mp4";
  test::write_container(path, {{.codec = AV_CODEC_ID_MPEG4, .frames = 2, .draw = draw_ramp}});
  const std::vector<cv::Mat> upright = frames_of(path);
  test::set_display_matrix(path, 0, 0, 0, 0);
  EXPECT_EQ(cv::norm(frames_of(path)[1], upright[1], cv::NORM_INF), 0);
}

// FFmpeg's own reading of the angle, which players follow.
TEST(DisplayMatrix, TestsReadItAsFfmpegDoes) {
  for (const int degrees : {0, 90, 180, -90}) {
    std::array<std::int32_t, 9> matrix{};
    av_display_rotation_set(matrix.data(), degrees);
    const Turn& turn = kTurns[static_cast<std::size_t>((degrees + 360) / 90 % 4)];
    EXPECT_NEAR(matrix[0] / 65536.0, turn.a, 1e-4) << degrees;
    EXPECT_NEAR(matrix[1] / 65536.0, turn.b, 1e-4) << degrees;
    EXPECT_NEAR(matrix[3] / 65536.0, turn.c, 1e-4) << degrees;
    EXPECT_NEAR(matrix[4] / 65536.0, turn.d, 1e-4) << degrees;
  }
}

}  // namespace
}  // namespace repsim::video
