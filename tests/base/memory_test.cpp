#include "repsim/base/memory.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace repsim {
namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;

TEST(MemoryUse, IsReadFromTheKernelsText) {
  const auto use = memory_use_from(
      "55d0-7ffe ---p 00000000 00:00 0    [rollup]\n"
      "Rss:                 884 kB\nPss:                 385 kB\nPss_Anon:   68 kB\nAnonymous:            70 kB\n");
  ASSERT_TRUE(use);
  EXPECT_EQ(use->resident, 884 * 1024);
  EXPECT_EQ(use->proportional, 385 * 1024) << "not that of Pss_Anon";
  EXPECT_EQ(use->anonymous, 70 * 1024);
}

TEST(MemoryUse, IsUnknownWhereAFieldIsMissing) {
  EXPECT_FALSE(memory_use_from(""));
  EXPECT_FALSE(memory_use_from("head\nRss: 1 kB\nPss: 1 kB\n"));
  EXPECT_FALSE(memory_use_from("head\nRss: 1 kB\nPss: x kB\nAnonymous: 1 kB\n"));
}

TEST(MemoryUse, GrowsByWhatIsTouched) {
  const MemoryUse before = memory_use();
  std::vector<char> taken(static_cast<std::size_t>(64 * kMebibyte));
  std::memset(taken.data(), 1, taken.size());
  const MemoryUse after = memory_use();
  EXPECT_GE(after.anonymous - before.anonymous, 60 * kMebibyte);
  EXPECT_GE(after.resident, after.anonymous);
  EXPECT_GE(after.resident, after.proportional);
}

TEST(PeakResidentBytes, CountsFromTheResetOn) {
  {
    std::vector<char> taken(static_cast<std::size_t>(256 * kMebibyte));
    std::memset(taken.data(), 1, taken.size());
  }
  const std::int64_t high = peak_resident_bytes();
  if (!reset_peak_resident_bytes()) GTEST_SKIP() << "the system does not allow to reset the peak";
  EXPECT_LT(peak_resident_bytes(), high - 200 * kMebibyte);
}

}  // namespace
}  // namespace repsim
