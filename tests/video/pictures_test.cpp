// Folders of pictures and numbered sequences as videos.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/video.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Pictures : public testing::Test {
 protected:
  static void SetUpTestSuite() { silence_opencv(); }

  void write(const std::string& name, const cv::Mat& picture) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    ASSERT_TRUE(cv::imwrite((folder_ / name).string(), picture));
  }
  /// striped_frame(i), so that a frame says which picture it is.
  void write_striped(const std::string& name, std::int64_t index) { write(name, test::striped_frame(index)); }

  VideoInfo probe(const std::string& name) { return video::probe(folder_ / name, progress_); }
  /// The message of probe, which names the folder.
  std::string complaint(const std::string& name) {
    return test::error_text([&] { (void)probe(name); });
  }
  /// Which striped frames the video consists of.
  std::vector<std::int64_t> indices_of(const std::string& name) {
    const VideoInfo info = probe(name);
    Request request;
    request.spec.width = info.width;
    request.spec.height = info.height;
    for (std::int64_t i = 0; i < info.frame_count; ++i) request.frames.push_back(i);
    const FrameStore store = std::move(decode(info, {&request, 1}, progress_).front());
    std::vector<std::int64_t> indices;
    for (std::int64_t i = 0; i < store.size(); ++i)
      indices.push_back(test::index_of(store.pixels(i).data(), info.width, info.height));
    return indices;
  }

  test::TempFolder folder_;
  SilentProgress progress_;
};

TEST_F(Pictures, OfAFolderAreFramesInNaturalOrder) {
  for (const std::int64_t i : {10, 2, 1, 100, 20}) write_striped("shot/img" + std::to_string(i) + ".png", i);
  EXPECT_THAT(indices_of("shot"), ElementsAre(1, 2, 10, 20, 100));
  const VideoInfo info = probe("shot");
  EXPECT_EQ(info.frame_count, 5);
  EXPECT_EQ(info.width, test::kVideoWidth);
  EXPECT_EQ(info.height, test::kVideoHeight);
  EXPECT_THAT(info.pictures, ElementsAre("img1.png", "img2.png", "img10.png", "img20.png", "img100.png"));
  EXPECT_NO_THROW(check_readable(folder_ / "shot"));
}

