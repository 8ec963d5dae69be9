// A stream gives the frames and pixels that probe() and decode() give.
#include "repsim/frame_stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

TEST(FrameStream, GivesTheFramesOfDecode) {
  silence_opencv();
  test::TempFolder folder;
  const auto path = folder / "v.avi";
  test::write_avi(path, 7, [](std::int64_t index) { return test::noise_frame(index); });
  SilentProgress silent;
  const VideoInfo info = probe(path, silent);
  for (const model::Resize resize : {model::Resize::kStretch, model::Resize::kLetterbox, model::Resize::kCrop}) {
    model::InputSpec spec;
    spec.width = 40;
    spec.height = 24;
    spec.resize = resize;
    spec.color = model::Color::kRgb;
    const std::vector<Request> requests{{{0, 1, 2, 3, 4, 5, 6}, spec}};
    const std::vector<FrameStore> expected = decode(info, requests, silent);
    FrameStream stream(path);
    EXPECT_EQ(stream.width(), test::kVideoWidth);
    EXPECT_EQ(stream.height(), test::kVideoHeight);
    FrameStore store({0}, spec);
    std::int64_t frames = 0;
    while (stream.next()) {
      EXPECT_EQ(stream.index(), frames);
      stream.fill(store, 0);
      EXPECT_TRUE(std::ranges::equal(store.pixels(0), expected.front().pixels(frames))) << "frame " << frames;
      ++frames;
    }
    EXPECT_EQ(frames, info.frame_count);
  }
}

TEST(FrameStream, SkipsFramesAndStatesTheRate) {
  silence_opencv();
  test::TempFolder folder;
  test::write_avi(folder / "v.avi", 6);
  FrameStream stream(folder / "v.avi");
  EXPECT_DOUBLE_EQ(stream.frames_per_second(), 25);
  for (int skipped = 0; skipped < 5; ++skipped) ASSERT_TRUE(stream.next());
  EXPECT_EQ(stream.index(), 4);
  EXPECT_EQ(test::index_of(stream.pixels().data(), stream.width(), stream.height()), 4);
  EXPECT_TRUE(stream.next());
  EXPECT_FALSE(stream.next());
}

TEST(FrameStream, RefusesWhatIsNoVideo) {
  test::TempFolder folder;
  std::ofstream(folder / "v.avi") << "no video";
  EXPECT_THAT(test::error_text([&] { FrameStream stream(folder / "v.avi"); }), testing::HasSubstr("v.avi"));
}

}  // namespace
}  // namespace repsim::video
