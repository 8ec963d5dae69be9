#include "repsim/video_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/frame_stream.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void write_striped(const std::filesystem::path& path, std::int64_t frames, double rate) {
  VideoWriter writer(path, path, {test::kVideoWidth, test::kVideoHeight, rate});
  for (std::int64_t i = 0; i < frames; ++i) {
    const cv::Mat frame = test::striped_frame(i);
    writer.write({frame.data, frame.total() * 3});
  }
  writer.finish();
}

class EveryContainer : public testing::TestWithParam<const char*> {};

TEST_P(EveryContainer, KeepsFramesSizeAndRate) {
  silence_opencv();
  test::TempFolder folder;
  const auto path = folder / (std::string("v") + GetParam());
  write_striped(path, 9, 12.5);
  FrameStream stream(path);
  EXPECT_EQ(stream.width(), test::kVideoWidth);
  EXPECT_EQ(stream.height(), test::kVideoHeight);
  EXPECT_NEAR(stream.frames_per_second(), 12.5, 0.01);
  std::int64_t frames = 0;
  for (; stream.next(); ++frames)
    EXPECT_EQ(test::index_of(stream.pixels().data(), stream.width(), stream.height()), frames);
  EXPECT_EQ(frames, 9);
}

INSTANTIATE_TEST_SUITE_P(VideoWriter, EveryContainer, testing::Values(".mp4", ".mov", ".mkv", ".avi", ".webm", ".MP4"),
                         [](const auto& one) {
                           const std::string ending = one.param;
                           return ending.substr(1);
                         });

TEST(VideoWriter, WritesTheSameBytesForTheSameFrames) {
  test::TempFolder folder;
  write_striped(folder / "a.mkv", 5, 10);
  write_striped(folder / "b.mkv", 5, 10);
  const auto read = [&](const char* name) {
    std::ifstream file(folder / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_EQ(read("a.mkv"), read("b.mkv"));
}

TEST(VideoWriter, NamesTheFormsThatItWrites) {
  EXPECT_THAT(test::error_text([] { check_writable_name("seen.gif"); }),
              AllOf(HasSubstr("seen.gif"), HasSubstr("'.gif'"), HasSubstr(".mp4")));
  EXPECT_THAT(test::error_text([] { check_writable_name("seen"); }), HasSubstr("no ending"));
  EXPECT_NO_THROW(check_writable_name("a.b/seen.mp4"));
}

TEST(VideoWriter, SaysWhereItCannotWrite) {
  EXPECT_THAT(test::error_text([] { VideoWriter("/nowhere/v.mp4", "shown.mp4", {64, 48, 25}); }),
              AllOf(HasSubstr("shown.mp4"), HasSubstr("No such file or directory")));
}

TEST(VideoWriter, TakesNoFrameOfAnotherSize) {
  test::TempFolder folder;
  VideoWriter writer(folder / "v.mp4", "v.mp4", {64, 48, 25});
  const std::vector<std::uint8_t> pixels(64 * 47 * 3);
  EXPECT_THROW(writer.write(pixels), Error);
  EXPECT_THROW(VideoWriter(folder / "w.mp4", "w.mp4", {63, 48, 25}), Error);
}

}  // namespace
}  // namespace repsim::video
