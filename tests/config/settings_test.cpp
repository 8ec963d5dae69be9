// The table of settings: what each row reads from flags and configs, and what it says of itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/error_matcher.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"

namespace repsim::config {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

Settings from_flag(const char* key, const std::vector<std::string>& texts) {
  Settings settings;
  apply_flag(setting(key), texts, settings);
  return settings;
}

/// A valid value of each setting that is not its default, as a flag and as a config state it.
struct Example {
  const char* key;
  std::vector<std::string> flag;
  const char* json;
};

const std::vector<Example>& examples() {
  static const std::vector<Example> kExamples{
      {"libraries", {"x.so", "y.so"}, R"(["x.so", "y.so"])"},
      {"video", {"v.avi"}, R"("v.avi")"},
      {"videos",
       {"a.avi", "b.avi"},
       R"([{"path": "a.avi", "name": "a", "weight": 1.0}, {"path": "b.avi", "name": "b", "weight": 1.0}])"},
      {"frames.count", {"99"}, "99"},
      {"frames.holdout", {"0.25"}, "0.25"},
      {"frames.scan", {"64"}, "64"},
      {"merge.min_fidelity", {"0.8", "night=0.95"}, R"({"default": 0.8, "night": 0.95})"},
      {"merge.objective", {"peak-memory"}, R"("peak-memory")"},
      {"merge.budget", {"1.5M"}, "1500000"},
      {"merge.max_shares", {"2"}, "2"},
      {"merge.donors", {"a*", "b"}, R"(["a*", "b"])"},
      {"merge.keep", {"a"}, R"(["a"])"},
      {"merge.sharing", {"weights"}, R"("weights")"},
      {"merge.adapters", {"none"}, R"("none")"},
      {"merge.refit", {"off"}, "false"},
      {"merge.max_rank", {"16"}, "16"},
      {"merge.max_side_inputs", {"3"}, "3"},
      {"merge.share", {"a<-b", "b<-c"}, R"(["a<-b", "b<-c"])"},
      {"merge.layers", {"l.*"}, R"(["l.*"])"},
      {"merge.exclude", {"m", "n"}, R"(["m", "n"])"},
      {"merge.max_trials", {"3"}, "3"},
      {"merge.confidence", {"0.9"}, "0.9"},
      {"merge.min_evidence", {"5"}, "5"},
      {"merge.accept_unmeasured", {"a"}, R"(["a"])"},
      {"merge.max_judgements", {"2"}, "2"},
      {"merge.max_minutes", {"1.5"}, "1.5"},
      {"truth", {"gt.txt"}, R"("gt.txt")"},
      {"report_frames", {"2"}, "2"},
      {"threads", {"2"}, "2"},
      {"device", {"cuda:1"}, R"("cuda:1")"},
      {"memory_limit", {"2G"}, "2000000000"},
      {"seed", {"11"}, "11"},
  };
  return kExamples;
}

/// {"merge": {"max_rank": 16}}
Json config_with(const std::string& key, const Json& value) {
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) return {{key, value}};
  return {{key.substr(0, dot), {{key.substr(dot + 1), value}}}};
}

TEST(SettingsTable, HasAnExampleOfEveryRow) {
  std::set<std::string> rows, known;
  for (const Setting& row : kSettings) EXPECT_TRUE(rows.insert(std::string(row.key)).second) << row.key;
  for (const Example& example : examples()) known.insert(example.key);
  EXPECT_EQ(rows, known);
}

// One value, whichever way it comes: written into the plan it is the config's.
TEST(SettingsTable, ReadsFlagAndConfigAlike) {
  for (const Example& example : examples()) {
    const Json expected = Json::parse(example.json);
    const Setting& row = setting(example.key);
    EXPECT_EQ(json_of(row, from_flag(example.key, example.flag)), expected) << example.key;
    EXPECT_EQ(json_of(row, settings_from_json(config_with(example.key, expected), "c.json", "")), expected);
    EXPECT_NE(json_of(row, Settings{}), expected) << example.key << ": an example that is no default";
  }
}

TEST(SettingsTable, ChangesNothingButItsOwnSetting) {
  for (const Example& example : examples()) {
    const Settings changed = from_flag(example.key, example.flag);
    for (const Setting& other : kSettings) {
      if (other.key == example.key) continue;
      EXPECT_EQ(json_of(other, changed), json_of(other, Settings{})) << example.key << " changes " << other.key;
    }
  }
}

TEST(SettingsTable, TakesDefaultsThatPassItsOwnChecks) {
  Settings settings;
  settings.models.resize(2);
  settings.models[0].name = settings.models[0].path = "a";
  settings.models[1].name = settings.models[1].path = "b";
  settings.videos = {{"v.avi"}};
  EXPECT_NO_THROW(check(settings));
}

