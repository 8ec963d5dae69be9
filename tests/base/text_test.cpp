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

// The boundaries of RFC 3629's table of well-formed sequences.
TEST(Utf8, TakesWellFormedSequencesOnly) {
  for (const char* good : {"", "abc\n", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "caf\xc3\xa9"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "caf\xe9", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3\xa9\xa9"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(Utf8, EscapesOnlyTheBytesThatAreNone) {
  EXPECT_EQ(escape_bytes("caf\xe9.pt"), "caf\\xe9.pt");
  EXPECT_EQ(escape_bytes("caf\xc3\xa9\n"), "caf\xc3\xa9\n");
  EXPECT_EQ(escape_bytes("\xe2\x82"), "\\xe2\\x82");
}

TEST(Printable, EscapesWhatATerminalObeys) {
  EXPECT_EQ(printable("a\nb\tc\r\x1b[2J\x7f"), "a\\nb\\tc\\r\\x1b[2J\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b"
            "2J");
  EXPECT_EQ(printable("caf\xc3\xa9 \xff"), "caf\xc3\xa9 \\xff");
}

}  // namespace
}  // namespace repsim
