// COCO annotations as ground truth.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/truth.hpp"

namespace repsim::verify {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Coco : public testing::Test {
 protected:
  Coco() {
    video_.width = 200;
    video_.height = 100;
    video_.frame_count = 50;
    json_ = {{"info", {{"year", 2026}}},
             {"images", Json::array()},
             {"annotations", Json::array()},
             {"categories", {{{"id", 1}, {"name", "person"}}}}};
  }
  void add_image(const Json& id, const std::string& name) {
    json_["images"].push_back({{"id", id}, {"file_name", name}});
  }
  Json& add_box(const Json& image, const Json& box = {20, 30, 40, 50}, int category = 1) {
    json_["annotations"].push_back({{"id", 7}, {"image_id", image}, {"bbox", box}, {"category_id", category}});
    return json_["annotations"].back();
  }
  Truth read_text(const std::string& text) const {
    test::write_text(path_, text);
    return read_truth(path_, video_);
  }
  Truth read() const { return read_text(to_text(json_)); }
  /// The frames that have boxes.
  std::vector<std::int64_t> frames() const {
    std::vector<std::int64_t> result;
    for (const auto& [frame, target] : read().frames) result.push_back(frame);
    return result;
  }
  void expect_error(const std::string& message) const {
    EXPECT_THAT(test::error_text([&] { (void)read(); }), StartsWith("input: " + path_.string() + ": " + message));
  }

