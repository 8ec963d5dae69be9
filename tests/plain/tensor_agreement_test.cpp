#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>

#include "repsim/base/error.hpp"
#include "repsim/verify_metrics.hpp"

namespace repsim::verify {
namespace {

using testing::ElementsAre;
using Floats = std::vector<float>;
using Integers = std::vector<std::int64_t>;

std::vector<float> normal_values(std::size_t count, double mean, double deviation, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(mean, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(random));
  return values;
}

TEST(TensorAgreement, EqualsTheTwoPassDefinitionWhateverThePieces) {
  const std::vector<std::vector<float>> own{normal_values(1000, 500, 0.5, 1), normal_values(300, -2, 40, 2)};
  std::vector<std::vector<float>> merged = own;
  for (std::size_t o = 0; o < 2; ++o) {
    const std::vector<float> noise = normal_values(own[o].size(), 0, o == 0 ? 0.2 : 5, 3 + o);
    for (std::size_t i = 0; i < noise.size(); ++i) merged[o][i] += noise[i];
  }
  double error = 0, count = 0;
  for (std::size_t o = 0; o < 2; ++o) {
    double mean = 0, variance = 0, squared = 0;
    const auto n = static_cast<double>(own[o].size());
    for (const float v : own[o]) mean += v / n;
    for (const float v : own[o]) variance += (v - mean) * (v - mean) / n;
    for (std::size_t i = 0; i < own[o].size(); ++i)
      squared += std::pow(static_cast<double>(merged[o][i]) - own[o][i], 2);
    error += squared / variance;
    count += n;
  }
  for (const std::size_t piece : {1UL, 7UL, 100UL, 100000UL}) {
    TensorAgreement agreement;
    for (std::size_t o = 0; o < 2; ++o) {
      for (std::size_t first = 0; first < own[o].size(); first += piece) {
        const std::size_t n = std::min(piece, own[o].size() - first);
        agreement.add(o, {own[o].data() + first, n}, {merged[o].data() + first, n});
      }
    }
    EXPECT_NEAR(agreement.fidelity().value(), 1 - error / count, 1e-11) << "pieces of " << piece;
  }
}

TEST(TensorAgreement, ScalesEachOutputToUnitVariance) {
  // The same relative error in a large and a small output: both weigh alike.
  const std::vector<float> own{0, 1, 2, 3}, large{0, 1000, 2000, 3000}, wrong{1, 1, 2, 3},
      large_wrong{1000, 1000, 2000, 3000};
  TensorAgreement one, two;
  one.add(0, own, wrong);
  two.add(0, own, wrong);
  two.add(1, large, large_wrong);
  EXPECT_NEAR(one.fidelity().value(), 1 - 1.0 / 5.0, 1e-12);
  EXPECT_NEAR(two.fidelity().value(), one.fidelity().value(), 1e-12);
}

TEST(TensorAgreement, HasAFloorOfZero) {
  TensorAgreement agreement;
  agreement.add(0, std::vector<float>{0, 1}, std::vector<float>{100, -100});
  EXPECT_EQ(agreement.fidelity(), 0);
}

TEST(TensorAgreement, OfOutputsThatSayNothingIsNothing) {
  TensorAgreement agreement;
  EXPECT_EQ(agreement.fidelity(), std::nullopt);
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Floats constant(1000, 0.1F), not_finite{infinity, -infinity, nan};
  agreement.add(0, constant, constant);
  agreement.add(0, constant, constant);
  agreement.add(2, Floats{}, Floats{});
  agreement.add(3, not_finite, not_finite);
  agreement.add_exact(4, Integers(10, 7), Integers(10, 7));
  agreement.add_exact(5, Integers{}, Integers{});
  EXPECT_EQ(agreement.fidelity(), std::nullopt);
  EXPECT_THAT(agreement.outputs(), ElementsAre(Compared::kConstant, Compared::kEmpty, Compared::kEmpty,
                                               Compared::kEmpty, Compared::kConstant, Compared::kEmpty));
  const Interval interval = agreement.interval();
  EXPECT_EQ(interval.low, 0);
  EXPECT_EQ(interval.high, 0);
}

TEST(TensorAgreement, OfEqualOutputsIsOneIfAnyOfThemVaries) {
  const Floats values = normal_values(100, 3, 1, 9), constant(1000, 0.1F);
  TensorAgreement agreement;
  agreement.add(0, constant, constant);
  agreement.add(1, values, values);
  EXPECT_EQ(agreement.fidelity(), 1);
  EXPECT_THAT(agreement.outputs(), ElementsAre(Compared::kConstant, Compared::kYes));
  TensorAgreement labels;
  labels.add_exact(0, Integers{4, 5}, Integers{4, 5});
  EXPECT_EQ(labels.fidelity(), 1);
}

TEST(TensorAgreement, AConstantOutputThatDiffersCountsAsZeroInThePool) {
  const std::vector<float> constant(4, 0.1F), other{0.1F, 0.1F, 0.1F, 0.2F}, values{0, 1, 2, 3};
  TensorAgreement agreement;
  agreement.add(0, constant, constant);
  agreement.add(0, constant, other);
  EXPECT_EQ(agreement.fidelity(), 0);
  agreement.add(1, values, values);
  EXPECT_NEAR(agreement.fidelity().value(), 4.0 / 12.0, 1e-12);
}

TEST(TensorAgreement, LeavesOutEqualInfinitiesAndFailsOnOthers) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  TensorAgreement agreement;
  agreement.add(0, std::vector<float>{1, -infinity, nan, 2}, std::vector<float>{1, -infinity, nan, 2});
  EXPECT_EQ(agreement.fidelity(), 1);
  agreement.add(0, std::vector<float>{1, 2}, std::vector<float>{1, nan});
  EXPECT_EQ(agreement.fidelity(), 0);
}

TEST(TensorAgreement, OneValueThatIsNotFiniteInOneModelOnlyIsZeroWhateverElseAgrees) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Floats values = normal_values(100, 3, 1, 9);
  for (const auto& [own, merged] : std::vector<std::pair<float, float>>{
           {infinity, -infinity}, {infinity, nan}, {nan, 0.0F}, {0.0F, infinity}, {-infinity, 0.0F}}) {
    TensorAgreement agreement;
    agreement.add(0, values, values);
    agreement.add(1, Floats{own}, Floats{merged});
    EXPECT_EQ(agreement.fidelity(), 0) << own << " " << merged;
    EXPECT_EQ(agreement.outputs()[1], Compared::kYes);
  }
}

