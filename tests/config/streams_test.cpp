// Videos of models' own: which models are on one stream, and what a config says of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/config.hpp"
#include "repsim/streams.hpp"

namespace repsim::config {
namespace {

using test::error_text;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// A folder with files that stand for videos.
class Streams : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"yard.mp4", "door.mp4", "north/cam.mp4", "south/cam.mp4"}) {
      std::filesystem::create_directories((folder_ / name).parent_path());
      test::write_text(folder_ / name, "video");
    }
  }

  [[nodiscard]] std::string at(const std::string& name) const { return (folder_ / name).string(); }
  /// @param models  what the entries of the models a, b, ... say beside their paths
  [[nodiscard]] Settings read(const std::vector<std::string>& models, const std::string& members = "") const {
    std::string list;
    char name = 'a';
    for (const std::string& model : models) {
      list += (list.empty() ? "" : ", ") + std::string(R"({"path": ")") + name++ + ".pt\"" +
              (model.empty() ? "" : ", " + model) + "}";
    }
    return settings_from_json(
        Json::parse("{\"models\": [" + list + "]" + (members.empty() ? "" : ", " + members) + "}"), "c.json",
        folder_.path());
  }

  test::TempFolder folder_;
};

TEST_F(Streams, AreOneWhereNoModelHasAVideoOfItsOwn) {
  const Settings settings = read({"", ""}, R"("video": "yard.mp4", "truth": "gt.txt")");
  const std::vector<Stream> streams = streams_of(settings);
  ASSERT_THAT(streams, SizeIs(1));
  EXPECT_THAT(streams[0].models, ElementsAre(0, 1));
  EXPECT_EQ(streams[0].videos.at(0).path, at("yard.mp4"));
  EXPECT_EQ(streams[0].truth, at("gt.txt"));
  EXPECT_EQ(only_stream(settings, "x").videos.size(), 1U);
}

TEST_F(Streams, GroupModelsByTheirVideos) {
  const Settings settings = read({R"("video": "door.mp4")", "", R"("video": "door.mp4")"}, R"("video": "yard.mp4")");
  const std::vector<Stream> streams = streams_of(settings);
  ASSERT_THAT(streams, SizeIs(2));
  EXPECT_EQ(streams[0].name, "door");
  EXPECT_THAT(streams[0].models, ElementsAre(0, 2));
  EXPECT_EQ(streams[1].name, "yard");
  EXPECT_THAT(streams[1].models, ElementsAre(1));
  check(settings);
}

// One stream is one, however it is stated: nothing of it differs.
TEST_F(Streams, AreOneWhereAllListsAreEqual) {
  for (const Settings& settings :
       {read({R"("video": "yard.mp4")", ""}, R"("video": "yard.mp4")"),
        read({R"("videos": [{"path": "yard.mp4", "name": "x", "weight": 3}])", R"("video": "yard.mp4")"}),
        read({R"("videos": ["yard.mp4"])", R"("video": "yard.mp4")"})}) {
    const std::vector<Stream> streams = streams_of(settings);
    ASSERT_THAT(streams, SizeIs(1));
    EXPECT_EQ(streams[0].videos.at(0).path, at("yard.mp4"));
    EXPECT_EQ(streams[0].videos.at(0).name, "");
    EXPECT_EQ(streams[0].videos.at(0).weight, 1);
    check(settings);
  }
}

TEST_F(Streams, OfSeveralVideosDifferByOrderAndWeight) {
  const auto count = [&](const char* a, const char* b) { return streams_of(read({a, b})).size(); };
  EXPECT_EQ(count(R"("videos": ["yard.mp4", "door.mp4"])", R"("videos": ["yard.mp4", "door.mp4"])"), 1U);
  EXPECT_EQ(count(R"("videos": ["yard.mp4", "door.mp4"])", R"("videos": ["door.mp4", "yard.mp4"])"), 2U);
  EXPECT_EQ(
      count(R"("videos": ["yard.mp4", "door.mp4"])", R"("videos": ["yard.mp4", {"path": "door.mp4", "weight": 2}])"),
      2U);
}

