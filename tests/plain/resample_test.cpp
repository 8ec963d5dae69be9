// Resampling weights against integrals and interpolation written out in another way.
#include "repsim/resample.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace repsim::graph {
namespace {

using testing::ElementsAre;

/// Numbers with a mapping of our own: the same with every library.
class Numbers {
 public:
  explicit Numbers(unsigned seed) : engine_(seed) {}
  double between(double low, double high) { return low + (high - low) * static_cast<double>(engine_()) / 4294967295.0; }
  std::int64_t whole(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }

 private:
  std::mt19937 engine_;
};

std::vector<double> applied(const ResampledAxis& axis, const std::vector<double>& map) {
  const std::vector<double> weights = resample_weights(axis);
  std::vector<double> result(static_cast<std::size_t>(axis.to), 0.0);
  for (std::size_t i = 0; i < result.size(); ++i) {
    for (std::size_t j = 0; j < map.size(); ++j) result[i] += weights[i * map.size() + j] * map[j];
  }
  return result;
}

std::vector<double> random_map(Numbers& numbers, std::int64_t cells) {
  std::vector<double> map(static_cast<std::size_t>(cells));
  for (double& value : map) value = numbers.between(-2, 3);
  return map;
}

/// Integral of the stepwise map from its beginning to `position`.
double integral(const std::vector<double>& map, double position) {
  const double clamped = std::clamp(position, 0.0, static_cast<double>(map.size()));
  const auto whole = static_cast<std::size_t>(std::floor(clamped));
  const double sum = std::accumulate(map.begin(), map.begin() + static_cast<std::ptrdiff_t>(whole), 0.0);
  return whole == map.size() ? sum : sum + (clamped - static_cast<double>(whole)) * map[whole];
}

/// Textbook bilinear interpolation at a position in cells, the outer cells repeated.
double interpolated(const std::vector<double>& map, double position) {
  const double last = static_cast<double>(map.size()) - 1;
  const double x = std::clamp(position - 0.5, 0.0, last);
  const double left = std::min(std::floor(x), std::max(0.0, last - 1));
  const auto at = [&](double index) { return map[static_cast<std::size_t>(std::min(index, last))]; };
  return at(left) + (x - left) * (at(left + 1) - at(left));
}

double position_of(const ResampledAxis& axis, std::int64_t cell, double within) {
  return (axis.scale * (static_cast<double>(cell) + within) / static_cast<double>(axis.to) + axis.offset) *
         static_cast<double>(axis.from);
}

ResampledAxis random_axis(Numbers& numbers) {
  return {numbers.whole(2, 40), numbers.whole(1, 40), numbers.between(0.3, 2.5), numbers.between(-0.8, 0.5)};
}

TEST(Resampling, TakesTheMeanOverACellThatIsLongerThanTheDonors) {
  Numbers numbers(1);
  std::int64_t compared = 0;
  for (int round = 0; round < 400; ++round) {
    const ResampledAxis axis = random_axis(numbers);
    if (axis.scale * static_cast<double>(axis.from) < static_cast<double>(axis.to)) continue;
    const std::vector<double> map = random_map(numbers, axis.from), result = applied(axis, map);
    for (std::int64_t i = 0; i < axis.to; ++i) {
      const double centre = position_of(axis, i, 0.5), end = static_cast<double>(axis.from);
      if (centre < 0 || centre > end) continue;
      const double left = position_of(axis, i, 0), right = position_of(axis, i, 1);
      const double mean = (integral(map, right) - integral(map, left)) / (std::min(right, end) - std::max(left, 0.0));
      ASSERT_NEAR(result[static_cast<std::size_t>(i)], mean, 1e-11) << axis.from << " to " << axis.to;
      ++compared;
    }
  }
  EXPECT_GT(compared, 500);
}

TEST(Resampling, InterpolatesWhereACellIsShorterThanTheDonors) {
  Numbers numbers(2);
  std::int64_t compared = 0;
  for (int round = 0; round < 400; ++round) {
    const ResampledAxis axis = random_axis(numbers);
    if (axis.scale * static_cast<double>(axis.from) > static_cast<double>(axis.to)) continue;
    const std::vector<double> map = random_map(numbers, axis.from), result = applied(axis, map);
    for (std::int64_t i = 0; i < axis.to; ++i) {
      const double centre = position_of(axis, i, 0.5);
      if (centre < 0 || centre > static_cast<double>(axis.from)) continue;
      ASSERT_NEAR(result[static_cast<std::size_t>(i)], interpolated(map, centre), 1e-11);
      ++compared;
    }
  }
  EXPECT_GT(compared, 500);
}

TEST(Resampling, IsZeroWhereTheDonorDoesNotSeeAndElsewhereAMean) {
  Numbers numbers(3);
  std::int64_t seen = 0, unseen = 0;
  for (int round = 0; round < 200; ++round) {
    const ResampledAxis axis = random_axis(numbers);
    const std::vector<double> ones(static_cast<std::size_t>(axis.from), 1.0);
    const std::vector<double> sums = applied(axis, ones);
    for (std::int64_t i = 0; i < axis.to; ++i) {
      const double centre = position_of(axis, i, 0.5);
      const bool in_view = centre >= 0 && centre <= static_cast<double>(axis.from);
      ASSERT_NEAR(sums[static_cast<std::size_t>(i)], in_view ? 1 : 0, 1e-12);
      ++(in_view ? seen : unseen);
    }
    for (const double weight : resample_weights(axis)) ASSERT_GE(weight, 0);
  }
  EXPECT_GT(seen, 200);
  EXPECT_GT(unseen, 200);
}

TEST(Resampling, CutsAndShiftsByWholeCells) {
  // The middle half of eight cells; then four cells of which the first lies above the donor.
  EXPECT_THAT(applied({8, 4, 0.5, 0.25}, {0, 1, 2, 3, 4, 5, 6, 7}), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(applied({4, 4, 1, -0.25}, {1, 2, 3, 4}), ElementsAre(0, 1, 2, 3));
}

TEST(Resampling, OfASingleCellIsThatCellEverywhere) {
  const Alignment shifted{1, 0.5, 0, 3};
  EXPECT_THAT(applied(vertical_axis(shifted, 1, 3), {7}), ElementsAre(7, 7, 7));
  EXPECT_TRUE(vertical_axis(shifted, 1, 1).identity());
}

TEST(Resampling, NeedsNoMatrixInADirectionThatStays) {
  const Alignment shifted{1, 0.5, 0, 0.25};
  EXPECT_TRUE(horizontal_axis(shifted, 20, 20).identity());
  EXPECT_EQ(horizontal_axis(shifted, 20, 20).elements(), 0);
  EXPECT_FALSE(horizontal_axis(shifted, 20, 10).identity());
  EXPECT_EQ(vertical_axis(shifted, 20, 20).elements(), 400);
}

// A square letterbox of a 4:3 picture over a stretched donor: the outer rows are border.
TEST(CellsInView, LeaveOutTheBorder) {
  const Alignment border{1, 64.0 / 48, 0, -8.0 / 48};
  const std::vector<bool> seen = cells_in_view(border, 8, 2);
  EXPECT_THAT(seen, ElementsAre(false, false, true, true, true, true, true, true, true, true, true, true, true, true,
                                false, false));
}

}  // namespace
}  // namespace repsim::graph
