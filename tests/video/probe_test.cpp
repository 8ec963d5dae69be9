#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/video.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Probe : public ::testing::Test {
 protected:
  // As the program does: damaged files would fill the test's output.
  static void SetUpTestSuite() { silence_opencv(); }

  VideoInfo probe(const std::filesystem::path& path) { return video::probe(path, progress_); }
  /// The message of probe, which check_readable must share.
  std::string complaint(const std::filesystem::path& path) {
    const std::string text = test::error_text([&] { (void)probe(path); });
    EXPECT_EQ(test::error_text([&] { check_readable(path); }), text);
    return text;
  }

  test::TempFolder folder_;
  SilentProgress progress_;
};

TEST_F(Probe, CountsFramesAndNamesSizeAndHash) {
  const auto path = folder_ / "a.avi";
  test::write_avi(path, 37);
  const VideoInfo info = probe(path);
  EXPECT_EQ(info.path, path.string());
  EXPECT_EQ(info.frame_count, 37);
  EXPECT_EQ(info.width, test::kVideoWidth);
  EXPECT_EQ(info.height, test::kVideoHeight);
  EXPECT_EQ(info.sha256, sha256(test::read_text(path)));
  EXPECT_NO_THROW(check_readable(path));
}

// The header of a file that was cut short still announces all frames.
TEST_F(Probe, CountsTheFramesThatDecodeNotThoseThatAreAnnounced) {
  test::write_avi(folder_ / "whole.avi", 60, [](std::int64_t i) { return test::noise_frame(i); });
  const std::string bytes = test::read_text(folder_ / "whole.avi");
  test::write_text(folder_ / "cut.avi", bytes.substr(0, bytes.size() / 2));
  const VideoInfo info = probe(folder_ / "cut.avi");
  EXPECT_GT(info.frame_count, 20);
  EXPECT_LT(info.frame_count, 35);
}

TEST_F(Probe, NamesAVideoThatIsMissing) {
  EXPECT_THAT(complaint(folder_ / "no.avi"),
              AllOf(StartsWith("input: " + (folder_ / "no.avi").string()), HasSubstr("No such file")));
}

TEST_F(Probe, RefusesAnEmptyFolder) { EXPECT_THAT(complaint(folder_.path()), HasSubstr("holds no picture")); }

TEST_F(Probe, RefusesADevice) { EXPECT_THAT(complaint("/dev/null"), HasSubstr("is no regular file")); }

TEST_F(Probe, RefusesAnEmptyFile) {
  test::write_text(folder_ / "empty.avi", "");
  EXPECT_THAT(complaint(folder_ / "empty.avi"), HasSubstr("the file is empty"));
}

TEST_F(Probe, RefusesGarbage) {
  std::string bytes;
  std::uint32_t state = 1;
  for (int i = 0; i < 100000; ++i) bytes += static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
  test::write_text(folder_ / "garbage.avi", bytes);
  EXPECT_THAT(complaint(folder_ / "garbage.avi"), AllOf(HasSubstr("is no video"), HasSubstr("ffmpeg -i")));
}

// A header alone, without a frame.
TEST_F(Probe, RefusesAVideoWithoutFrames) {
  test::write_avi(folder_ / "whole.avi", 3);
  test::write_text(folder_ / "header.avi", test::read_text(folder_ / "whole.avi").substr(0, 1000));
  EXPECT_THAT(complaint(folder_ / "header.avi"), StartsWith("input: " + (folder_ / "header.avi").string()));
}

// FFmpeg would draw it like a terminal and count the screens: a ground-truth file in the wrong place must not pass.
TEST_F(Probe, RefusesTextThatFfmpegCallsAVideo) {
  std::string text;
  for (int i = 1; i < 2000; ++i) text += std::to_string(i) + ",1,10,20,30,40,1\n";
  test::write_text(folder_ / "gt.txt", text);
  EXPECT_THAT(complaint(folder_ / "gt.txt"), HasSubstr("is no video"));
}

// What looks like the protocol of a URL is a file name all the same.
TEST_F(Probe, TakesOddFileNames) {
  const auto path = folder_ / "concat:a%03d|b.avi";
  test::write_avi(folder_ / "a.avi", 5);
  std::filesystem::rename(folder_ / "a.avi", path);
  EXPECT_EQ(probe(path).frame_count, 5);
}

TEST_F(Probe, NamesADamagedFrameThatOthersFollow) {
  std::vector<cv::Mat> frames;
  for (int i = 0; i < 20; ++i) frames.push_back(test::noise_frame(i));
  test::write_lossless(folder_ / "v.png", frames);
  std::string bytes = test::read_text(folder_ / "v.png");
  const std::size_t middle = bytes.size() / 2;  // within the eleventh of twenty images of nearly the same length
  for (std::size_t i = 0; i < 60; ++i) bytes[middle + bytes.size() / 40 + i] ^= static_cast<char>(0x5a);
  test::write_text(folder_ / "v.png", bytes);
  EXPECT_THAT(
      test::error_text([&] { (void)probe(folder_ / "v.png"); }),
      AllOf(StartsWith("input: " + (folder_ / "v.png").string() + ": frame 10: "), HasSubstr("cannot be decoded")));
}

class Recorder : public SilentProgress {
 public:
  void begin(std::string_view, std::int64_t steps) override { total = steps; }
  void advance(std::int64_t steps) override { done += steps; }
  void end() override { ended = true; }
  [[nodiscard]] bool stop_requested() const override { return done >= stop_after; }
  std::int64_t total = -1, done = 0, stop_after = 1000;
  bool ended = false;
};

TEST_F(Probe, ReportsOneStepPerFrame) {
  test::write_avi(folder_ / "a.avi", 12);
  Recorder progress;
  (void)video::probe(folder_ / "a.avi", progress);
  EXPECT_EQ(progress.total, 12);
  EXPECT_EQ(progress.done, 12);
  EXPECT_TRUE(progress.ended);
}

TEST_F(Probe, StopsWithinAFrame) {
  test::write_avi(folder_ / "a.avi", 12);
  Recorder progress;
  progress.stop_after = 4;
  EXPECT_THAT(test::error_text([&] { (void)video::probe(folder_ / "a.avi", progress); }), StartsWith("interrupted"));
  EXPECT_EQ(progress.done, 4);
}

}  // namespace
}  // namespace repsim::video