TEST_F(Streams, HaveUniqueNames) {
  const auto names = [&](const std::vector<std::string>& models) {
    std::vector<std::string> found;
    for (const Stream& stream : streams_of(read(models, R"("video": "yard.mp4")"))) found.push_back(stream.name);
    return found;
  };
  EXPECT_THAT(names({R"("video": "north/cam.mp4")", R"("video": "south/cam.mp4")"}),
              ElementsAre("north/cam", "south/cam"));
  EXPECT_THAT(names({"", R"("videos": ["yard.mp4", "door.mp4"])"}), ElementsAre("yard", "yard-2"));
  EXPECT_THAT(names({"", R"("videos": [{"path": "door.mp4", "name": "front door"}])"}),
              ElementsAre("yard", "front door"));
}

TEST_F(Streams, HaveTheirOwnGroundTruth) {
  const Settings settings = read({"", R"("videos": [{"path": "door.mp4", "truth": "door.txt"}])"},
                                 R"("video": "yard.mp4", "truth": "yard.txt")");
  const std::vector<Stream> streams = streams_of(settings);
  ASSERT_THAT(streams, SizeIs(2));
  EXPECT_EQ(streams[0].truth, at("yard.txt"));
  EXPECT_EQ(streams[1].truth, at("door.txt"));
}

TEST_F(Streams, OfAConfigReadBackFromWhatIsWritten) {
  const Settings settings = read(
      {"", R"("videos": [{"path": "north/cam.mp4", "name": "n", "weight": 2}, "door.mp4"])", R"("video": "door.mp4")"},
      R"("video": "yard.mp4")");
  const Settings again = settings_from_json(config_file(settings), "again.json", "");
  const std::vector<Stream> before = streams_of(settings), after = streams_of(again);
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i].name, before[i].name);
    EXPECT_EQ(after[i].models, before[i].models);
    EXPECT_EQ(videos_json(after[i].videos), videos_json(before[i].videos));
  }
}

TEST_F(Streams, ComplainWithFieldAndRemedy) {
  const auto complaint = [&](const std::string& model) { return error_text([&] { (void)read({"", model}); }); };
  EXPECT_THAT(complaint(R"("video": "a.mp4", "videos": ["b.mp4"])"),
              AllOf(HasSubstr("c.json: models[1].videos"), HasSubstr("both")));
  EXPECT_THAT(complaint(R"("video": "")"), HasSubstr("c.json: models[1].video"));
  EXPECT_THAT(complaint(R"("videos": [])"), HasSubstr("models[1].videos"));
  EXPECT_THAT(complaint(R"("videos": ["day_*.mp4"])"), HasSubstr("models[1].videos[0]"));
  EXPECT_THAT(complaint(R"("videos": ["yard.mp4", {"path": "door.mp4", "weight": 0}])"),
              HasSubstr("models[1].videos[1].weight"));
}

TEST_F(Streams, NeedAVideoForEveryModel) {
  EXPECT_THAT(error_text([&] { check(read({"", R"("video": "door.mp4")"})); }), HasSubstr("no video is given for 'a'"));
  EXPECT_THAT(error_text([&] { check(read({"", ""})); }), HasSubstr("no video is given"));
  EXPECT_THAT(
      error_text([&] { check(read({R"("video": "yard.mp4")", R"("video": "door.mp4")"}, R"("truth": "gt.txt")")); }),
      HasSubstr("--truth"));
  check(read({R"("video": "yard.mp4")", R"("video": "door.mp4")"}));
}

TEST_F(Streams, AreTooManyForCommandsThatTakeOne) {
  const Settings settings = read({"", R"("video": "door.mp4")"}, R"("video": "yard.mp4")");
  EXPECT_THAT(error_text([&] { (void)only_stream(settings, "repsim validate"); }),
              AllOf(HasSubstr("2 streams (yard, door)"), HasSubstr("repsim validate")));
}

}  // namespace
}  // namespace repsim::config
