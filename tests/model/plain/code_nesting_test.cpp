// How deep code lies in itself: what Torch's parser would run out of stack for.
#include "../../../src/model/plain/code_nesting.hpp"

#include <gtest/gtest.h>

#include <string>

namespace repsim::model {
namespace {

std::string times(int count, const std::string& text) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

TEST(CodeNesting, CountsEverythingThatTheParserGoesInto) {
  for (const char* inside :
       {"(", "[", "{", "not ", "-", "a.", "a + ", "a ** ", "a if b else ", "f(a, ", "List[", "f()."})
    EXPECT_GE(code_nesting("  x = " + times(1000, inside)), 1000) << inside;
  EXPECT_GE(code_nesting("x" + times(1000, "[0]")), 1000);
  EXPECT_GE(code_nesting("x" + times(1000, "()")), 1000);
}

TEST(CodeNesting, CountsBlocks) {
  std::string code;
  for (int i = 0; i < 1000; ++i) code += std::string(static_cast<std::size_t>(i), ' ') + "if x:\n";
  EXPECT_GE(code_nesting(code), 1000);
}

// What stands one after the other is no deeper for being long.
TEST(CodeNesting, OfLongListsAndManyStatementsIsSmall) {
  EXPECT_LE(code_nesting("x = [" + times(10000, "-1.5, ") + "0]"), 10);
  EXPECT_LE(code_nesting(times(10000, "def f(self: __torch__.M, x: Tensor) -> Tensor:\n  y = torch.add(x, x)\n")), 20);
  EXPECT_LE(code_nesting("x = torch.f(" + times(10000, "a=torch.g(b, c[0]), ") + ")"), 10);
}

TEST(CodeNesting, LeavesOutTextsAndComments) {
  EXPECT_LE(code_nesting("x = \"" + times(1000, "(") + "\"\n"), 5);
  EXPECT_LE(code_nesting("x = '\\'" + times(1000, "(") + "'\n"), 5);
  EXPECT_LE(code_nesting("x = \"\"\"" + times(1000, "(\"") + "\"\"\"\n"), 5);
  EXPECT_LE(code_nesting("# " + times(1000, "(") + "\n"), 5);
}

TEST(CodeNesting, TakesTextsThatEndEarly) {
  for (const std::string code : {"", "(", "\"", "\"\\", "'''", "#", "  ", "a\n  ", ")))", "\\"})
    EXPECT_LE(code_nesting(code), 5) << code;
}

}  // namespace
}  // namespace repsim::model
