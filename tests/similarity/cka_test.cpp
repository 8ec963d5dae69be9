#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>

#include "repsim/base/error.hpp"
#include "repsim/similarity.hpp"

namespace repsim::similarity {
namespace {

using Features = std::vector<std::vector<double>>;  // one row per frame
using Square = std::vector<std::vector<double>>;

Features random_features(std::size_t frames, std::size_t width, std::mt19937_64& random, double offset = 0) {
  std::normal_distribution<double> normal;
  Features x(frames, std::vector<double>(width));
  for (auto& row : x) {
    for (double& value : row) value = normal(random) + offset;
  }
  return x;
}

Square gram_of(const Features& x, std::size_t first, std::size_t n) {
  Square gram(n, std::vector<double>(n, 0.0));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < x[first + i].size(); ++k) gram[i][j] += x[first + i][k] * x[first + j][k];
    }
  }
  return gram;
}

/// HSIC_1 as printed in Song et al. 2012: [tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2/(n-2) 1'KL1] / (n(n-3)), K and L with
/// zero diagonals.
double hsic1(Square k, Square l) {
  const std::size_t n = k.size();
  for (std::size_t i = 0; i < n; ++i) k[i][i] = l[i][i] = 0;
  double trace = 0, sum_k = 0, sum_l = 0, sum_product = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      sum_k += k[i][j];
      sum_l += l[i][j];
      trace += k[i][j] * l[j][i];
      for (std::size_t m = 0; m < n; ++m) sum_product += k[i][m] * l[m][j];
    }
  }
  const auto size = static_cast<double>(n);
  return (trace + sum_k * sum_l / ((size - 1) * (size - 2)) - 2 / (size - 2) * sum_product) / (size * (size - 3));
}

double naive_minibatch_cka(const Features& x, const Features& y, std::size_t n) {
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t first = 0; first + n <= x.size(); first += n) {
    const Square k = gram_of(x, first, n), l = gram_of(y, first, n);
    xy += hsic1(k, l);
    xx += hsic1(k, k);
    yy += hsic1(l, l);
  }
  return xy / std::sqrt(xx * yy);
}

Signatures signatures_of(const std::string& model, const std::vector<Features>& layers, std::int64_t n = 16) {
  Signatures s;
  s.model = model;
  s.minibatch = n;
  const auto frames = static_cast<std::int64_t>(layers.front().size());
  for (std::int64_t i = 0; i < frames; ++i) s.frames.push_back(i);
  s.length = frames / n * (n * (n - 1) / 2);
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    s.layers.push_back("layer" + std::to_string(layer));
    for (std::int64_t first = 0; first < frames; first += n) {
      const Square gram = gram_of(layers[layer], static_cast<std::size_t>(first), static_cast<std::size_t>(n));
      std::vector<double> flat;
      for (const auto& row : gram) flat.insert(flat.end(), row.begin(), row.end());
      std::vector<double> upper(static_cast<std::size_t>(n * (n - 1) / 2));
      u_centred_upper(flat.data(), n, upper.data());
      s.values.insert(s.values.end(), upper.begin(), upper.end());
    }
  }
  return s;
}

double similarity_of(const Features& x, const Features& y, std::int64_t n = 16) {
  return cka(signatures_of("a", {x}, n), signatures_of("b", {y}, n)).at(0, 0);
}

/// y = x mixed into `width` features plus noise: pairs over the whole range of S.
Features mixture_of(const Features& x, std::size_t width, double noise, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  const Features mix = random_features(x.front().size(), width, random);
  Features y(x.size(), std::vector<double>(width, 0.0));
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = 0; j < width; ++j) {
      for (std::size_t k = 0; k < mix.size(); ++k) y[i][j] += x[i][k] * mix[k][j];
      y[i][j] += noise * normal(random);
    }
  }
  return y;
}

TEST(Cka, EqualsNaiveUnbiasedHsicPerMinibatch) {
  std::mt19937_64 random(1);
  for (const std::size_t n : {4UL, 5UL, 16UL}) {
    for (const double noise : {0.0, 1.0, 4.0, 20.0}) {
      const Features x = random_features(3 * n, 7, random), y = mixture_of(x, 11, noise, random);
      // Float64 on both sides; what differs is the order of a few thousand additions.
      EXPECT_NEAR(similarity_of(x, y, static_cast<std::int64_t>(n)), naive_minibatch_cka(x, y, n), 1e-11)
          << "n " << n << ", noise " << noise;
    }
  }
}

