#include "../../src/startup/openmp_waiting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

namespace repsim::startup {
namespace {

using testing::HasSubstr;

class OpenMpWaiting : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* variable : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY"}) {
      if (secure_getenv(variable) != nullptr) GTEST_SKIP() << "the user decides, by " << variable;
    }
  }
};

/// What the OpenMP runtime of a program like this one says that it read: a second copy lists its tests.
TEST_F(OpenMpWaiting, IsShortInTheRuntimeThatIsLoaded) {
  std::error_code missing;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", missing);
  if (missing) GTEST_SKIP() << "/proc is not mounted";
  const std::string command = "OMP_DISPLAY_ENV=VERBOSE '" + program.string() + "' --gtest_list_tests 2>&1 >/dev/null";
  // NOLINTNEXTLINE(bugprone-command-processor): the command is this test's
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  ASSERT_NE(pipe, nullptr);
  std::string text;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) text += static_cast<char>(c);
  if (text.find("GOMP_") == std::string::npos) GTEST_SKIP() << "another OpenMP than libgomp";
  std::string expected = "GOMP_SPINCOUNT = '";
  expected.append(kSpinCount).append("'");
  EXPECT_THAT(text, HasSubstr(expected));
}

TEST_F(OpenMpWaiting, AddsNothingToTheEnvironmentOfChildProcesses) {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    EXPECT_THAT(*entry, testing::Not(testing::StartsWith("GOMP_SPINCOUNT")));
  }
}

TEST_F(OpenMpWaiting, AnswersEveryOtherVariableFromTheEnvironment) {
  ASSERT_EQ(setenv("REPSIM_TEST_VARIABLE", "a = \xff", 1), 0);
  EXPECT_STREQ(std::getenv("REPSIM_TEST_VARIABLE"), "a = \xff");
  unsetenv("REPSIM_TEST_VARIABLE");
  EXPECT_EQ(std::getenv("REPSIM_TEST_VARIABLE"), nullptr);
}

TEST_F(OpenMpWaiting, IsLeftToAUserWhoSetsIt) {
  ASSERT_EQ(setenv("OMP_WAIT_POLICY", "active", 1), 0);
  EXPECT_EQ(std::getenv("GOMP_SPINCOUNT"), nullptr);
  unsetenv("OMP_WAIT_POLICY");
  ASSERT_EQ(setenv("GOMP_SPINCOUNT", "7", 1), 0);
  EXPECT_STREQ(std::getenv("GOMP_SPINCOUNT"), "7");
  unsetenv("GOMP_SPINCOUNT");
}

}  // namespace
}  // namespace repsim::startup
