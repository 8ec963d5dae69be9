// A sweep's file: what is read, and what every mistake is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/error_matcher.hpp"
#include "repsim/base/error.hpp"
#include "sweep/fixtures.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::vector<std::string> kFour{"a", "b", "c", "d"};

std::vector<ModelSet> sets_of(const std::string& text, const std::vector<std::string>& names = kFour) {
  return expand_sets(Json::parse(text), names, "s.json");
}

/// Subsets by counting through all bit patterns.
std::set<ModelSet> subsets_by_counting(std::size_t models, std::size_t size) {
  std::set<ModelSet> found;
  for (unsigned pattern = 0; pattern < (1U << models); ++pattern) {
    ModelSet set;
    for (std::size_t i = 0; i < models; ++i) {
      if ((pattern >> i & 1U) != 0) set.push_back(i);
    }
    if (set.size() == size) found.insert(set);
  }
  return found;
}

TEST(ModelSets, AllPairsAreInTheOrderOfTheModels) {
  EXPECT_THAT(sets_of(R"("all-pairs")", {"a", "b", "c"}),
              ElementsAre(ElementsAre(0, 1), ElementsAre(0, 2), ElementsAre(1, 2)));
}

TEST(ModelSets, SubsetsAreAllAndEachOnce) {
  std::vector<std::string> names;
  for (std::size_t models = 2; models <= 6; ++models) {
    names.assign(models, "");
    for (std::size_t i = 0; i < models; ++i) names[i] = std::string(1, static_cast<char>('a' + i));
    for (std::size_t size = 2; size <= models; ++size) {
      const std::vector<ModelSet> found = sets_of(R"({"k_subsets": )" + std::to_string(size) + "}", names);
      const std::set<ModelSet> expected = subsets_by_counting(models, size);
      EXPECT_EQ(found.size(), expected.size());
      EXPECT_EQ(std::set<ModelSet>(found.begin(), found.end()), expected) << size << " of " << models;
    }
  }
}

TEST(ModelSets, FixedModelsGoWithEachOther) {
  EXPECT_THAT(sets_of(R"({"fixed": "b"})"), ElementsAre(ElementsAre(1, 0), ElementsAre(1, 2), ElementsAre(1, 3)));
  EXPECT_THAT(sets_of(R"({"fixed": ["d", "a"]})"), ElementsAre(ElementsAre(3, 0, 1), ElementsAre(3, 0, 2)));
}

TEST(ModelSets, ListsOfNamesKeepTheirOrder) {
  EXPECT_THAT(sets_of(R"([["c", "a"], ["b", "c", "d"]])"), ElementsAre(ElementsAre(2, 0), ElementsAre(1, 2, 3)));
}

TEST(ModelSets, FormsAddUpAndRepeatedSetsCountOnce) {
  EXPECT_THAT(sets_of(R"([["b", "a"], {"fixed": "a"}, "all-pairs"])"), SizeIs(6));
  EXPECT_THAT(sets_of(R"([["b", "a"], "all-pairs"])").front(), ElementsAre(1, 0));
}

TEST(ModelSets, NameWhatIsWrong) {
  const auto problem = [](const std::string& text) {
    return std::string(error_of([&] { sets_of(text); }).value().what());
  };
  EXPECT_THAT(problem(R"([["a", "bb"]])"), HasSubstr("s.json: sets[0][1]: there is no model named 'bb'"));
  EXPECT_THAT(problem(R"([["a"]])"), HasSubstr("two models or more"));
  EXPECT_THAT(problem(R"([["a", "a"]])"), HasSubstr("'a' is there twice"));
  EXPECT_THAT(problem(R"("all-pair")"), HasSubstr("did you mean 'all-pairs'?"));
  EXPECT_THAT(problem(R"(["a", "b"])"), HasSubstr("a set is a list of names"));
  EXPECT_THAT(problem(R"({"k_subsets": 5})"), HasSubstr("2 to 4"));
  EXPECT_THAT(problem(R"({"k_subset": 2})"), HasSubstr("did you mean 'k_subsets'?"));
  EXPECT_THAT(problem(R"({"k_subsets": 2, "fixed": "a"})"), HasSubstr("one form of sets"));
  EXPECT_THAT(problem("{}"), HasSubstr("one form of sets"));
  EXPECT_THAT(problem("[]"), HasSubstr("these are no sets"));
  EXPECT_THAT(problem("7"), HasSubstr("these are no sets"));
}