TEST(Cka, MatrixHasRowsOfTheFirstModelAndColumnsOfTheSecond) {
  std::mt19937_64 random(2);
  std::vector<Features> a, b;
  for (int layer = 0; layer < 2; ++layer) a.push_back(random_features(32, 5, random));
  for (int layer = 0; layer < 3; ++layer) b.push_back(random_features(32, 6, random));
  const Matrix matrix = cka(signatures_of("first", a), signatures_of("second", b));
  EXPECT_EQ(matrix.row_model, "first");
  EXPECT_EQ(matrix.col_model, "second");
  ASSERT_EQ(matrix.rows.size(), 2U);
  ASSERT_EQ(matrix.cols.size(), 3U);
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      EXPECT_NEAR(matrix.at(i, j), naive_minibatch_cka(a[i], b[j], 16), 1e-11) << i << ", " << j;
    }
  }
}

TEST(Cka, OfALayerWithItselfIsOne) {
  std::mt19937_64 random(3);
  const Features x = random_features(32, 9, random);
  EXPECT_NEAR(similarity_of(x, x), 1.0, 1e-14);
}

TEST(Cka, IsSymmetric) {
  std::mt19937_64 random(4);
  const Features x = random_features(32, 9, random), y = mixture_of(x, 4, 2.0, random);
  EXPECT_EQ(similarity_of(x, y), similarity_of(y, x));
}

TEST(Cka, DoesNotChangeUnderRotation) {
  std::mt19937_64 random(5);
  const Features x = random_features(32, 6, random), y = mixture_of(x, 6, 1.0, random);
  Features rotated = x;
  std::uniform_real_distribution<double> angles(0, 6.28);
  for (std::size_t p = 0; p < 6; ++p) {
    for (std::size_t q = p + 1; q < 6; ++q) {
      const double angle = angles(random);
      for (auto& row : rotated) {
        const double u = row[p], v = row[q];
        row[p] = std::cos(angle) * u - std::sin(angle) * v;
        row[q] = std::sin(angle) * u + std::cos(angle) * v;
      }
    }
  }
  EXPECT_NEAR(similarity_of(rotated, y), similarity_of(x, y), 1e-12);
}

TEST(Cka, DoesNotChangeUnderScaling) {
  std::mt19937_64 random(6);
  const Features x = random_features(32, 6, random), y = mixture_of(x, 6, 1.0, random);
  // The square of 1e90 enters the Gram matrix, its square the norm: only scaling beforehand keeps that in range.
  for (const double factor : {-1.0, 1e-90, 1e90}) {
    Features scaled = x;
    for (auto& row : scaled) {
      for (double& value : row) value *= factor;
    }
    EXPECT_NEAR(similarity_of(scaled, y), similarity_of(x, y), 1e-12) << factor;
  }
}

TEST(Cka, DoesNotChangeWhenAllFramesMoveByOneVector) {
  std::mt19937_64 random(7);
  const Features x = random_features(32, 6, random), y = mixture_of(x, 6, 1.0, random);
  Features moved = x;
  for (auto& row : moved) {
    for (std::size_t k = 0; k < row.size(); ++k) row[k] += 100.0 * static_cast<double>(k + 1);
  }
  // The Gram entries grow by a factor of about 1e5 before they are centred: as many digits are lost.
  EXPECT_NEAR(similarity_of(moved, y), similarity_of(x, y), 1e-9);
}

TEST(Cka, OfIndependentDataIsAboutZero) {
  std::mt19937_64 random(8);
  double mean = 0;
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    const double s = similarity_of(random_features(320, 64, random), random_features(320, 48, random));
    EXPECT_LT(std::abs(s), 0.1);  // 2400 pairs of frames: standard deviation about 0.02
    mean += s / kTries;
  }
  EXPECT_LT(std::abs(mean), 0.02);  // the biased estimator would be near 0.8 here
}

TEST(Cka, IsUndefinedForConstantLayers) {
  std::mt19937_64 random(9);
  const Features x = random_features(32, 40, random);
  // 0.1 and 0.3 are no binary fractions: the centred Gram matrix is not exactly zero without the rounding floor.
  const Features constant(32, random_features(1, 40, random, 0.1).front());
  EXPECT_TRUE(std::isnan(similarity_of(constant, x)));
  EXPECT_TRUE(std::isnan(similarity_of(x, constant)));
  EXPECT_TRUE(std::isnan(similarity_of(Features(32, {0.0, 0.0}), x)));
}

