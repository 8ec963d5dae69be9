#include "repsim/base/spawn.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "repsim/base/error.hpp"

namespace repsim {
namespace {

TEST(RunProgram, ReadsBothStreamsWhateverTheirLength) {
  SilentProgress progress;
  // More than a pipe holds, on both: a reader of one after the other would wait for ever.
  const ChildOutput output = run_program({"sh", "-c",
                                          "i=0; while [ $i -lt 3000 ]; do echo out-and-more-of-it-$i; echo "
                                          "err-and-more-of-it-$i >&2; i=$((i+1)); done; exit 7"},
                                         progress);
  EXPECT_EQ(output.exit_code, 7);
  EXPECT_EQ(std::count(output.out.begin(), output.out.end(), '\n'), 3000);
  EXPECT_EQ(std::count(output.err.begin(), output.err.end(), '\n'), 3000);
  EXPECT_THAT(output.err, testing::EndsWith("err-and-more-of-it-2999\n"));
}

TEST(RunProgram, SaysWhichSignalEndedTheChild) {
  SilentProgress progress;
  EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"}, progress).exit_code, 128 + 9);
}

TEST(RunProgram, NamesAProgramThatIsNotThere) {
  SilentProgress progress;
  EXPECT_THAT([&] { static_cast<void>(run_program({"repsim-no-such-program"}, progress)); },
              testing::Throws<Error>(testing::Property(&Error::where, "repsim-no-such-program")));
}

/// Asks to stop at once.
class Stopping : public SilentProgress {
  [[nodiscard]] bool stop_requested() const override { return true; }
};

TEST(RunProgram, EndsTheChildWhenTheUserAsksToStop) {
  Stopping progress;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT([&] { static_cast<void>(run_program({"sleep", "600"}, progress)); },
              testing::Throws<Error>(testing::Property(&Error::kind, ErrorKind::kInterrupted)));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

}  // namespace
}  // namespace repsim
