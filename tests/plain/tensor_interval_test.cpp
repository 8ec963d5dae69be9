// The interval of raw outputs, beside a resampler that computes each resample from its values.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "repsim/verify_metrics.hpp"

namespace repsim::verify {
namespace {

using Floats = std::vector<float>;
using Integers = std::vector<std::int64_t>;

/// The outputs of one frame: a floating one, an integer one, and a constant that differs in some cases.
struct RandomFrame {
  Floats own, merged, own_constant, merged_constant;
  Integers own_labels, merged_labels;
};

std::vector<RandomFrame> random_frames(std::uint64_t seed, bool constant_differs) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<RandomFrame> frames(3 + random() % 30);
  for (RandomFrame& frame : frames) {
    const double noise = 0.02 * static_cast<double>(random() % 20);  // frames differ in how well they agree
    for (std::size_t i = 0; i < 40; ++i) {
      const double value = 5 + 2 * normal(random);
      frame.own.push_back(static_cast<float>(value));
      frame.merged.push_back(static_cast<float>(value + noise * normal(random)));
    }
    for (auto k = random() % 6; k > 0; --k) {  // a number that depends on the frame
      frame.own_labels.push_back(static_cast<std::int64_t>(random() % 3));
      frame.merged_labels.push_back(random() % 4 == 0 ? 9 : frame.own_labels.back());
    }
    frame.own_constant = Floats(5, 0.25F);
    frame.merged_constant = Floats(5, constant_differs && random() % 2 == 0 ? 0.5F : 0.25F);
  }
  return frames;
}

/// 1 - error / values of a resample, with the variance of all frames.
double naive_fidelity(const std::vector<RandomFrame>& all, const std::vector<std::size_t>& drawn) {
  double mean = 0, variance = 0, count = 0;
  bool constant_counts = false;
  for (const RandomFrame& frame : all) {
    count += static_cast<double>(frame.own.size());
    for (const float value : frame.own) mean += value;
    constant_counts = constant_counts || frame.own_constant != frame.merged_constant;
  }
  mean /= count;
  for (const RandomFrame& frame : all) {
    for (const float value : frame.own) variance += (value - mean) * (value - mean) / count;
  }
  double error = 0, values = 0;
  for (const std::size_t index : drawn) {
    const RandomFrame& frame = all[index];
    for (std::size_t i = 0; i < frame.own.size(); ++i) {
      error += std::pow(static_cast<double>(frame.merged[i]) - frame.own[i], 2) / variance;
      ++values;
    }
    for (std::size_t i = 0; i < frame.own_labels.size(); ++i) {
      error += frame.own_labels[i] == frame.merged_labels[i] ? 0 : 1;
      ++values;
    }
    if (constant_counts) {
      error += static_cast<double>(frame.own_constant.size());
      values += static_cast<double>(frame.own_constant.size());
    }
  }
  return std::max(0.0, 1 - error / values);
}

/// @param of_first_video  frames after which a second video begins; 0: there is one video
TensorAgreement agreement_of(const std::vector<RandomFrame>& frames, bool mark = true, std::size_t of_first_video = 0) {
  TensorAgreement agreement;
  std::size_t index = 0;
  for (const RandomFrame& frame : frames) {
    if (of_first_video > 0 && index++ == of_first_video) agreement.next_video();
    if (mark) agreement.next_frame();
    agreement.add(0, frame.own, frame.merged);
    agreement.add_exact(1, frame.own_labels, frame.merged_labels);
    agreement.add(2, frame.own_constant, frame.merged_constant);
  }
  return agreement;
}

TEST(TensorInterval, EqualsPercentilesOfResampledFrames) {
  constexpr int kDraws = 60;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::vector<RandomFrame> frames = random_frames(seed, seed % 3 == 0);
    const std::size_t n = frames.size();
    const auto block = static_cast<std::size_t>(bootstrap_block(static_cast<std::int64_t>(n)));
    // Every second case has two videos, of which a run stays in one.
    const std::size_t border = seed % 2 == 0 ? 0 : 1 + seed % (n - 1);
    std::mt19937_64 random(seed);
    std::vector<double> values;
    for (int draw = 0; draw < kDraws; ++draw) {
      std::vector<std::size_t> drawn;
      while (drawn.size() < n) {
        const std::size_t first = (random() >> 32) * n / 4294967296ULL;
        const std::size_t begin = first < border ? 0 : border, end = first < border ? border : n;
        for (std::size_t i = 0; i < std::min(block, end - begin) && drawn.size() < n; ++i)
          drawn.push_back(begin + (first - begin + i) % (end - begin));
      }
      values.push_back(naive_fidelity(frames, drawn));
    }
    std::sort(values.begin(), values.end());
    const double freedom = std::max(1.0, static_cast<double>(n) / static_cast<double>(block) - 1);
    const double t = boost::math::quantile(boost::math::students_t(freedom), 0.95);
    const double tail = boost::math::cdf(boost::math::normal(), -t * std::sqrt((freedom + 1) / freedom));
    const auto at = [&](double fraction) {
      const double position = fraction * (kDraws - 1), below = std::floor(position);
      const double low = values[static_cast<std::size_t>(below)], high = values[static_cast<std::size_t>(below) + 1];
      return low + (high - low) * (position - below);
    };
    const TensorAgreement agreement = agreement_of(frames, true, border);
    const Interval interval = agreement.interval(0.9, kDraws, seed);
    EXPECT_NEAR(interval.low, at(tail), 1e-9);
    EXPECT_NEAR(interval.high, at(1 - tail), 1e-9);
    std::vector<std::size_t> once;
    for (std::size_t i = 0; i < n; ++i) once.push_back(i);
    EXPECT_NEAR(agreement.fidelity().value(), naive_fidelity(frames, once), 1e-9);
  }
}