TEST(Cka, IsUndefinedForLayersThatAreNotFinite) {
  std::mt19937_64 random(10);
  Signatures a = signatures_of("a", {random_features(32, 4, random), random_features(32, 4, random)});
  const Signatures b = signatures_of("b", {random_features(32, 4, random)});
  a.values[3] = std::numeric_limits<double>::infinity();
  const Matrix matrix = cka(a, b);
  EXPECT_TRUE(std::isnan(matrix.at(0, 0)));
  EXPECT_FALSE(std::isnan(matrix.at(1, 0)));
}

TEST(Cka, CountsAMinibatchWithoutVariationAsNothing) {
  std::mt19937_64 random(11);
  Features x = random_features(32, 6, random), y = mixture_of(x, 6, 1.0, random);
  const double first_half = similarity_of(Features(x.begin(), x.begin() + 16), Features(y.begin(), y.begin() + 16));
  for (std::size_t i = 16; i < 32; ++i) {
    x[i] = x[16];
    y[i] = y[16];
  }
  EXPECT_NEAR(similarity_of(x, y), first_half, 1e-12);
}

void expect_input_error(const Signatures& a, const Signatures& b, const std::string& text) {
  try {
    (void)cka(a, b);
    FAIL() << "no error where expected: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), testing::HasSubstr(text));
    EXPECT_FALSE(error.remedy().empty());
  }
}

TEST(Cka, RejectsSignaturesOfDifferentFramesNamingBothModels) {
  std::mt19937_64 random(12);
  const Features x = random_features(32, 4, random);
  const Signatures a = signatures_of("left", {x});
  Signatures b = signatures_of("right", {x});
  b.frames[5] = 77;
  expect_input_error(a, b, "'left' and 'right'");
  expect_input_error(a, b, "5 against 77");
  expect_input_error(a, signatures_of("right", {random_features(16, 4, random)}), "'left' and 'right'");
  expect_input_error(a, signatures_of("right", {x}, 8), "minibatches differ: 16 and 8");
}

TEST(Cka, RejectsSignaturesWhoseSizesContradictEachOther) {
  std::mt19937_64 random(13);
  const Features x = random_features(32, 4, random);
  const Signatures good = signatures_of("good", {x});
  Signatures bad = signatures_of("bad", {x});
  bad.values.pop_back();
  expect_input_error(good, bad, "'bad'");
  bad = good;
  bad.model = "bad";
  bad.frames.pop_back();
  expect_input_error(bad, good, "'bad'");
  bad = good;
  bad.model = "bad";
  bad.layers.emplace_back("one too many");
  expect_input_error(bad, good, "'bad'");
}

/// Signatures without frames behind them: `layers` random rows of `minibatches` minibatches.
Signatures random_signatures(const std::string& model, std::size_t layers, std::int64_t minibatches,
                             std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  Signatures s;
  s.model = model;
  for (std::int64_t i = 0; i < 16 * minibatches; ++i) s.frames.push_back(i);
  s.length = 120 * minibatches;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    s.layers.push_back(model + std::to_string(layer));
    for (std::int64_t i = 0; i < s.length; ++i) s.values.push_back(normal(random));
  }
  return s;
}

// Sizes around those of the blocks of the product: rows 4 and 128, depth 512.
TEST(AllPairs, EqualsACosineOfEachPair) {
  std::mt19937_64 random(15);
  const std::vector<Signatures> models{random_signatures("a", 131, 5, random), random_signatures("b", 3, 5, random),
                                       random_signatures("c", 1, 5, random)};
  const AllPairs all = all_pairs(models);
  ASSERT_EQ(all.size, 135);
  EXPECT_THAT(all.first, testing::ElementsAre(0, 131, 134));
  std::vector<const double*> rows;
  for (const Signatures& s : models) {
    for (std::size_t i = 0; i < s.layers.size(); ++i) rows.push_back(s.values.data() + i * 600);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < rows.size(); ++j) {
      double xy = 0, xx = 0, yy = 0;
      for (int k = 0; k < 600; ++k) {
        xy += rows[i][k] * rows[j][k];
        xx += rows[i][k] * rows[i][k];
        yy += rows[j][k] * rows[j][k];
      }
      ASSERT_NEAR(all.values[i * 135 + j], xy / std::sqrt(xx * yy), 1e-13) << i << ", " << j;
    }
  }
}

