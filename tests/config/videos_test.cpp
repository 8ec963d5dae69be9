// Several videos in flags and configs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/config.hpp"

namespace repsim::config {
namespace {

using test::error_text;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A folder with files that stand for videos.
class Videos : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"north/cam.mp4", "south/cam.mp4", "street.mp4", "night_1.mp4", "night_2.mp4", "a[1].mp4"}) {
      std::filesystem::create_directories((folder_ / name).parent_path());
      test::write_text(folder_ / name, "video");
    }
  }

  [[nodiscard]] std::string at(const std::string& name) const { return (folder_ / name).string(); }
  [[nodiscard]] Settings read(const std::string& members) const {
    return settings_from_json(Json::parse("{" + members + "}"), "c.json", folder_.path());
  }
  [[nodiscard]] std::vector<std::string> paths(const Settings& settings) const {
    std::vector<std::string> found;
    for (const video::VideoSource& video : settings.videos)
      found.push_back(std::filesystem::relative(video.path, folder_.path()).string());
    return found;
  }
  static std::vector<std::string> names(const Settings& settings) {
    std::vector<std::string> found;
    for (const video::VideoSource& video : settings.videos) found.push_back(video.name);
    return found;
  }

  test::TempFolder folder_;
};

TEST_F(Videos, AreAListOfPathsPatternsAndObjects) {
  const Settings settings = read(R"("videos": ["street.mp4", "night_*.mp4",
      {"//": "the largest", "path": "north/cam.mp4", "name": "north", "weight": 2.5}])");
  EXPECT_THAT(paths(settings), ElementsAre("street.mp4", "night_1.mp4", "night_2.mp4", "north/cam.mp4"));
  EXPECT_THAT(names(settings), ElementsAre("street", "night_1", "night_2", "north"));
  EXPECT_EQ(settings.videos[0].weight, 1);
  EXPECT_EQ(settings.videos[3].weight, 2.5);
}

TEST_F(Videos, OfOneNameGetThatOfTheirFolders) {
  EXPECT_THAT(names(read(R"("videos": ["*/cam.mp4", "street.mp4"])")), ElementsAre("north/cam", "south/cam", "street"));
}

TEST_F(Videos, InAListOfOneAreASingleVideo) {
  const Settings settings = read(R"("videos": [{"path": "street.mp4", "name": "x", "weight": 3, "truth": "gt.txt"}])");
  EXPECT_THAT(paths(settings), ElementsAre("street.mp4"));
  EXPECT_EQ(settings.truth, at("gt.txt"));
  EXPECT_FALSE(settings.videos[0].truth.has_value());
  EXPECT_EQ(config_file(settings).at("video"), at("street.mp4"));
  EXPECT_FALSE(config_file(settings).contains("videos"));
}

// One path is never a pattern: what it names is what it says.
TEST_F(Videos, GivenAsOneTextStayAsTheyAre) {
  EXPECT_THAT(paths(read(R"("video": "night_*.mp4")")), ElementsAre("night_*.mp4"));
}

TEST_F(Videos, OfFlagsMayBePatterns) {
  Settings settings;
  apply_flag(setting("video"), {at("night_*.mp4"), at("street.mp4")}, settings);
  EXPECT_THAT(paths(settings), ElementsAre("night_1.mp4", "night_2.mp4", "street.mp4"));
  apply_flag(setting("video"), {at("stre*.mp4")}, settings);
  EXPECT_THAT(paths(settings), ElementsAre("street.mp4"));
  apply_flag(setting("video"), {at("a[1].mp4")}, settings);  // a file of that name is no pattern
  EXPECT_THAT(paths(settings), ElementsAre("a[1].mp4"));
  apply_flag(setting("video"), {""}, settings);
  EXPECT_THAT(settings.videos, IsEmpty());
  EXPECT_THAT(error_text([&] { apply_flag(setting("video"), {at("day_*.mp4")}, settings); }),
              AllOf(HasSubstr("no file matches"), HasSubstr("--video")));
}

TEST_F(Videos, OfAConfigReadBackFromWhatIsWritten) {
  const Settings settings = read(R"("videos": [{"path": "north/cam.mp4", "name": "n", "weight": 2, "truth": "n.txt"},
                                               {"path": "south/cam.mp4", "truth": "s.txt"}])");
  const Settings again = settings_from_json(config_file(settings), "again.json", "");
  ASSERT_EQ(again.videos.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(again.videos[i].path, settings.videos[i].path);
    EXPECT_EQ(again.videos[i].name, settings.videos[i].name);
    EXPECT_EQ(again.videos[i].weight, settings.videos[i].weight);
    EXPECT_EQ(again.videos[i].truth, settings.videos[i].truth);
  }
}

TEST_F(Videos, ComplainWithFieldAndRemedy) {
  const auto complaint = [&](const std::string& members) { return error_text([&] { (void)read(members); }); };
  EXPECT_THAT(complaint(R"("video": "a.mp4", "videos": ["b.mp4"])"), HasSubstr("both 'video' and 'videos' are given"));
  EXPECT_THAT(complaint(R"("video": ["a.mp4", "b.mp4"])"), HasSubstr("\"videos\": [...]"));
  EXPECT_THAT(complaint(R"("videos": "a.mp4")"), HasSubstr("c.json: videos"));
  EXPECT_THAT(complaint(R"("videos": [])"), HasSubstr("the list is empty"));
  EXPECT_THAT(complaint(R"("videos": ["day_*.mp4"])"),
              AllOf(HasSubstr("no file matches 'day_*.mp4'"), HasSubstr("videos[0]")));
  EXPECT_THAT(complaint(R"("videos": ["street.mp4", {"path": "night_1.mp4", "wieght": 2}])"),
              HasSubstr("videos[1].wieght"));
  EXPECT_THAT(complaint(R"("videos": ["street.mp4", {"path": "night_1.mp4", "weight": 0}])"),
              AllOf(HasSubstr("videos[1].weight"), HasSubstr("above 0")));
  EXPECT_THAT(complaint(R"("videos": [{"path": "street.mp4", "name": "x"}, {"path": "night_1.mp4", "name": "x"}])"),
              HasSubstr("two videos are named 'x'"));
  EXPECT_THAT(complaint(R"("videos": ["street.mp4", "night_1.mp4"], "truth": "gt.txt")"), HasSubstr("c.json: truth"));
  EXPECT_THAT(complaint(R"("videos": ["street.mp4", {"path": "night_1.mp4", "truth": "gt.txt"}])"),
              HasSubstr("for some of the videos only"));
  EXPECT_THAT(complaint(R"("videos": [{"path": "night_*.mp4", "name": "x"}])"), HasSubstr("2 files match"));
  EXPECT_THAT(complaint(R"("videos": [{"path": "street.mp4", "truth": "a"}], "truth": "b")"),
              HasSubstr("stated twice"));
}

TEST_F(Videos, AreTooManyForFewFrames) {
  Settings settings = read(R"("videos": ["street.mp4", "night_*.mp4"], "frames": {"count": 11})");
  settings.models.resize(2);
  settings.models[0].name = settings.models[0].path = "a";
  settings.models[1].name = settings.models[1].path = "b";
  EXPECT_THAT(error_text([&] { check(settings); }), HasSubstr("--frames 12 or more"));
}

}  // namespace
}  // namespace repsim::config
