#include "repsim/base/machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace repsim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Machine, ReadsTheProcessorOfTheFirstCore) {
  const Cpu found = cpu_from(
      "processor\t: 0\nmodel name\t: A B 3000\nflags\t\t: fpu sse4_2 avx avx2 fma\n\n"
      "processor\t: 1\nmodel name\t: other\nflags\t\t: avx512f\n");
  EXPECT_EQ(found.model, "A B 3000");
  EXPECT_THAT(found.instructions, ElementsAre("sse4_2", "avx", "fma", "avx2"));
}

TEST(Machine, TakesNoInstructionForAnotherThatBeginsAlike) {
  EXPECT_THAT(cpu_from("flags : avx512fp16 avx2x\n").instructions, IsEmpty());
}

TEST(Machine, ReadsTheProcessorsOfOtherMachines) {
  EXPECT_THAT(cpu_from("Features\t: fp asimd sve\n").instructions, ElementsAre("asimd", "sve"));
}

TEST(Machine, KnowsNothingFromATextThatSaysNothing) {
  EXPECT_EQ(cpu_from("").model, "");
  EXPECT_EQ(cpu_from("model name").model, "");
}

TEST(Machine, ReadsTheQuotaOfAContainer) {
  EXPECT_EQ(quota_from("150000 100000\n"), 1.5);
  EXPECT_EQ(quota_from("50000 100000"), 0.5);
}

TEST(Machine, FindsNoQuotaWhereThereIsNone) {
  for (const char* text : {"max 100000\n", "", "100000", "a b", "0 100000", "100000 0", "-1 100000", "1 2 3"})
    EXPECT_EQ(quota_from(text), std::nullopt) << text;
}

TEST(Machine, TakesThreadsFromTheVariableElseFromCoresAndQuota) {
  EXPECT_EQ(threads_from("3", 8, 0.5), 3);
  EXPECT_EQ(threads_from("16,2", 8, {}), 16);
  for (const char* text : {"", "0", "-1", "many", "4 threads", ","}) EXPECT_EQ(threads_from(text, 8, {}), 8) << text;
  EXPECT_EQ(threads_from("", 8, 2.5), 2);
  EXPECT_EQ(threads_from("", 8, 0.5), 1);
  EXPECT_EQ(threads_from("", 8, 64.0), 8);
  EXPECT_EQ(threads_from("", 0, {}), 1);
}

TEST(Machine, ReadsTheMemoryThatIsAvailable) {
  EXPECT_EQ(available_memory_from("MemTotal:  100 kB\nMemAvailable:    2048 kB\n"), 2048 * 1024);
  EXPECT_EQ(available_memory_from("MemTotal:  100 kB\n"), std::nullopt);
  EXPECT_EQ(available_memory_from("MemAvailable:\n"), std::nullopt);
}

TEST(Machine, CountsTheCoresOfThisOne) {
  if (usable_cores() == 0) GTEST_SKIP() << "the system does not say";
  EXPECT_EQ(usable_cores(), static_cast<int>(std::thread::hardware_concurrency()));
}

TEST(Machine, NamesLibrariesThatAreLoaded) {
  EXPECT_THAT(loaded_libraries("libc.so"), ElementsAre("libc.so.6"));
  EXPECT_THAT(loaded_libraries("libnothing"), IsEmpty());
}

TEST(Machine, KnowsFoldersInMemory) {
  EXPECT_FALSE(is_in_memory("/no/such/folder"));
  EXPECT_FALSE(is_in_memory("/proc"));
}

}  // namespace
}  // namespace repsim
