#include "repsim/codecs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace repsim::video {
namespace {

using testing::Contains;
using testing::HasSubstr;

// What the tests of this folder read.
TEST(Codecs, ReadWhatTheTestsRead) {
  for (const char* name : {"mpeg4", "mjpeg", "rawvideo"})
    EXPECT_THAT(video_codecs(),
                Contains(testing::AllOf(testing::Field(&Codec::name, name), testing::Field(&Codec::readable, true))));
  for (const char* name : {".jpg", ".png", ".bmp"})
    EXPECT_THAT(picture_formats(),
                Contains(testing::AllOf(testing::Field(&Codec::name, name), testing::Field(&Codec::readable, true))));
}

TEST(Codecs, VersionsAreThoseOfTheBuildHere) {
  EXPECT_EQ(opencv_version().running, opencv_version().built);
  EXPECT_THAT(ffmpeg_version().running, HasSubstr(ffmpeg_version().built));
}

}  // namespace
}  // namespace repsim::video