TEST_F(Pictures, AreReadWhateverTheirFormatAndCase) {
  const char* names[] = {"shot/0.png",  "shot/1.JPG", "shot/2.jpeg", "shot/3.bmp",
                         "shot/4.tiff", "shot/5.ppm", "shot/6.webp"};
  for (std::int64_t i = 0; i < 7; ++i) write_striped(names[i], i);
  EXPECT_THAT(indices_of("shot/"), ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

TEST_F(Pictures, OtherFilesAndHiddenOnesAreLeftOut) {
  write_striped("shot/1.png", 1);
  write_striped("shot/2.png", 2);
  test::write_text(folder_ / "shot/gt.txt", "1,1,10,20,30,40,1\n");
  test::write_text(folder_ / "shot/.DS_Store", "x");
  test::write_text(folder_ / "shot/._1.png", "no picture");
  std::filesystem::create_directory(folder_ / "shot/3.png");  // a folder, whatever its name
  EXPECT_THAT(indices_of("shot"), ElementsAre(1, 2));
}

TEST_F(Pictures, ANumberedSequenceIsReadByItsNumbers) {
  for (const std::int64_t i : {7, 8, 9, 10, 12}) {
    char name[40];
    std::snprintf(name, sizeof name, "shot/img_%03d.png", static_cast<int>(i));
    write_striped(name, i);
  }
  write_striped("shot/img_0011.png", 11);  // written with four digits
  write_striped("shot/img_1000.png", 50);  // more digits than zeros were asked for
  write_striped("shot/mask_007.png", 60);
  write_striped("shot/img_007.jpg", 61);
  EXPECT_THAT(indices_of("shot/img_%03d.png"), ElementsAre(7, 8, 9, 10, 12, 50));
  EXPECT_THAT(indices_of("shot/img_%d.png"), ElementsAre(7, 8, 9, 10, 11, 12, 50));
  EXPECT_THAT(indices_of("shot/img_%04d.png"), ElementsAre(11, 50));
  write_striped("shot/100%_5.png", 5);
  EXPECT_THAT(indices_of("shot/100%%_%d.png"), ElementsAre(5));
}

TEST_F(Pictures, APatternThatNothingMatchesIsNamed) {
  write_striped("shot/img_001.png", 1);
  EXPECT_THAT(complaint("shot/img_%04d.png"),
              AllOf(StartsWith("input: " + (folder_ / "shot/img_%04d.png").string()), HasSubstr("img_000.png")));
  EXPECT_THAT(complaint("none/img_%03d.png"), HasSubstr("No such file or directory"));
  EXPECT_THAT(complaint("shot/img_%s.png"), HasSubstr("no video: No such file"));
  EXPECT_THAT(complaint("shot/%d_%d.png"), HasSubstr("no video: No such file"));
}

TEST_F(Pictures, AFolderWithoutPicturesIsNamed) {
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_THAT(complaint("empty"), AllOf(StartsWith("input: " + (folder_ / "empty").string() + ": "),
                                        HasSubstr("the folder holds no picture; ")));
  test::write_text(folder_ / "empty/clip.mp4", "x");
  EXPECT_THAT(complaint("empty"), HasSubstr("holds no picture, but 1 other"));
  EXPECT_EQ(test::error_text([&] { check_readable(folder_ / "empty"); }), complaint("empty"));
}

TEST_F(Pictures, OfTwoSizesAreRefusedByTheirNames) {
  write("shot/img2.png", test::noise_frame(1));
  write("shot/img10.png", test::noise_frame(2));
  write("shot/img11.png", test::noise_frame(3, 65, 48));
  EXPECT_THAT(complaint("shot"),
              StartsWith("input: " + (folder_ / "shot/img11.png").string() + ": has 65x48 pixels, img2.png has 64x48"));
}

TEST_F(Pictures, ThatCannotBeReadAreNamed) {
  for (const std::string suffix : {".png", ".jpg", ".bmp", ".tif", ".webp"}) {
    std::filesystem::remove_all(folder_ / "shot");
    for (int i = 1; i < 4; ++i) write("shot/" + std::to_string(i) + suffix, test::noise_frame(i));
    const auto path = folder_ / ("shot/2" + suffix);
    const std::string bytes = test::read_text(path), where = "input: " + path.string() + ": ";
    testing::internal::CaptureStderr();  // libpng and others talk
    for (const std::string& damaged :
         {bytes.substr(0, bytes.size() * 2 / 3), std::string("no picture"), std::string()}) {
      test::write_text(path, damaged);
      EXPECT_THAT(complaint("shot"), StartsWith(where)) << damaged.size();
    }
    (void)testing::internal::GetCapturedStderr();
  }
}

// The preview that cameras put into a JPEG has an end of its own.
TEST_F(Pictures, AJpegThatIsCutShortIsFoundBehindItsPreview) {
  write("shot/1.jpg", test::noise_frame(1));
  const std::string whole = test::read_text(folder_ / "shot/1.jpg");
  std::string preview = std::string("\xFF\xE1", 2) + '\0' + '\x08' + "ab\xFF\xD9" + "xy";
  const std::string with = whole.substr(0, 2) + preview + whole.substr(2);
  test::write_text(folder_ / "shot/1.jpg", with);
  EXPECT_EQ(probe("shot").frame_count, 1);
  test::write_text(folder_ / "shot/1.jpg", with.substr(0, with.size() / 2));
  EXPECT_THAT(complaint("shot"), HasSubstr("1.jpg: the picture is cut short"));
}

TEST_F(Pictures, OfOtherDepthsBecomeEightBitColour) {
  const cv::Scalar colour(20, 120, 220, 60);
  write("shot/0.png", cv::Mat(48, 64, CV_8UC4, colour));
  write("shot/1.png", cv::Mat(48, 64, CV_16UC3, colour * 256));
  write("shot/2.png", cv::Mat(48, 64, CV_8UC1, cv::Scalar(77)));
  write("shot/3.png", cv::Mat(48, 64, CV_16UC1, cv::Scalar(77 * 256)));
  const VideoInfo info = probe("shot");
  Request request;
  request.spec.width = 64;
  request.spec.height = 48;
  request.frames = {0, 1, 2, 3};
  const FrameStore store = std::move(decode(info, {&request, 1}, progress_).front());
  EXPECT_THAT(store.pixels(0).first(3), ElementsAre(20, 120, 220));
  EXPECT_THAT(store.pixels(1).first(3), ElementsAre(20, 120, 220));
  EXPECT_THAT(store.pixels(2).first(3), ElementsAre(77, 77, 77));
  EXPECT_THAT(store.pixels(3).first(3), ElementsAre(77, 77, 77));
}

// What viewers show.
TEST_F(Pictures, AreTurnedAsExifSays) {
  write("shot/1.jpg", test::noise_frame(1));
  const std::string whole = test::read_text(folder_ / "shot/1.jpg");
  const std::string exif(
      "\xFF\xE1\x00\x22"
      "Exif\0\0"
      "II*\0\x08\0\0\0"
      "\x01\0"
      "\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
      "\0\0\0\0",
      36);
  test::write_text(folder_ / "shot/1.jpg", whole.substr(0, 2) + exif + whole.substr(2));
  const VideoInfo info = probe("shot");
  EXPECT_EQ(info.width, 48);
  EXPECT_EQ(info.height, 64);
}

TEST_F(Pictures, HashOfTheSequenceIsThatOfThePicturesInOrder) {
  for (const std::int64_t i : {2, 10, 1}) write_striped("shot/img" + std::to_string(i) + ".png", i);
  std::string all;
  for (const std::string name : {"img1.png", "img2.png", "img10.png"})
    all += sha256(test::read_text(folder_ / "shot" / name));
  const std::string expected = sha256(all);
  EXPECT_EQ(probe("shot").sha256, expected);
  EXPECT_EQ(probe("shot/img%d.png").sha256, expected);
  EXPECT_EQ(sha256_of_video(folder_ / "shot", progress_), expected);
  write_striped("shot/img2.png", 3);
  EXPECT_NE(probe("shot").sha256, expected);
}

TEST_F(Pictures, ThatVanishMeanwhileAreNamed) {
  write_striped("shot/1.png", 1);
  write_striped("shot/2.png", 2);
  const VideoInfo info = probe("shot");
  std::filesystem::remove(folder_ / "shot/2.png");
  Request request;
  request.spec.width = 8;
  request.spec.height = 8;
  request.frames = {1};
  EXPECT_THAT(test::error_text([&] { (void)decode(info, {&request, 1}, progress_); }),
              HasSubstr("ends after 1 frames"));
}

}  // namespace
}  // namespace repsim::video