struct BadFlag {
  const char* key;
  const char* text;
  const char* problem;
  const char* remedy;  ///< empty: what the flag takes, and its help
};

class FlagMistake : public testing::TestWithParam<BadFlag> {};

TEST_P(FlagMistake, IsUsageAndNamesTheFlag) {
  const Error error = error_of([] { from_flag(GetParam().key, {GetParam().text}); }).value();
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_EQ(error.where(), setting(GetParam().key).flag);
  EXPECT_EQ(error.problem(), GetParam().problem);
  const Setting& row = setting(GetParam().key);
  const std::string usage = std::string(row.flag) + " " + value_name(row) + ": " + flag_help(row);
  EXPECT_EQ(error.remedy(), *GetParam().remedy == '\0' ? usage : GetParam().remedy);
}

INSTANTIATE_TEST_SUITE_P(
    , FlagMistake,
    testing::Values(BadFlag{"frames.count", "x", "'x' is not a whole number", ""},
                    BadFlag{"frames.count", "3.5", "'3.5' is not a whole number", ""},
                    BadFlag{"frames.count", "0", "the value is 0, not 1 to 1000000", ""},
                    BadFlag{"merge.max_rank", "1", "the value is 1, not 0 or 4 to 64", ""},
                    BadFlag{"merge.max_rank", "-4", "the value is -4, not 0 or 4 to 64", ""},
                    BadFlag{"merge.max_trials", "0", "the value is 0, not 1 or more", ""},
                    BadFlag{"threads", "-1", "'-1' is not a number of threads", ""},
                    BadFlag{"threads", "99999999999", "the value is 99999999999, not 0 (as the machine has) to 1024",
                            ""},
                    BadFlag{"seed", "-1", "the value is -1, not 0 or more", ""},
                    BadFlag{"frames.holdout", "half", "'half' is not a number", ""},
                    BadFlag{"frames.holdout", "nan", "'nan' is not a finite number", ""},
                    BadFlag{"merge.refit", "yes", "unknown value 'yes'", "known: on, off"},
                    BadFlag{"merge.adapters", "liner", "unknown value 'liner'", "did you mean 'linear'?"},
                    BadFlag{"merge.budget", "much", "'much' is no size", "bytes: --budget 1500000, or 1500K, 1.5M, 2G"},
                    BadFlag{"memory_limit", "0", "'0' is no size", "bytes: --memory-limit 1500000000, or 800M, 1.5G"},
                    BadFlag{"merge.share", "a->b", "'a->b' names no direction", "--share 'RECEIVER<-DONOR', in quotes"},
                    BadFlag{"device", "gpu", "there is no device 'gpu'", "cpu, cuda (the first GPU) or cuda:1"}));

TEST(FlagHelp, StatesTheDefaultOfTheStruct) {
  EXPECT_THAT(flag_help(setting("frames.count")), HasSubstr("(default 256)"));
  EXPECT_THAT(flag_help(setting("merge.min_fidelity")), HasSubstr("(default 0.9)"));
  EXPECT_THAT(flag_help(setting("merge.refit")), HasSubstr("(default on)"));
  EXPECT_EQ(flag_help(setting("frames.holdout"), "rest {}!"), "rest 0.3!");
  EXPECT_EQ(value_name(setting("merge.objective")), "bytes|flops|latency|peak-memory");
  EXPECT_EQ(value_name(setting("merge.refit")), "on|off");
}

TEST(DeviceName, IsWrittenAsItWasRead) {
  for (const char* name : {"cpu", "cuda", "cuda:0", "cuda:3"}) EXPECT_EQ(to_string(parse_device(name).value()), name);
  for (const char* name : {"", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999", "mps"})
    EXPECT_FALSE(parse_device(name).has_value()) << name;
}

// plan.json records these bytes, and their SHA-256.
TEST(SettingsJson, KeepsItsBytes) {
  EXPECT_EQ(
      settings_to_json(Settings{}).dump(),
      R"({"frames":{"count":256,"holdout":0.3,"scan":512},"merge":{"min_fidelity":0.9,"objective":"bytes","budget":null,)"
      R"("max_shares":null,"donors":[],"keep":[],"sharing":"both","adapters":"linear","refit":true,"max_rank":8,)"
      R"("max_side_inputs":8,"share":[],"layers":[],"exclude":[],"max_trials":24,"confidence":0.0,)"
      R"("min_evidence":30,"accept_unmeasured":[],"max_judgements":3,"max_minutes":0.0},"seed":0})");
}

}  // namespace
}  // namespace repsim::config