TEST(TensorAgreement, IntegersCountByEqualityNotByDistance) {
  TensorAgreement near, far;
  near.add_exact(0, Integers{1, 2, 3, 4}, Integers{1, 2, 3, 5});
  far.add_exact(0, Integers{1, 2, 3, 4}, Integers{1, 2, 3, 4'000'000'000'000'000'001});
  EXPECT_EQ(near.fidelity(), 0.75);
  EXPECT_EQ(far.fidelity(), 0.75);
  // Equal as doubles, not as integers.
  TensorAgreement large;
  large.add_exact(0, Integers{9007199254740993, 0}, Integers{9007199254740992, 0});
  EXPECT_EQ(large.fidelity(), 0.5);
}

TEST(TensorAgreement, IntegersThatVaryOnlyBetweenPiecesAreNotConstant) {
  TensorAgreement agreement;
  agreement.add_exact(0, Integers{3, 3}, Integers{3, 3});
  agreement.add_exact(0, Integers{4, 4}, Integers{4, 5});
  EXPECT_EQ(agreement.fidelity(), 0.75);
}

TEST(TensorAgreement, ConstantIntegersThatDifferCountAsZeroInThePool) {
  TensorAgreement agreement;
  agreement.add_exact(0, Integers(8, 3), Integers{3, 3, 3, 3, 3, 3, 3, 4});
  EXPECT_EQ(agreement.fidelity(), 0);
  EXPECT_THAT(agreement.outputs(), ElementsAre(Compared::kYes));
  agreement.add(1, Floats{0, 1, 2, 3}, Floats{0, 1, 2, 3});
  EXPECT_NEAR(agreement.fidelity().value(), 4.0 / 12.0, 1e-12);
}

TEST(TensorAgreement, AnOutputIsFloatingOrExact) {
  TensorAgreement agreement;
  agreement.add(0, Floats{1}, Floats{1});
  agreement.add_exact(1, Integers{1}, Integers{1});
  EXPECT_THROW(agreement.add_exact(0, Integers{1}, Integers{1}), Error);
  EXPECT_THROW(agreement.add(1, Floats{1}, Floats{1}), Error);
}

TEST(TensorAgreement, RefusesOutputsOfDifferentSize) {
  TensorAgreement agreement;
  EXPECT_THROW(agreement.add(0, std::vector<float>(3), std::vector<float>(4)), Error);
  EXPECT_THROW(agreement.add_exact(0, Integers(3), Integers(4)), Error);
}

}  // namespace
}  // namespace repsim::verify