TEST(AllPairs, HasTheMatrixOfEachPairOfModels) {
  std::mt19937_64 random(16);
  const std::vector<Signatures> models{random_signatures("a", 5, 2, random), random_signatures("b", 130, 2, random)};
  const Matrix part = all_pairs(models).between(0, 1), alone = cka(models[0], models[1]);
  EXPECT_EQ(part.row_model, "a");
  EXPECT_EQ(part.cols, alone.cols);
  EXPECT_EQ(part.values, alone.values);
}

TEST(AllPairs, DoesNotDependOnTheNumberOfThreads) {
  std::mt19937_64 random(17);
  const std::vector<Signatures> models{random_signatures("a", 300, 3, random)};
  EXPECT_EQ(all_pairs(models, 1).values, all_pairs(models, 5).values);
}

TEST(AllPairs, OfLayersWithoutVariationIsUndefinedAndTouchesNoOther) {
  std::mt19937_64 random(18);
  std::vector<Signatures> models{random_signatures("a", 4, 1, random)};
  std::fill_n(models[0].values.begin() + 120, 120, 0.0);
  const AllPairs all = all_pairs(models);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(std::isnan(all.values[i]), i / 4 == 1 || i % 4 == 1) << i;
}

TEST(AllPairs, RejectsOtherFramesNamingBothModels) {
  std::mt19937_64 random(19);
  const std::vector<Signatures> models{random_signatures("left", 2, 2, random),
                                       random_signatures("right", 2, 1, random)};
  EXPECT_THROW((void)all_pairs(models), Error);
}

TEST(AllPairs, OfNoLayersIsEmpty) {
  std::mt19937_64 random(20);
  EXPECT_EQ(all_pairs({random_signatures("a", 0, 1, random)}).size, 0);
}

TEST(ModelPairs, AreComputedOnceInTheOrderOfTheModelsWithLayers) {
  std::mt19937_64 random(31);
  Signatures none;
  none.model = "none";
  const ModelPairs pairs({random_signatures("a", 3, 2, random), none, random_signatures("b", 5, 2, random),
                          random_signatures("c", 2, 2, random)});
  std::vector<std::string> names;
  for (const Matrix& one : pairs.matrices()) names.push_back(one.row_model + one.col_model);
  EXPECT_THAT(names, testing::ElementsAre("ab", "ac", "bc"));
}

/// What was computed for one order serves both, so it must have the bits of either. The sizes are those at which the
/// product has whole tiles, parts of tiles, and several blocks.
TEST(ModelPairs, HaveTheBitsOfCkaInEitherOrder) {
  std::mt19937_64 random(32);
  std::vector<Signatures> models{random_signatures("a", 1, 7, random), random_signatures("b", 4, 7, random),
                                 random_signatures("c", 130, 7, random), random_signatures("d", 263, 7, random)};
  std::fill_n(models[3].values.begin() + 5 * models[3].length, models[3].length, 0.0);  // S is undefined
  const ModelPairs pairs(models);
  for (ModelIndex row_model = 0; row_model < 4; ++row_model) {
    for (ModelIndex col_model = 0; col_model < 4; ++col_model) {
      if (row_model == col_model) continue;
      const Matrix expected = cka(models[row_model], models[col_model]);
      const MatrixView view = pairs.between(row_model, col_model);
      for (std::size_t row = 0; row < expected.rows.size(); ++row) {
        for (std::size_t col = 0; col < expected.cols.size(); ++col) {
          const double value = view.at(static_cast<LayerIndex>(row), static_cast<LayerIndex>(col));
          ASSERT_EQ(std::bit_cast<std::uint64_t>(value), std::bit_cast<std::uint64_t>(expected.at(row, col)))
              << row_model << ", " << col_model << ": " << row << ", " << col;
        }
      }
    }
  }
}

TEST(UCentring, RefusesFewerThanFourFrames) {
  const std::vector<double> gram(9, 1.0);
  std::vector<double> out(3);
  EXPECT_THROW(u_centred_upper(gram.data(), 3, out.data()), Error);
}

TEST(UCentring, DoesNotReadTheDiagonal) {
  std::mt19937_64 random(14);
  const Square gram = gram_of(random_features(6, 5, random), 0, 6);
  std::vector<double> flat, out(15), other(15);
  for (const auto& row : gram) flat.insert(flat.end(), row.begin(), row.end());
  u_centred_upper(flat.data(), 6, out.data());
  for (std::size_t i = 0; i < 6; ++i) flat[i * 7] = 1e9;
  u_centred_upper(flat.data(), 6, other.data());
  EXPECT_EQ(out, other);
}

}  // namespace
}  // namespace repsim::similarity
