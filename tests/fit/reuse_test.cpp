// What fits keep of each other: by which keys it is found, and when it is dropped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "fixtures/fixtures.hpp"
#include "repsim/fit/fitting.hpp"

namespace repsim::fit {
namespace {

const MapKey kMap{0, true, {0, 1}, 7, 9, 16, 130, {11, 12}};
const CutKey kCut{0, {{3, 1, 4}}, {20}, {{1, 5}}, {130}};

/// One change per field.
template <typename Key>
using Changes = std::vector<std::function<void(Key&)>>;

template <typename Key>
void expect_all_different(const Key& key, const Changes<Key>& changes) {
  std::vector<Key> keys{key};
  for (const auto& change : changes) change(keys.emplace_back(key));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::size_t k = 0; k < keys.size(); ++k) {
      EXPECT_EQ(keys[i] == keys[k], i == k) << i << " " << k;
      EXPECT_EQ((keys[i] < keys[k]) + (keys[k] < keys[i]), i == k ? 0 : 1) << i << " " << k;
    }
  }
}

TEST(MapKey, DiffersInEachField) {
  expect_all_different<MapKey>(
      kMap, {[](MapKey& key) { key.receiver = 1; }, [](MapKey& key) { key.reads_input = false; },
             [](MapKey& key) { key.donor_groups = {1, 0}; }, [](MapKey& key) { key.x = 9; },
             [](MapKey& key) { key.y = 7; }, [](MapKey& key) { key.batch = 1; }, [](MapKey& key) { key.projected = 0; },
             [](MapKey& key) { key.projected = std::nullopt; }, [](MapKey& key) { key.auxiliary_inputs = {12, 11}; }});
}

TEST(CutKey, DiffersInEachField) {
  expect_all_different<CutKey>(
      kCut, {[](CutKey& key) { key.receiver = 1; }, [](CutKey& key) { key.replacements[0].donor_layer = 3; },
             [](CutKey& key) { key.refit_nodes = {}; }, [](CutKey& key) { key.auxiliary_inputs = {}; },
             [](CutKey& key) { key.projected = {0}; }, [](CutKey& key) { key.projected = {std::nullopt}; }});
}

/// Sums of one regression of 4 regressors and 2 outputs.
MapSums some_sums(std::uint64_t seed) {
  test::Random random(seed);
  MapSums sums;
  sums.blocks.emplace_back().add(random.tensor({20, 4}), random.tensor({20, 2}));
  return sums;
}

MapKey numbered(int x) {
  MapKey key = kMap;
  key.x = x;
  return key;
}

TEST(Reuse, FindsSumsByTheirKeyAlone) {
  Reuse reuse(0, 1 << 20);
  EXPECT_EQ(reuse.find(numbered(1)), nullptr);
  const MapSums sums = some_sums(1);
  reuse.keep(numbered(1), sums);
  ASSERT_NE(reuse.find(numbered(1)), nullptr);
  EXPECT_TRUE(at::equal(reuse.find(numbered(1))->blocks[0].moments().xx, sums.blocks[0].moments().xx));
  EXPECT_EQ(reuse.find(numbered(2)), nullptr);
}

TEST(Reuse, DropsTheSumsThatWereUsedLongestAgo) {
  const std::int64_t bytes = some_sums(1).blocks[0].bytes();
  Reuse reuse(0, 2 * bytes);
  reuse.keep(numbered(1), some_sums(1));
  reuse.keep(numbered(2), some_sums(2));
  EXPECT_NE(reuse.find(numbered(1)), nullptr);  // used after the second
  reuse.keep(numbered(3), some_sums(3));
  EXPECT_NE(reuse.find(numbered(1)), nullptr);
  EXPECT_EQ(reuse.find(numbered(2)), nullptr);
  EXPECT_NE(reuse.find(numbered(3)), nullptr);
}

TEST(Reuse, KeepsNothingThatIsLargerThanAllOfIt) {
  Reuse reuse(0, some_sums(1).blocks[0].bytes() - 1);
  reuse.keep(numbered(1), some_sums(1));
  EXPECT_EQ(reuse.find(numbered(1)), nullptr);
}

TEST(Reuse, FindsACutWithAllItsMapsOrNotAtAll) {
  Reuse reuse(0, 1 << 20);
  EXPECT_FALSE(reuse.find_cut(kCut).has_value());
  reuse.keep_cut(kCut, {numbered(1), numbered(2)});
  reuse.keep(numbered(2), some_sums(2));
  EXPECT_FALSE(reuse.find_cut(kCut).has_value());
  reuse.keep(numbered(1), some_sums(1));
  const auto found = reuse.find_cut(kCut);
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(*found, testing::ElementsAre(reuse.find(numbered(1)), reuse.find(numbered(2))));
}

}  // namespace
}  // namespace repsim::fit
