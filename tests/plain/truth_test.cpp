#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "repsim/base/error.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::verify {
namespace {

MATCHER_P5(IsBox, x1, y1, x2, y2, label, "") {
  return arg.x1 == x1 && arg.y1 == y1 && arg.x2 == x2 && arg.y2 == y2 && arg.label == label;
}

class MotChallenge : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const {
    std::ofstream(path_, std::ios::binary) << text;
    return path_;
  }
  ~MotChallenge() override { std::filesystem::remove(path_); }

  void expect_error(const std::string& text, const std::string& message) const {
    try {
      (void)read_motchallenge(write(text), 100, 100, 0);
      FAIL() << "no error for: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), testing::HasSubstr(path_.string()));
      EXPECT_THAT(error.what(), testing::HasSubstr(message));
      EXPECT_FALSE(error.remedy().empty());
    }
  }

 private:
  std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string("repsim_") + testing::UnitTest::GetInstance()->current_test_info()->name() + ".txt");
};

TEST_F(MotChallenge, ReadsBoxesRelativeToTheFrame) {
  const Truth truth = read_motchallenge(
      write("3,1,10,20,30,40,1,-1,-1,-1\r\n\n1, 7, -5, 0, 10.5, 50, 1\n3,2,50,50,10,10,0.5\n"), 200, 100, 4);
  EXPECT_EQ(truth.format, "motchallenge");
  ASSERT_EQ(truth.frames.size(), 2U);
  ASSERT_EQ(truth.frames.at(2).size(), 2U);
  EXPECT_THAT(truth.frames.at(2)[0], IsBox(0.05, 0.2, 0.2, 0.6, 4));
  EXPECT_THAT(truth.frames.at(0)[0], IsBox(-0.025, 0, 0.0275, 0.5, 4));
}

TEST_F(MotChallenge, LeavesOutInactiveRows) {
  const Truth truth = read_motchallenge(write("1,1,10,20,30,40,0\n2,1,10,20,30,40,1\n"), 100, 100, 0);
  EXPECT_EQ(truth.frames.count(0), 0U);
  EXPECT_EQ(truth.frames.count(1), 1U);
}

TEST_F(MotChallenge, NamesTheLineOfWhatItCannotRead) {
  const std::string good = "1,1,10,20,30,40,1\n";
  expect_error(good + "1,1,10,20,30,40\n", "line 2: only 6 of 7 fields");
  expect_error(good + good + "1,1,ten,20,30,40,1\n", "line 3: field 3 is no number: 'ten'");
  expect_error("1,1,,20,30,40,1\n", "line 1: field 3");
  expect_error("1,1,nan,20,30,40,1\n", "line 1: field 3");
  expect_error("1,1,1e999,20,30,40,1\n", "line 1: field 3");
  expect_error("0,1,10,20,30,40,1\n", "line 1: the frame");
  expect_error("1.5,1,10,20,30,40,1\n", "line 1: the frame");
  expect_error("1e300,1,10,20,30,40,1\n", "line 1: the frame");
  expect_error("1,1,10,20,0,40,1\n", "line 1: the box has no area");
  expect_error("\n\n", "has no row");
  expect_error(std::string("\0\xff\x01", 3), "line 1: only 1 of 7");
}

TEST_F(MotChallenge, NamesAFileThatIsNotThere) {
  EXPECT_THROW((void)read_motchallenge("/nonexistent/gt.txt", 100, 100, 0), Error);
}

}  // namespace
}  // namespace repsim::verify
