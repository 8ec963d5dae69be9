// Running models over stored frames: Gram matrices, minibatches, signatures.
#include "repsim/capture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error_matcher.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::capture {
namespace {

using testing::ElementsAre;

/// Centred inner products in float64, one sample after the other.
std::vector<double> naive_gram(const at::Tensor& value) {
  const std::int64_t n = value.size(0);
  const at::Tensor rows = value.reshape({n, -1}).to(at::kDouble).contiguous();
  const std::int64_t features = rows.size(1);
  const double* x = rows.const_data_ptr<double>();
  std::vector<double> gram(static_cast<std::size_t>(n * n), 0.0);
  for (std::int64_t f = 0; f < features; ++f) {
    double mean = 0;
    for (std::int64_t i = 0; i < n; ++i) mean += x[i * features + f];
    mean /= static_cast<double>(n);
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        gram[i * n + j] += (x[i * features + f] - mean) * (x[j * features + f] - mean);
      }
    }
  }
  return gram;
}

double worst_difference(const at::Tensor& value) {
  const std::vector<double> expected = naive_gram(value);
  std::vector<double> gram(expected.size(), -1);
  centred_gram(value, gram.data());
  double worst = 0, size = 0;
  for (std::size_t i = 0; i < gram.size(); ++i) {
    worst = std::max(worst, std::abs(gram[i] - expected[i]));
    size = std::max(size, std::abs(expected[i]));
  }
  return worst / size;
}

// 5000 features: one whole chunk and a rest. Float32 products in chunks: about 1e-6 of the largest entry.
TEST(CentredGram, EqualsANaiveSumInFloat64) {
  EXPECT_LT(worst_difference(test::Random(1).tensor({16, 5, 40, 25})), 2e-6);
}

TEST(CentredGram, KeepsItsDigitsBesideALargeCommonOffset) {
  // float32 holds 100 + x to 8e-6; the inputs are rounded alike for both sides.
  EXPECT_LT(worst_difference(test::Random(2).tensor({16, 600}) + 100.0), 2e-6);
}

TEST(CentredGram, TakesAnyMemoryLayout) {
  const at::Tensor value = test::Random(3).tensor({16, 6, 9, 7});
  std::vector<double> plain(256), last(256);
  centred_gram(value, plain.data());
  centred_gram(value.contiguous(at::MemoryFormat::ChannelsLast), last.data());
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(plain[i], last[i], 1e-5 * std::abs(plain[0]));
}

TEST(CentredGram, OfEqualRowsIsZero) {
  const at::Tensor row = test::Random(4).tensor({1, 3000});
  std::vector<double> gram(256, 1.0);
  centred_gram(row.expand({16, 3000}), gram.data());
  EXPECT_THAT(gram, testing::Each(0.0));
}

TEST(Minibatches, AreStridedOverAllFrames) {
  const auto minibatches = strided_minibatches(48);
  ASSERT_EQ(minibatches.size(), 3U);
  EXPECT_THAT(minibatches[1], ElementsAre(1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 37, 40, 43, 46));
}

TEST(Minibatches, AreWholeOnesOnly) {
  EXPECT_EQ(strided_minibatches(15).size(), 0U);
  EXPECT_EQ(strided_minibatches(16).size(), 1U);
  EXPECT_EQ(strided_minibatches(47).size(), 2U);
}

TEST(Minibatches, UseNoFrameTwice) {
  std::set<std::int64_t> seen;
  for (const auto& minibatch : strided_minibatches(100)) {
    for (const std::int64_t position : minibatch) {
      EXPECT_TRUE(seen.insert(position).second && position < 100) << position;
    }
  }
  EXPECT_EQ(seen.size(), 96U);
}

TEST(Batches, CoverAllPositionsInOrder) {
  EXPECT_THAT(batches(5, 2), ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4)));
}

/// HSIC_1 of Song et al. 2012, equation 5, from two Gram matrices, term by term.
double hsic(std::vector<double> k, std::vector<double> l, std::int64_t n) {
  const auto at = [n](std::int64_t i, std::int64_t j) { return static_cast<std::size_t>(i * n + j); };
  for (std::int64_t i = 0; i < n; ++i) k[at(i, i)] = l[at(i, i)] = 0;
  double trace = 0, sum_k = 0, sum_l = 0, cross = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double row_k = 0, row_l = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      trace += k[at(i, j)] * l[at(j, i)];
      row_k += k[at(i, j)];
      row_l += l[at(i, j)];
    }
    sum_k += row_k;
    sum_l += row_l;
    cross += row_k * row_l;
  }
  const auto m = static_cast<double>(n);
  return (trace + sum_k * sum_l / ((m - 1) * (m - 2)) - 2 * cross / (m - 2)) / (m * (m - 3));
}

/// Per minibatch and layer: Gram matrices in float64 of what probes saw.
std::vector<std::vector<std::vector<double>>> raw_grams(const graph::Prepared& model, const video::FrameStore& store) {
  std::vector<graph::Place> places;
  for (const graph::Layer& layer : model.program.layers) places.push_back(graph::place_of(layer));
  const graph::Runner runner(*model.graph, model.parameters, places, false);
  std::vector<std::vector<std::vector<double>>> result;
  for (std::int64_t k = 0; k < store.size() / 16; ++k) {
    auto& grams = result.emplace_back(places.size());
    std::vector<std::int64_t> positions;
    for (std::int64_t i = 0; i < 16; ++i) positions.push_back(k + i * (store.size() / 16));
    runner.run({test::input_of(store, positions)},
               [&](LayerIndex layer, const at::Tensor& value) { grams[layer] = naive_gram(value.clone()); });
  }
  return result;
}