  test::TempFolder folder_;
  std::filesystem::path path_ = folder_ / "gt.txt";  // the content tells the form, not the name
  video::VideoInfo video_;
  Json json_;
};

TEST_F(Coco, ReadsBoxesRelativeToTheFrame) {
  add_image(5, "000001.jpg");
  add_box(5, {20, 30, 40.5, 50});
  for (const std::string mark : {"", "\xEF\xBB\xBF", "\n\r\n "}) {
    const Truth truth = read_text(mark + to_text(json_));
    EXPECT_EQ(truth.format, "coco");
    ASSERT_EQ(truth.frames.size(), 1U);
    const Detection& box = truth.frames.at(0).sure.at(0);
    EXPECT_EQ(box.x1, 0.1);
    EXPECT_EQ(box.y1, 0.3);
    EXPECT_EQ(box.x2, 60.5 / 200);
    EXPECT_EQ(box.y2, 0.8);
    EXPECT_EQ(box.label, 0);
  }
}

// Annotators work on smaller copies.
TEST_F(Coco, BoxesAreRelativeToTheSizeOfTheirImage) {
  add_image(1, "1.jpg");
  json_["images"][0]["width"] = 100;
  json_["images"][0]["height"] = 50.0;
  add_box(1, {10, 10, 20, 20});
  const Detection box = read().frames.at(0).sure.at(0);
  EXPECT_EQ(box.x1, 0.1);
  EXPECT_EQ(box.y2, 0.6);
}

TEST_F(Coco, NumbersInFileNamesAreFramesFromZeroOrOne) {
  for (const int number : {7, 3, 1}) {
    add_image(100 - number, "shot2/img_" + std::to_string(number) + ".png");
    add_box(100 - number);
  }
  EXPECT_THAT(frames(), ElementsAre(0, 2, 6));
  add_image(1, "img_0.png");
  EXPECT_THAT(frames(), ElementsAre(1, 3, 7));
}

TEST_F(Coco, WithoutNumbersTheOrderOfIdsIsThatOfFrames) {
  for (const int id : {30, 10, 20}) {
    add_image(id, id == 20 ? "last.png" : "frame" + std::to_string(id) + ".png");
    if (id != 10) add_box(id);
  }
  EXPECT_THAT(frames(), ElementsAre(1, 2));
  json_["images"][0].erase("file_name");
  EXPECT_THAT(frames(), ElementsAre(1, 2));
}

// Times in names are no numbers of frames.
TEST_F(Coco, LongNumbersAreNoFrames) {
  for (const int id : {1, 2}) {
    add_image(id, "cam_165000000012" + std::to_string(9 - id) + ".jpg");
    add_box(id);
  }
  EXPECT_THAT(frames(), ElementsAre(0, 1));
}

TEST_F(Coco, NamesOfTheVideosPicturesAreItsFrames) {
  video_.pictures = {"img9.png", "img100.png", "img200.png"};
  video_.frame_count = 3;
  add_image(1, "shot/img200.png");
  add_image(2, "img9.png");
  add_box(1);
  add_box(2);
  EXPECT_THAT(frames(), ElementsAre(0, 2));
}

TEST_F(Coco, IdsMayBeTexts) {
  add_image("b", "x.png");
  add_image("a", "y.png");
  add_box("b");
  EXPECT_THAT(frames(), ElementsAre(1));
}

TEST_F(Coco, CategoriesAreClassesInOrderOfTheirIds) {
  json_["categories"] = {{{"id", 18}, {"name", "dog"}}, {{"id", 3}, {"name", "car"}}};
  add_image(1, "1.png");
  add_box(1, {1, 1, 2, 2}, 18);
  add_box(1, {1, 1, 2, 2}, 3);
  const Truth truth = read();
  EXPECT_THAT(truth.classes, ElementsAre("car", "dog"));
  EXPECT_EQ(truth.frames.at(0).sure[0].label, 1);
  EXPECT_EQ(truth.frames.at(0).sure[1].label, 0);
}

TEST_F(Coco, CrowdsAreNeitherRightNorWrong) {
  add_image(1, "1.png");
  add_box(1)["iscrowd"] = 1;
  add_box(1)["iscrowd"] = 0;
  add_box(1)["iscrowd"] = true;
  EXPECT_EQ(read().frames.at(0).ignored.size(), 2U);
  EXPECT_EQ(read().frames.at(0).sure.size(), 1U);
}

TEST_F(Coco, LeavesOutBoxesBeyondTheVideo) {
  for (const int number : {1, 50, 51}) {
    add_image(number, std::to_string(number) + ".png");
    add_box(number);
  }
  EXPECT_THAT(frames(), ElementsAre(0, 49));
}

TEST_F(Coco, MayHaveNoBox) {
  add_image(1, "1.png");
  EXPECT_TRUE(read().frames.empty());
}

TEST_F(Coco, NamesTheFieldOfWhatItCannotRead) {
  expect_error("images: the ground truth has no image");
  add_image(1, "1.png");
  const Json good = json_;
  const auto with = [&](const Json::json_pointer& where, const Json& value, const std::string& message) {
    json_ = good;
    add_box(1);
    json_[where] = value;
    expect_error(message);
  };
  using Pointer = Json::json_pointer;
  with(Pointer("/annotations/0/bbox"), {1, 2, 3}, "annotations[0].bbox: is no list of 4 numbers");
  with(Pointer("/annotations/0/bbox"), "1,2,3,4", "annotations[0].bbox: expected a list");
  with(Pointer("/annotations/0/bbox/2"), "x", "annotations[0].bbox[2]: expected a number");
  with(Pointer("/annotations/0/bbox/2"), 0, "annotations[0].bbox: the box has no area");
  with(Pointer("/annotations/0/image_id"), 2, "annotations[0].image_id: no image has this id");
  with(Pointer("/annotations/0/image_id"), nullptr, "annotations[0].image_id: expected a whole number");
  with(Pointer("/annotations/0/category_id"), 9, "annotations[0].category_id: no category has this id");
  with(Pointer("/annotations/0"), 5, "annotations[0]: expected an object");
  with(Pointer("/annotations"), Json::object(), "annotations: is no list");
  with(Pointer("/images/0/width"), 0, "images[0].width: is not above 0");
  with(Pointer("/images/1"), {{"id", 1}, {"file_name", "2.png"}}, "images[1].id: another image has the id 1");
  with(Pointer("/images/1"), {{"id", 2}, {"file_name", "b/01.png"}}, "images: two images are frame 0 of the video");
  with(Pointer("/categories/0/name"), 5, "categories[0].name: expected a string");
  with(Pointer("/categories/1"), {{"id", 1}, {"name", "x"}}, "categories[1].id: another category");
  for (const std::string key : {"images", "annotations", "categories"}) {
    json_ = good;
    json_.erase(key);
    expect_error(key + ": the key is missing");
  }
}

TEST_F(Coco, NamesThePlaceOfWhatIsNoJson) {
  const std::string where = "input: " + path_.string() + ": ";
  EXPECT_THAT(test::error_text([&] { (void)read_text("{\n\"images\": [}"); }), StartsWith(where + "line 2, column 12"));
  EXPECT_THAT(test::error_text([&] { (void)read_text("[{\"image_id\": 1}]"); }),
              HasSubstr("as COCO writes detections"));
}

// Any bytes give a truth or an Error that names the file.
TEST_F(Coco, NeverFailsOtherwiseOnDamagedText) {
  add_image(1, "img_001.png");
  add_image(2, "img_002.png");
  add_box(1)["iscrowd"] = 1;
  add_box(2);
  const std::string good = json_.dump();
  std::uint32_t state = 11;
  const auto random = [&](std::size_t below) { return ((state = state * 1664525U + 1013904223U) >> 8U) % below; };
  for (int round = 0; round < 1000; ++round) {
    std::string text = good;
    for (std::size_t edits = random(3) + 1; edits > 0; --edits) {
      const std::size_t at = 1 + random(text.size() - 1);
      switch (random(4)) {
        case 0:
          text[at] = static_cast<char>(random(256));
          break;
        case 1:
          text.erase(at, random(4) + 1);
          break;
        case 2:
          text.insert(at, text.substr(random(text.size()), random(20)));
          break;
        default:
          text[at] = "0123456789-e.\"{}[],n"[random(20)];
      }
    }
    try {
      (void)read_text(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.where(), StartsWith(path_.string()));
    }
  }
}

}  // namespace
}  // namespace repsim::verify