TEST(TensorInterval, IsTheFidelityWhereNoFrameWasMarkedOrNothingDrawn) {
  const std::vector<RandomFrame> frames = random_frames(4, false);
  const TensorAgreement unmarked = agreement_of(frames, /*mark=*/false);
  EXPECT_LT(unmarked.fidelity(), 1);
  EXPECT_EQ(unmarked.interval().low, unmarked.fidelity());
  EXPECT_EQ(unmarked.interval().high, unmarked.fidelity());
  const TensorAgreement marked = agreement_of(frames);
  EXPECT_EQ(marked.interval(0.9, 0).low, marked.fidelity());
  EXPECT_LT(marked.interval().low, marked.interval().high);
}

TEST(TensorInterval, DependsOnTheSeedAndNotOnMarksWithoutValues) {
  const std::vector<RandomFrame> frames = random_frames(5, false);
  const TensorAgreement before = agreement_of(frames);
  TensorAgreement both;
  for (const RandomFrame& frame : frames) {
    both.next_frame();
    both.add(0, frame.own, frame.merged);
    both.add_exact(1, frame.own_labels, frame.merged_labels);
    both.next_frame();
    both.add(2, Floats{}, Floats{});
    both.next_frame();
  }
  EXPECT_EQ(before.interval(0.9, 100, 1).low, both.interval(0.9, 100, 1).low);
  EXPECT_NE(before.interval(0.9, 100, 1).low, before.interval(0.9, 100, 2).low);
}

TEST(TensorInterval, AResampleWithAValueThatIsFiniteInOneModelOnlyIsZero) {
  TensorAgreement agreement;
  const Floats values{0, 1, 2};
  for (int frame = 0; frame < 50; ++frame) {
    agreement.add(0, values, values);
    if (frame == 7) agreement.add(1, Floats{1}, Floats{std::numeric_limits<float>::infinity()});
    agreement.next_frame();
  }
  EXPECT_EQ(agreement.fidelity(), 0);
  EXPECT_EQ(agreement.interval().low, 0);
  EXPECT_EQ(agreement.interval().high, 1);  // a third of the resamples leave the frame out
}

}  // namespace
}  // namespace repsim::verify