// Invariant 4 of docs/internals/contracts.md.
TEST(Similarity, EqualsAFloat64ReferenceFromRawActivations) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const video::FrameStore store = test::picture_store(opened.set.specs[0], 32);
  SilentProgress silent;
  const auto matrix =
      similarity::cka(signatures(opened.prepared[0], store, silent), signatures(opened.prepared[1], store, silent));
  const auto rows = raw_grams(opened.prepared[0], store), cols = raw_grams(opened.prepared[1], store);
  for (std::size_t i = 0; i < rows[0].size(); ++i) {
    for (std::size_t j = 0; j < cols[0].size(); ++j) {
      double both = 0, first = 0, second = 0;
      for (std::size_t k = 0; k < rows.size(); ++k) {
        both += hsic(rows[k][i], cols[k][j], 16);
        first += hsic(rows[k][i], rows[k][i], 16);
        second += hsic(cols[k][j], cols[k][j], 16);
      }
      EXPECT_NEAR(matrix.at(i, j), both / std::sqrt(first * second), 1e-5) << matrix.rows[i] << " " << matrix.cols[j];
    }
  }
}

TEST(Signatures, NameLayersAndFrames) {
  const test::Opened opened = test::open_fixtures({"small"});
  const video::FrameStore store = test::picture_store(opened.set.specs[0], 35);
  SilentProgress silent;
  const similarity::Signatures result = signatures(opened.prepared[0], store, silent);
  EXPECT_EQ(result.layers.size(), opened.program(0).layers.size());
  EXPECT_EQ(result.length, 2 * 120);
  ASSERT_EQ(result.frames.size(), 32U);
  EXPECT_EQ(result.frames[1], store.frames()[2]);  // the second of the first minibatch of two
}

TEST(Signatures, AreTheSameFrameByFrame) {
  test::Opened opened = test::open_fixtures({"small"});
  const video::FrameStore store = test::picture_store(opened.set.specs[0], 16);
  SilentProgress silent;
  const similarity::Signatures whole = signatures(opened.prepared[0], store, silent);
  opened.prepared[0].batchable = false;
  const similarity::Signatures single = signatures(opened.prepared[0], store, silent);
  for (std::size_t layer = 0; layer < whole.layers.size(); ++layer) {
    double size = 0, worst = 0;
    for (std::int64_t i = 0; i < whole.length; ++i) {
      const std::size_t at = layer * static_cast<std::size_t>(whole.length) + static_cast<std::size_t>(i);
      size = std::max(size, std::abs(whole.values[at]));
      worst = std::max(worst, std::abs(whole.values[at] - single.values[at]));
    }
    // Kernels for one frame and for sixteen round differently: 1e-6 of the largest activations, a few times that here.
    EXPECT_LT(worst, 5e-6 * size) << whole.layers[layer];
  }
}

TEST(Signatures, OfAModelThatTakesOneFrameAtATimeEqualThoseOfItsTwin) {
  // one_frame is traced from the same class with other weights: only its batch is fixed.
  const test::Opened opened = test::open_fixtures({"one_frame"});
  ASSERT_FALSE(opened.prepared[0].batchable);
  const video::FrameStore store = test::picture_store(opened.set.specs[0], 16);
  SilentProgress silent;
  const similarity::Signatures result = signatures(opened.prepared[0], store, silent);
  const similarity::Matrix self = similarity::cka(result, result);
  for (std::size_t i = 0; i < self.rows.size(); ++i) EXPECT_NEAR(self.at(i, i), 1.0, 1e-12) << self.rows[i];
}

TEST(Signatures, AreTheSameInParts) {
  const test::Opened opened = test::open_fixtures({"one_frame"});
  const video::FrameStore store = test::picture_store(opened.set.specs[0], 32);
  SilentProgress silent;
  const similarity::Signatures whole = signatures(opened.prepared[0], store, silent);
  for (const std::int64_t row_bytes : {std::int64_t{0}, std::int64_t{100'000}}) {
    const similarity::Signatures parts = signatures(opened.prepared[0], store, silent, row_bytes);
    EXPECT_EQ(parts.values, whole.values) << row_bytes;
    EXPECT_EQ(parts.frames, whole.frames) << row_bytes;
  }
}

class StopAfter : public SilentProgress {
 public:
  explicit StopAfter(int steps) : left_(steps) {}
  void advance(std::int64_t) override { --left_; }
  [[nodiscard]] bool stop_requested() const override { return left_ <= 0; }

 private:
  int left_;
};

TEST(Signatures, EndWhenTheUserAsksTo) {
  const test::Opened opened = test::open_fixtures({"tied"});
  const video::FrameStore store = test::picture_store(opened.set.specs[0], 32);
  StopAfter stop(1);
  const auto error = test::error_of([&] { (void)signatures(opened.prepared[0], store, stop); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kInterrupted);
}

TEST(ModelSet, RunsFrameByFrameWhenOneMemberMust) {
  const test::Opened opened = test::open_fixtures({"small", "one_frame"});
  const std::vector<int> first{0}, both{0, 1};
  EXPECT_EQ(opened.set.batch(first), 16);
  EXPECT_EQ(opened.set.batch(both), 1);
}

}  // namespace
}  // namespace repsim::capture
