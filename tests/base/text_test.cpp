#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <limits>

#include "repsim/base/text.hpp"

namespace repsim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Join, PutsTheSeparatorBetweenParts) {
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a"}, ", "), "a");
  EXPECT_EQ(join({"a", "", "c"}, "|"), "a||c");
  EXPECT_EQ(join({"", "b"}, ", "), ", b") << "an empty first part is a part";
}

// Logs and texts were written with printf before: its text is the oracle.
TEST(Fixed3, WritesAsPrintfDoes) {
  for (const double value : {0.0, -0.0, 0.9115, 0.91149999, 1.0, 0.0005, 0.00049, -2.5, 123456.7895, 1e300,
                             std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
    char expected[512];
    std::snprintf(expected, sizeof expected, "%.3f", value);
    EXPECT_EQ(fixed3(value), expected);
  }
}

TEST(Shortest, ReadsBackAsTheNumber) {
  EXPECT_EQ(shortest(0.9), "0.9");
  EXPECT_EQ(shortest(2), "2");
  EXPECT_EQ(std::stod(shortest(1.0 / 255)), 1.0 / 255);
}

TEST(Wrap, BreaksAtSpaces) {
  EXPECT_THAT(wrap("", 10), IsEmpty());
  EXPECT_THAT(wrap("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap("one two three", 6), ElementsAre("one", "two", "three"));
}

TEST(Wrap, CutsWordsThatAreTooLong) { EXPECT_THAT(wrap("a bbbbbb c", 4), ElementsAre("a", "bbbb", "bb c")); }

TEST(Wrap, CountsCharactersNotBytes) {
  EXPECT_EQ(display_width("äöü"), 3);
  EXPECT_THAT(wrap("äöü ß", 5), ElementsAre("äöü ß"));
  EXPECT_THAT(wrap("äöüß", 3), ElementsAre("äöü", "ß"));
}

}  // namespace
}  // namespace repsim
