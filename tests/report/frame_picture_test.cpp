#include "repsim/frame_picture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "report/sample_plan.hpp"
#include "repsim/report_page.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(FramePicture, IsNoLargerThanItsFrameAndAtMost640PixelsLong) {
  EXPECT_EQ(picture_size(320, 240).width, 320);
  EXPECT_EQ(picture_size(1920, 1080).width, 640);
  EXPECT_EQ(picture_size(1920, 1080).height, 360);
  EXPECT_EQ(picture_size(1080, 1920).height, 640);
  EXPECT_EQ(picture_size(100000, 3).height, 1);
}

TEST(FramePicture, CountsItsBoxesAndHoldsItsOwnPixels) {
  const std::vector<std::uint8_t> pixels(3600, 100);
  verify::FrameBoxes boxes;
  boxes.frame = 12;
  boxes.missed = {{0.1, 0.1, 0.5, 0.5, 0.9, 0}};
  boxes.false_alarms = {{-3, 0.2, 7, 0.9, 0.5, 0}, {0.2, 0.2, 0.3, 0.3, 0.5, 0}};
  const FramePicture picture = frame_picture("plain", pixels, {40, 30}, boxes);
  EXPECT_EQ(picture.frame, 12);
  EXPECT_EQ(picture.missed, 1);
  EXPECT_EQ(picture.false_alarms, 2);
  EXPECT_EQ(picture.kept, 0);
  EXPECT_THAT(picture.uri, StartsWith("data:image/jpeg;base64,/9j/"));
  EXPECT_NE(picture.uri, frame_picture("plain", pixels, {40, 30}, {}).uri) << "nothing is drawn";
}

TEST(FramePicture, StandsOnThePageUnderItsModel) {
  FramePicture picture;
  picture.model = "pla<in";
  picture.frame = 1234;
  picture.size = {64, 48};
  picture.missed = 2;
  picture.false_alarms = 1;
  picture.uri = "data:image/jpeg;base64,AAAA";
  const std::string page = html(sample_plan(), {}, {{picture, picture}, {}, {}});
  EXPECT_THAT(page, HasSubstr("<h3>pla&lt;in</h3>"));
  EXPECT_THAT(page, HasSubstr("frame 1,234: 2 missed, 1 false alarm, 0 kept"));
  EXPECT_EQ(page.find("<h3>pla&lt;in</h3>"), page.rfind("<h3>pla&lt;in</h3>")) << "one heading per model";
  EXPECT_THAT(html(sample_plan(), {}), Not(HasSubstr("differ most</h2>")));
}

}  // namespace
}  // namespace repsim::report