TEST(ModelSets, RefuseMoreSetsThanAnybodyPlans) {
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("m" + std::to_string(i));
  EXPECT_THAT(error_of([&] { sets_of(R"({"k_subsets": 8})", names); }).value().what(), HasSubstr("100000"));
}

TEST(Grid, CombinesAllValuesTheFirstAxisSlowest) {
  const std::vector<Axis> grid{{"x", {1, 2}}, {"y", {"p", "q", "r"}}};
  const auto all = combinations(grid);
  ASSERT_THAT(all, SizeIs(6));
  EXPECT_THAT(all[0], ElementsAre(1, "p"));
  EXPECT_THAT(all[1], ElementsAre(1, "q"));
  EXPECT_THAT(all[3], ElementsAre(2, "p"));
}

TEST(Grid, IsOneCombinationWithoutAxes) { EXPECT_THAT(combinations({}), ElementsAre(IsEmpty())); }

TEST(ReadSweep, FindsModelsByPatternsAndAnchorsPathsAtTheFile) {
  const SweepFolder folder;
  const Sweep sweep = folder.read(
      R"("models": ["[ab].pt", {"path": "c.pt", "name": "front"}], "video": ["v.mp4", {"path": "w.mp4", "name": "night"}])");
  ASSERT_THAT(sweep.models, SizeIs(3));
  EXPECT_EQ(sweep.models[0].path, folder / "a.pt");
  EXPECT_EQ(sweep.models[1].name, "b");
  EXPECT_EQ(sweep.models[2].name, "front");
  ASSERT_THAT(sweep.videos, SizeIs(2));
  EXPECT_EQ(sweep.videos[0].name, "v");
  EXPECT_EQ(sweep.videos[1].name, "night");
  EXPECT_EQ(sweep.videos[1].sources.at(0).path, folder / "w.mp4");
}

TEST(ReadSweep, TakesAFileWhoseNameLooksLikeAPattern) {
  const SweepFolder folder({"[x]", "y"});
  EXPECT_THAT(folder.read(R"("models": ["[x].pt", "y.pt"], "video": "v.mp4")").models, SizeIs(2));
}

TEST(ReadSweep, GivesAllModelsOfAPatternTheInputOfItsEntry) {
  const SweepFolder folder;
  const Sweep sweep =
      folder.read(R"("models": [{"path": "*.pt", "input": {"width": 32, "height": 16}}], "video": "v.mp4")");
  ASSERT_THAT(sweep.models, SizeIs(3));
  EXPECT_EQ(sweep.models[2].input->height, 16);
}

TEST(ReadSweep, ReadsBoxesAsSizes) {
  const Sweep sweep = SweepFolder().small(R"("boxes": {"nano": "512M", "tiny": 1000})");
  ASSERT_THAT(sweep.boxes, SizeIs(2));
  EXPECT_EQ(sweep.boxes[0].name, "nano");
  EXPECT_EQ(sweep.boxes[0].bytes, 512'000'000);
  EXPECT_EQ(sweep.boxes[1].bytes, 1000);
}

TEST(ReadSweep, NamesThePlaceOfEveryMistake) {
  const SweepFolder folder;
  const auto problem = [&](const std::string& members) {
    const auto error = error_of([&] { static_cast<void>(folder.small(members)); });
    EXPECT_EQ(error.value().kind(), ErrorKind::kInput);
    return std::string(error.value().what());
  };
  EXPECT_THAT(problem(R"("grd": {})"), HasSubstr("s.json: grd: unknown key; did you mean 'grid'?"));
  EXPECT_THAT(problem(R"("grid": {"merge.min_fidelty": [1]})"), HasSubstr("did you mean 'merge.min_fidelity'?"));
  EXPECT_THAT(problem(R"("grid": {"threads": [1]})"), HasSubstr("no plan depends on a setting 'threads'"));
  EXPECT_THAT(problem(R"("grid": {"merge.min_fidelity": [0.9, 1.5]})"), HasSubstr("grid.merge.min_fidelity[1]"));
  EXPECT_THAT(problem(R"("grid": {"merge.min_fidelity": []})"), HasSubstr("no list of values"));
  EXPECT_THAT(problem(R"("grid": {"seed": [1, 1]})"), HasSubstr("there twice"));
  EXPECT_THAT(problem(R"("settings": {"merge": {"max_trials": 0}})"), HasSubstr("s.json: settings.merge.max_trials"));
  EXPECT_THAT(problem(R"("settings": {"threads": 2})"), HasSubstr("--threads N"));
  EXPECT_THAT(problem(R"("settings": {"models": []})"), HasSubstr("one level up"));
  EXPECT_THAT(problem(R"("boxes": {"nano": "512Q"})"), HasSubstr("boxes.nano"));
  EXPECT_THAT(problem(R"("boxes": {"nano": -1})"), HasSubstr("-1 is no size"));
}

