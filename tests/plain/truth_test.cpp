// MOTChallenge text as ground truth.
#include "repsim/truth.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"

namespace repsim::verify {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

MATCHER_P4(IsTruthBox, x1, y1, x2, y2, "") {
  return arg.x1 == x1 && arg.y1 == y1 && arg.x2 == x2 && arg.y2 == y2 && arg.label == 0 && arg.score == 1;
}

class MotChallenge : public testing::Test {
 protected:
  Truth read(const std::string& text, std::int64_t width = 100, std::int64_t height = 100,
             std::int64_t frame_count = 0) const {
    test::write_text(path_, text);
    video::VideoInfo video;
    video.width = width;
    video.height = height;
    video.frame_count = frame_count;
    return read_truth(path_, video);
  }
  void expect_error(const std::string& text, const std::string& message) const {
    const auto error = test::error_of([&] { (void)read(text); });
    ASSERT_TRUE(error) << text;
    EXPECT_EQ(error->kind(), ErrorKind::kInput);
    EXPECT_THAT(error->what(), StartsWith(path_.string() + ": " + message));
    EXPECT_FALSE(error->remedy().empty());
  }

  test::TempFolder folder_;
  std::filesystem::path path_ = folder_ / "gt.txt";
};

TEST_F(MotChallenge, ReadsBoxesRelativeToTheFrame) {
  const Truth truth = read("3,1,10,20,30,40,1,-1,-1,-1\r\n\n1, 7, -5, 0, 10.5, 50, 1\n3,2,50,50,10,10,0.5\n", 200, 100);
  EXPECT_EQ(truth.format, "motchallenge");
  EXPECT_THAT(truth.classes, testing::ElementsAre("person"));
  ASSERT_EQ(truth.frames.size(), 2U);
  ASSERT_EQ(truth.frames.at(2).sure.size(), 2U);
  EXPECT_THAT(truth.frames.at(2).sure[0], IsTruthBox(0.05, 0.2, 0.2, 0.6));
  EXPECT_THAT(truth.frames.at(0).sure[0], IsTruthBox(-0.025, 0, 0.0275, 0.5));
}

TEST_F(MotChallenge, LeavesOutInactiveRows) {
  const Truth truth = read("1,1,10,20,30,40,0\n2,1,10,20,30,40,1\n");
  EXPECT_EQ(truth.frames.count(0), 0U);
  EXPECT_EQ(truth.frames.count(1), 1U);
}

// Old Macs, Windows, and editors that mix them; with and without a mark, blank lines and a last end of line.
TEST_F(MotChallenge, ReadsLinesHoweverTheyEnd) {
  for (const std::string mark : {"", "\xEF\xBB\xBF"}) {
    for (const std::string end : {"\n", "\r\n", "\r", "\n\n", "\r\r", "\r\n\r\n", " \t\r\n"}) {
      for (const std::string last : {"", "x"}) {
        const std::string text = mark + "1,1,10,20,30,40,1" + end + "2,1,10,20,30,40,1" + end + "2,2,5,5,9,9,1";
        const Truth truth = read(text + (last.empty() ? end : ""));
        ASSERT_EQ(truth.frames.size(), 2U) << testing::PrintToString(text);
        EXPECT_EQ(truth.frames.at(0).sure.size(), 1U);
        EXPECT_EQ(truth.frames.at(1).sure.size(), 2U);
      }
    }
  }
}

TEST_F(MotChallenge, SkipsNamesOfColumnsAndComments) {
  for (const std::string head :
       {"frame,id,bb_left,bb_top,bb_width,bb_height,conf,x,y,z\n", "# people\n\n",
        "Frame, Id, X, Y, Width, Height, Active\n# from the tool\n", "\n\nframe,id,x,y,w,h,flag\n"}) {
    const Truth truth = read(head + "1,1,10,20,30,40,1\n");
    ASSERT_EQ(truth.frames.size(), 1U) << head;
    EXPECT_THAT(truth.frames.at(0).sure[0], IsTruthBox(0.1, 0.2, 0.4, 0.6));
  }
}

// Corners in the place of sizes would be read as other boxes, and nobody would see it.
TEST_F(MotChallenge, RefusesOtherColumns) {
  expect_error("frame,id,x1,y1,x2,y2,conf\n1,1,10,20,30,40,1\n", "line 1: column 5 is called 'x2', not width");
  expect_error("frame,id,class,x,y,w,h\n1,1,10,20,30,40,1\n", "line 1: column 3 is called 'class', not left");
  expect_error("id,frame,left,top,width,height,conf\n1,1,10,20,30,40,1\n",
               "line 1: column 1 is called 'id', not frame");
  for (const std::string centre : {"xc", "x_center", "cx", "center_x", "xcentre"})
    expect_error("frame,id," + centre + ",y,w,h,conf\n1,1,10,20,30,40,1\n",
                 "line 1: column 3 is called '" + centre + "'");
  for (const std::string other : {"class", "visibility", "class_id", "category", "label"})
    expect_error("frame,id,x,y,w,h," + other + "\n1,1,10,20,30,40,0\n",
                 "line 1: column 7 is called '" + other + "', not active");
}

TEST_F(MotChallenge, NamesTheLineOfWhatItCannotRead) {
  const std::string good = "1,1,10,20,30,40,1\n";
  expect_error(good + "1,1,10,20,30,40\n", "line 2: only 6 of 7 fields");
  expect_error(good + good + "1,1,ten,20,30,40,1\n", "line 3: field 3 is no number: 'ten'");
  expect_error("1,1,,20,30,40,1\n", "line 1: field 3");
  expect_error("1,1,nan,20,30,40,1\n", "line 1: field 3");
  expect_error("1,1,1e999,20,30,40,1\n", "line 1: field 3");
  expect_error("0,1,10,20,30,40,1\n", "line 1: the frame");
  expect_error("1.5,1,10,20,30,40,1\n", "line 1: the frame");
  expect_error("1e300,1,10,20,30,40,1\n", "line 1: the frame");
  expect_error("1,1,10,20,0,40,1\n", "line 1: the box has no area");
  expect_error("\n\n", "the ground truth has no row");
  expect_error("\xEF\xBB\xBF", "the ground truth has no row");
  expect_error("frame,id,x,y,w,h,flag\r\n", "the ground truth has no row");
  expect_error(std::string("\0\xff\x01", 3), "line 1: only 1 of 7");
  expect_error("1 1 10 20 30 40 1\n", "line 1: only 1 of 7");
  // After a row with CR alone the next line has the next number; names of columns are only in front.
  expect_error("1,1,10,20,30,40,1\r\r1,1,10,20,30,40\r", "line 3: only 6 of 7");
  expect_error(good + "frame,id,x,y,w,h,flag\n", "line 2: field 1 is no number: 'frame'");
}

TEST_F(MotChallenge, RefusesUtf16) {
  expect_error(
      "\xFF\xFE"
      "1" +
          std::string(1, '\0'),
      "is UTF-16");
  expect_error("\xFE\xFF" + std::string(1, '\0') + "1", "is UTF-16");
}

TEST_F(MotChallenge, LeavesOutRowsBeyondTheVideo) {
  const std::string text = "80,1,10,20,30,40,1\n81,1,10,20,30,40,1\n1000000,1,10,20,30,40,1\n";
  EXPECT_EQ(read(text, 100, 100, 80).frames.size(), 1U);
  EXPECT_EQ(read(text, 100, 100, 80).frames.count(79), 1U);
  EXPECT_EQ(read(text, 100, 100, 0).frames.size(), 3U);  // the number of frames is not known yet
  EXPECT_TRUE(read(text, 100, 100, 10).frames.empty());
}

TEST_F(MotChallenge, NamesAFileThatIsNotThere) { EXPECT_THROW((void)read_truth("/nonexistent/gt.txt", {}), Error); }

// Any bytes give a truth or an Error that names the file.
TEST_F(MotChallenge, NeverFailsOtherwiseOnDamagedText) {
  const std::string good = "frame,id,x,y,w,h,flag\r\n1,1,10,20,30,40,1\r2,1,1.5,-2,3e1,40,0.5\n\n3,2,5,5,9,9,1,-1,-1";
  std::uint32_t state = 7;
  const auto random = [&](std::size_t below) { return ((state = state * 1664525U + 1013904223U) >> 8U) % below; };
  for (int round = 0; round < 1000; ++round) {
    std::string text = good;
    for (std::size_t edits = random(4) + 1; edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random(text.size());
      switch (random(4)) {
        case 0:
          text[at] = static_cast<char>(random(256));
          break;
        case 1:
          text.erase(at, random(8) + 1);
          break;
        case 2:
          text.insert(at, text.substr(random(text.size()), random(20)));
          break;
        default:
          text.insert(at, 1, ",\r\n-.e\0#"[random(8)]);
      }
    }
    try {
      (void)read(text, 64, 48, 3);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.where(), StartsWith(path_.string()));
    }
  }
}

