#include "repsim/base/json_io.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"

namespace repsim {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string parse_error(const std::string& text) {
  return test::error_text([&] { (void)parse_json(text, "c.json"); });
}

TEST(ReadJson, KeepsTheOrderOfKeys) {
  const test::TempFolder folder;
  test::write_text(folder / "a.json", R"({"z": 1, "a": 2, "m": {"y": 3, "b": 4}})");
  EXPECT_EQ(read_json(folder / "a.json").dump(), R"({"z":1,"a":2,"m":{"y":3,"b":4}})");
}

TEST(ReadJson, NamesTheFileThatIsMissing) {
  EXPECT_THAT(test::error_text([] { (void)read_json("/no/c.json"); }), StartsWith("input: /no/c.json: cannot be read"));
}

TEST(ReadJson, SaysLineAndColumn) {
  EXPECT_THAT(parse_error("{\n  \"a\": 1,\n  \"b\": ]\n}"),
              AllOf(StartsWith("input: c.json: line 3, column 8: "), HasSubstr("unexpected ']'")));
  EXPECT_THAT(parse_error("nil"), StartsWith("input: c.json: line 1, column 2: "));
}

TEST(ReadJson, SaysWhereATextEndsTooEarly) {
  EXPECT_THAT(parse_error("{\"a\":\n [1, 2"),
              AllOf(StartsWith("input: c.json: line 2, column 7: "), HasSubstr("unexpected end of input")));
  EXPECT_THAT(parse_error(""), StartsWith("input: c.json: line 1, column 1: "));
}

TEST(ReadJson, RefusesWhatFollowsTheValue) {
  EXPECT_THAT(parse_error("{} {}"), StartsWith("input: c.json: line 1, column 4"));
}

TEST(ReadJson, RefusesNumbersThatOverflow) {
  EXPECT_THAT(parse_error("{\"scale\":\n 1e999}"), AllOf(StartsWith("input: c.json: line 2"), HasSubstr("1e999")));
}

TEST(ReadJson, RefusesAKeyThatIsThereTwice) {
  EXPECT_THAT(parse_error("{\"a\": {\"b\": 1},\n \"b\": 2,\n \"a\": 3}"),
              AllOf(StartsWith("input: c.json: line 3, column 4: "), HasSubstr("'a' is there twice")));
}

TEST(ReadJson, AllowsTheSameKeyInDifferentObjects) {
  EXPECT_EQ(parse_json(R"([{"a": 1, "b": {"a": 1}}, {"a": 1}])", "c.json").size(), 2);
}

// Whatever the file holds, the message stays one short printable line.
TEST(ReadJson, ComplainsShortlyAboutGarbage) {
  std::string garbage = "\"";
  for (int i = 0; i < 5000; ++i) garbage += static_cast<char>(128 + i % 128);
  const std::string text = parse_error(garbage);
  EXPECT_LT(text.size(), 300);
  for (const char c : text) EXPECT_TRUE(c >= ' ' && c <= '~') << static_cast<int>(c);
}

TEST(ReadJson, SurvivesVeryDeepNesting) {
  const std::string levels = "lists and objects lie more than 500 levels inside one another";
  EXPECT_THAT(parse_error(std::string(1'000'000, '[')), AllOf(StartsWith("input: c.json: line 1"), HasSubstr(levels)));
  EXPECT_THAT(parse_error(std::string(100'000, '[') + std::string(100'000, ']')), HasSubstr(levels));
  EXPECT_NO_THROW((void)parse_json(std::string(400, '[') + std::string(400, ']'), "c.json"));
}

TEST(ToText, IndentsByTwoAndEndsWithANewline) {
  EXPECT_EQ(to_text(Json{{"a", {1, 2}}}), "{\n  \"a\": [\n    1,\n    2\n  ]\n}\n");
}

TEST(ToText, RoundTripsDoubles) {
  for (const double value : {1.0 / 255.0, 0.1, 1e-300, 123456789.123456789, -0.0, 5e-324, 1.7976931348623157e308}) {
    const double back = parse_json(to_text(Json(value)), "t").get<double>();
    EXPECT_EQ(back, value);
    EXPECT_EQ(std::signbit(back), std::signbit(value));
  }
}

TEST(ToText, RefusesNumbersThatAreNotFiniteAndSaysWhere) {
  Json json = {{"models", {{{"s", 1.0}}, {{"s", std::nan("")}}}}};
  EXPECT_THAT(test::error_text([&] { (void)to_text(json); }), StartsWith("internal: models[1].s: "));
  json = std::numeric_limits<double>::infinity();
  EXPECT_THAT(test::error_text([&] { (void)to_text(json); }), StartsWith("internal: "));
}

TEST(ToText, RefusesTextThatIsNotUtf8) {
  EXPECT_THAT(test::error_text([] { (void)to_text(Json{{"path", "a\xff"}}); }), StartsWith("input: "));
}

class Reader : public ::testing::Test {
 protected:
  template <typename Value>
  Value value_of(const std::string& text, Value start = {}) {
    const Json json = parse_json("{\"key\": " + text + "}", "c.json");
    JsonReader reader(json, "c.json", "models[0]");
    reader.optional("key", start);
    return start;
  }
  template <typename Value>
  std::string complaint(const std::string& text) {
    return test::error_text([&] { (void)value_of<Value>(text); });
  }
};

TEST_F(Reader, TakesWholeNumbersInBothForms) {
  EXPECT_EQ(value_of<std::int64_t>("352"), 352);
  EXPECT_EQ(value_of<std::int64_t>("352.0"), 352);
  EXPECT_EQ(value_of<std::int64_t>("-3"), -3);
  EXPECT_EQ(value_of<std::int64_t>("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
}

TEST_F(Reader, RefusesWhatIsNoWholeNumber) {
  EXPECT_EQ(complaint<std::int64_t>("352.5"), "input: c.json: models[0].key: expected a whole number, got 352.5");
  EXPECT_EQ(complaint<std::int64_t>("\"352\""), "input: c.json: models[0].key: expected a whole number, got a string");
  EXPECT_THAT(complaint<std::int64_t>("true"), HasSubstr("expected a whole number, got true or false"));
  EXPECT_THAT(complaint<std::int64_t>("null"), HasSubstr("got null"));
}

// Unchecked these would wrap round to small or negative numbers.
TEST_F(Reader, RefusesWholeNumbersThatDoNotFit) {
  EXPECT_THAT(complaint<std::int64_t>("9223372036854775808"), HasSubstr("too large"));
  EXPECT_THAT(complaint<std::int64_t>("18446744073709551615"), HasSubstr("too large"));
  EXPECT_THAT(complaint<std::int64_t>("1e300"), HasSubstr("too large"));
  EXPECT_THAT(complaint<std::int64_t>("-1e300"), HasSubstr("too large"));
}

TEST_F(Reader, TakesNumbersExactly) {
  EXPECT_EQ(value_of<double>("0.00392156862745098"), 1.0 / 255.0);
  EXPECT_EQ(value_of<double>("2"), 2.0);
  EXPECT_EQ(complaint<double>("\"2\""), "input: c.json: models[0].key: expected a number, got a string");
  EXPECT_THAT(complaint<double>("false"), HasSubstr("expected a number, got true or false"));
}

TEST_F(Reader, TakesTextAndTruthValuesOfTheirOwnTypeOnly) {
  EXPECT_EQ(value_of<std::string>("\"x\""), "x");
  EXPECT_TRUE(value_of<bool>("true"));
  EXPECT_THAT(complaint<std::string>("1"), HasSubstr("expected a string, got a number"));
  EXPECT_THAT(complaint<bool>("1"), HasSubstr("expected true or false, got a number"));
}

TEST_F(Reader, TakesListsAndNamesTheElementThatDoesNotFit) {
  EXPECT_THAT(value_of<std::vector<double>>("[1, 0.5]"), ElementsAre(1.0, 0.5));
  EXPECT_THAT(value_of<std::vector<std::int64_t>>("[]", {1}), ElementsAre());
  EXPECT_THAT(value_of<std::vector<std::string>>("[\"a\"]"), ElementsAre("a"));
  EXPECT_EQ(complaint<std::vector<double>>("[1, \"a\"]"),
            "input: c.json: models[0].key[1]: expected a number, got a string");
  EXPECT_THAT(complaint<std::vector<double>>("{}"), HasSubstr("expected a list, got an object"));
}

TEST_F(Reader, LeavesAbsentMembersUntouched) {
  const Json json = Json::object();
  JsonReader reader(json, "c.json");
  double number = 7;
  std::vector<std::string> list{"kept"};
  reader.optional("key", number);
  reader.optional("list", list);
  EXPECT_EQ(number, 7);
  EXPECT_THAT(list, ElementsAre("kept"));
}

TEST_F(Reader, NamesARequiredMemberThatIsMissing) {
  const Json json = Json::object();
  JsonReader reader(json, "c.json", "models[0]");
  std::string path;
  EXPECT_EQ(test::error_text([&] { reader.required("path", path); }),
            "input: c.json: models[0].path: the key is missing; add \"path\"");
}

TEST_F(Reader, ListsTheChoicesAndSuggestsTheClosest) {
  const Json json = {{"resize", "strech"}, {"color", "x"}};
  JsonReader reader(json, "c.json");
  std::string value = "kept";
  EXPECT_EQ(test::error_text([&] { reader.optional("resize", value, {"stretch", "letterbox", "crop"}); }),
            "input: c.json: resize: 'strech' is none of stretch, letterbox, crop; did you mean 'stretch'?");
  EXPECT_EQ(test::error_text([&] { reader.optional("color", value, {"bgr", "rgb"}); }),
            "input: c.json: color: 'x' is none of bgr, rgb; use one of these");
  EXPECT_EQ(value, "kept");
}

TEST_F(Reader, SuggestsTheKeyThatWasMeant) {
  const Json json = {{"name", "a"}, {"colour", "rgb"}};
  JsonReader reader(json, "c.json", "models[0].input");
  std::string name, color;
  reader.required("name", name);
  reader.optional("color", color);
  EXPECT_EQ(test::error_text([&] { reader.finish(); }),
            "input: c.json: models[0].input.colour: unknown key; did you mean 'color'?");
}

TEST_F(Reader, FinishesWhenAllKeysWereAskedFor) {
  const Json json = {{"a", 1}, {"b", {{"c", 2}}}};
  JsonReader reader(json, "c.json");
  std::int64_t a = 0;
  reader.required("a", a);
  const Json* b = reader.child("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ((*b)["c"], 2);
  EXPECT_EQ(reader.child("absent"), nullptr);
  EXPECT_TRUE(reader.has("b"));
  EXPECT_FALSE(reader.has("absent"));
  EXPECT_NO_THROW(reader.finish());
}

TEST_F(Reader, RefusesWhatIsNoObject) {
  const Json json = {1, 2};
  EXPECT_EQ(test::error_text([&] { JsonReader(json, "c.json"); }), "input: c.json: expected an object, got a list");
  EXPECT_EQ(test::error_text([&] { JsonReader(json, "c.json", "models"); }),
            "input: c.json: models: expected an object, got a list");
}

}  // namespace
}  // namespace repsim