TEST(ReadSweep, NamesModelsAndVideosThatCannotBeUsed) {
  const SweepFolder folder;
  const auto problem = [&](const std::string& members) {
    return std::string(error_of([&] { static_cast<void>(folder.read(members)); }).value().what());
  };
  EXPECT_THAT(problem(R"("models": ["*.pt", "none*.pt"], "video": "v.mp4")"),
              HasSubstr("s.json: models[1]: no file matches 'none*.pt'"));
  EXPECT_THAT(problem(R"("models": ["*.pt", {"path": "a.pt", "nam": "x"}], "video": "v.mp4")"),
              HasSubstr("s.json: models[1].nam: unknown key; did you mean 'name'?"));
  EXPECT_THAT(problem(R"("models": ["*.pt", "a.pt"], "video": "v.mp4")"), HasSubstr("two models have the name 'a'"));
  EXPECT_THAT(problem(R"("models": [{"path": "*.pt", "name": "x"}], "video": "v.mp4")"), HasSubstr("models[0].name"));
  EXPECT_THAT(problem(R"("models": [7], "video": "v.mp4")"), HasSubstr("models[0]"));
  EXPECT_THAT(problem(R"("models": ["*.pt"])"), HasSubstr("s.json: video: it is missing"));
  EXPECT_THAT(problem(R"("video": "v.mp4")"), HasSubstr("s.json: models: it is missing"));
  EXPECT_THAT(problem(R"("models": ["*.pt"], "video": ["v.mp4", "v.mp4"])"), HasSubstr("two videos have the name 'v'"));
  EXPECT_THAT(problem(R"("models": ["*.pt"], "video": {"path": "v.mp4", "truht": "t"})"),
              HasSubstr("did you mean 'truth'?"));
}

/// Told an unknown key that resembles none, the reader lists all that it knows: what the schema names.
TEST(SweepSchema, NamesTheKeysOfTheReader) {
  const Json schema = read_json(fs::path(REPSIM_SOURCE_DIR) / "configs" / "sweep.schema.json");
  std::string expected = "known: ";
  std::set<std::string> keys;
  for (const auto& [key, ignored] : schema["properties"].items()) keys.insert(key);
  for (const std::string& key : keys) expected += (key == *keys.begin() ? "" : ", ") + key;
  const auto error = error_of([] { static_cast<void>(SweepFolder().small(R"("xxxxxxxxxxxx": 0)")); });
  EXPECT_EQ(error.value().remedy(), expected);
}

TEST(ReadSweep, TakesSeveralVideosTogether) {
  const SweepFolder folder;
  const Sweep sweep = folder.read(R"("models": ["*.pt"], "video": ["v.mp4",
      {"name": "all", "videos": ["v.mp4", {"path": "w.mp4", "name": "west", "weight": 2}]}, {"videos": ["*.mp4"]}])");
  ASSERT_THAT(sweep.videos, SizeIs(3));
  EXPECT_EQ(sweep.videos[0].name, "v");
  EXPECT_EQ(sweep.videos[1].name, "all");
  ASSERT_THAT(sweep.videos[1].sources, SizeIs(2));
  EXPECT_EQ(sweep.videos[1].sources[1].path, folder / "w.mp4");
  EXPECT_EQ(sweep.videos[1].sources[1].name, "west");
  EXPECT_EQ(sweep.videos[1].sources[1].weight, 2);
  EXPECT_EQ(sweep.videos[2].name, "v+w");
}

TEST(ReadSweep, SaysWhereSeveralVideosBelong) {
  const SweepFolder folder;
  EXPECT_THAT(test::error_text([&] { (void)folder.small(R"("settings": {"videos": ["v.mp4", "w.mp4"]})"); }),
              HasSubstr(R"("videos": ["north.mp4", "south.mp4"])"));
  EXPECT_THAT(test::error_text(
                  [&] { (void)folder.read(R"("models": ["*.pt"], "video": [{"videos": ["v.mp4", "x_*.mp4"]}])"); }),
              HasSubstr("video[0].videos[1]"));
}

}  // namespace
}  // namespace repsim::sweep