/// Two videos of 10 and 20 frames, of different sizes.
video::Playlist two_videos() {
  return video::Playlist(
      {{{"north.mp4", "a", 10, 100, 100, {}}, "north"}, {{"south.mp4", "b", 20, 200, 50, {}}, "south"}});
}

TEST(TruthOfSeveralVideos, CountsFramesThroughAllOfThem) {
  const test::TempFolder folder;
  test::write_text(folder / "north.txt", "1,1,10,20,30,40,1\n10,1,0,0,100,100,1\n");
  test::write_text(folder / "south.txt", "1,1,50,10,100,25,1\n");
  const std::vector<std::optional<std::string>> paths{(folder / "north.txt").string(), (folder / "south.txt").string()};
  const Truth truth = read_truth(paths, two_videos());
  ASSERT_EQ(truth.frames.size(), 3U);
  EXPECT_THAT(truth.frames.at(0).sure, testing::ElementsAre(IsTruthBox(0.1, 0.2, 0.4, 0.6)));
  EXPECT_THAT(truth.frames.at(9).sure, testing::ElementsAre(IsTruthBox(0, 0, 1, 1)));
  EXPECT_THAT(truth.frames.at(10).sure, testing::ElementsAre(IsTruthBox(0.25, 0.2, 0.75, 0.7)));
}

TEST(TruthOfSeveralVideos, HasOneFormat) {
  const test::TempFolder folder;
  test::write_text(folder / "north.txt", "1,1,10,20,30,40,1\n");
  test::write_text(folder / "south.json", R"({"images": [{"id": 1, "file_name": "1.png"}],
      "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}],
      "categories": [{"id": 1, "name": "person"}]})");
  const std::vector<std::optional<std::string>> paths{(folder / "north.txt").string(),
                                                      (folder / "south.json").string()};
  EXPECT_THAT(test::error_text([&] { (void)read_truth(paths, two_videos()); }),
              testing::AllOf(HasSubstr("'north' and 'south' has other formats"), HasSubstr("south.json")));
}

}  // namespace
}  // namespace repsim::verify
