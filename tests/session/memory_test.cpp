#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "repsim/session.hpp"

namespace repsim::session {
namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;

std::int64_t kept(const MemoryBudget& budget) {
  return budget.calibration_values + budget.sums + 2 * budget.frame_values;
}

TEST(MemoryRooms, SmallModelsGetNearlyAllThatARunKeepsByDefault) {
  const MemoryBudget budget = divided(unasked_room({0, {40 * kMebibyte, 30 * kMebibyte}, 4 * kMebibyte}));
  EXPECT_LE(kept(budget), kept(MemoryBudget{}));
  EXPECT_GT(kept(budget), kept(MemoryBudget{}) / 2);
  EXPECT_LT(budget.screening, 2'000'000'000);
  EXPECT_LT(budget.rows, 2'000'000'000);
}

TEST(MemoryRooms, LargeModelsLeaveSomethingToKeepValuesIn) {
  const MemoryBudget budget = divided(unasked_room({0, {4096 * kMebibyte, 3000 * kMebibyte}, 900 * kMebibyte}));
  EXPECT_GE(budget.screening, 500 * kMebibyte);
  EXPECT_GE(budget.rows, 500 * kMebibyte);
  EXPECT_GE(budget.together, 1U);
}

TEST(MemoryRooms, ARunKeepsNoMoreThanItsRoom) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    MemoryRoom room;
    room.bytes = std::uniform_int_distribution<std::int64_t>(0, 6000)(random) * kMebibyte;
    const int models = std::uniform_int_distribution<int>(1, 5)(random);
    for (int model = 0; model < models; ++model)
      room.minibatches.push_back(std::uniform_int_distribution<std::int64_t>(0, 900)(random) * kMebibyte);
    room.weights = std::uniform_int_distribution<std::int64_t>(0, 300)(random) * kMebibyte;
    const MemoryBudget budget = divided(room);
    EXPECT_LE(budget.rows, room.bytes);
    EXPECT_LE(kept(budget) + static_cast<std::int64_t>(budget.together - 1) * 32 * kMebibyte, room.bytes);
    EXPECT_LE(kept(budget), kept(MemoryBudget{}));
    EXPECT_LE(budget.together, MemoryBudget{}.together);
    MemoryRoom more = room;
    more.bytes += 100 * kMebibyte;
    EXPECT_GE(kept(divided(more)), kept(budget));
    EXPECT_GE(divided(more).together, budget.together);
  }
}

}  // namespace
}  // namespace repsim::session
