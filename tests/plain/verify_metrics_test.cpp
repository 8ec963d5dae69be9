#include "repsim/verify_metrics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numbers>
#include <random>
#include <set>

#include "plain/random_detections.hpp"
#include "repsim/base/error.hpp"

namespace repsim::verify {
namespace {

/// Straight from the definition, sharing nothing with what it judges.
double naive_average_precision(const std::vector<Detections>& found, const std::vector<Target>& targets) {
  struct Ranked {
    double score;
    bool hit;
  };
  std::vector<Ranked> ranked;
  double total = 0;
  for (std::size_t frame = 0; frame < found.size(); ++frame) {
    total += static_cast<double>(targets[frame].sure.size());
    std::set<std::int64_t> labels;
    for (const Detection& d : found[frame]) labels.insert(d.label);
    for (const std::int64_t label : labels) {
      Detections mine;
      for (const Detection& d : found[frame]) {
        if (d.label == label) mine.push_back(d);
      }
      std::stable_sort(mine.begin(), mine.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
      std::vector<bool> used(targets[frame].sure.size(), false);
      for (const Detection& d : mine) {
        int best = -1;
        double best_iou = 0.5;
        for (std::size_t t = 0; t < used.size(); ++t) {
          const Detection& target = targets[frame].sure[t];
          const double iou = naive_iou(d, target);
          if (used[t] || target.label != label || iou < 0.5) continue;
          if (best < 0 || iou > best_iou) {
            best = static_cast<int>(t);
            best_iou = iou;
          }
        }
        bool doubtful = false;
        for (const Detection& unsure : targets[frame].ignored) {
          if (unsure.label == label && naive_iou(d, unsure) >= 0.5) doubtful = true;
        }
        if (best >= 0) used[static_cast<std::size_t>(best)] = true;
        if (best >= 0 || !doubtful) ranked.push_back({d.score, best >= 0});
      }
    }
  }
  if (total == 0) return 0;
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) { return a.score > b.score; });
  // Area under "best precision at this recall or more", one step of recall per hit.
  double area = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    if (!ranked[i].hit) continue;
    double best = 0;
    for (std::size_t cut = i; cut < ranked.size(); ++cut) {
      double hits = 0;
      for (std::size_t k = 0; k <= cut; ++k) hits += ranked[k].hit ? 1 : 0;
      best = std::max(best, hits / static_cast<double>(cut + 1));
    }
    area += best / total;
  }
  return area;
}

TEST(AveragePrecision, EqualsTheDefinitionOnRandomDetections) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Case made = random_case(seed);
    const std::vector<Detections> found = suppressed(made.found), own = suppressed(made.own);
    const std::vector<Target> targets = targets_from_own(own, 0.36);
    EXPECT_NEAR(average_precision(found, targets), naive_average_precision(found, targets), 1e-12);
  }
}

TEST(AveragePrecision, OfADetectorAgainstItselfIsOne) {
  const std::vector<Detections> own = suppressed(random_case(7).own);
  EXPECT_NEAR(average_precision(own, targets_from_own(own, 0.36)), 1.0, 1e-12);
}

TEST(AveragePrecision, IsZeroWithoutTargetsOrDetections) {
  const std::vector<Detections> some{{box(0, 0, 1, 1, 0.9)}}, none{{}};
  EXPECT_EQ(average_precision(some, std::vector<Target>(1)), 0);
  EXPECT_EQ(average_precision(none, targets_from_own(some, 0.35)), 0);
  EXPECT_EQ(average_precision({}, {}), 0);
}

TEST(AveragePrecision, MatchesEachTargetOnce) {
  const std::vector<Target> targets{{{box(0, 0, 1, 1, 1)}, {}}};
  // The second detection of the same target is false; a false one after the only hit costs nothing, before it half.
  EXPECT_EQ(average_precision(std::vector<Detections>{{box(0, 0, 1, 0.9, 0.9), box(0, 0, 1, 1, 0.8)}}, targets), 1);
  EXPECT_EQ(average_precision(std::vector<Detections>{{box(5, 5, 6, 6, 0.9), box(0, 0, 1, 1, 0.8)}}, targets), 0.5);
}

TEST(AveragePrecision, NeedsTheSameClass) {
  const std::vector<Target> targets{{{box(0, 0, 1, 1, 1, 2)}, {}}};
  EXPECT_EQ(average_precision(std::vector<Detections>{{box(0, 0, 1, 1, 0.9, 1)}}, targets), 0);
}

TEST(AveragePrecision, CountsWhatMeetsOnlyAnIgnoredTargetNeitherWay) {
  const Detection truth = box(0, 0, 1, 1, 0.8), doubt = box(3, 3, 4, 4, 0.2);
  const std::vector<Target> targets{{{truth}, {doubt}}};
  const std::vector<Detections> found{{box(3, 3, 4, 4, 0.9), truth}};
  EXPECT_EQ(average_precision(found, targets), 1);
  EXPECT_EQ(average_precision(found, std::vector<Target>{{{truth}, {}}}), 0.5);
}

TEST(AveragePrecision, TakesTheFreeTargetOfHighestOverlapFirstOnTies) {
  // Both targets overlap the first detection equally; the second detection reaches only the second target.
  const std::vector<Target> targets{{{box(0, 0, 1, 1, 1), box(0.25, 0, 1.25, 1, 1)}, {}}};
  const std::vector<Detections> found{{box(0.125, 0, 1.125, 1, 0.9), box(0.5, 0, 1.5, 1, 0.8)}};
  EXPECT_EQ(average_precision(found, targets), 1);
}

TEST(AveragePrecision, TiesInScoreKeepTheOrderOfFrames) {
  const Detection hit = box(0, 0, 1, 1, 0.5), miss = box(5, 5, 6, 6, 0.5);
  const std::vector<Target> first{{{hit}, {}}, {{}, {}}}, second{{{}, {}}, {{hit}, {}}};
  EXPECT_EQ(average_precision(std::vector<Detections>{{hit}, {miss}}, first), 1);
  EXPECT_EQ(average_precision(std::vector<Detections>{{miss}, {hit}}, second), 0.5);
}

TEST(AveragePrecision, RefusesListsOfDifferentLength) {
  EXPECT_THROW((void)average_precision(std::vector<Detections>(2), std::vector<Target>(3)), Error);
}

const std::vector<Detections> kFound = {{{0.21, 0.39, 0.41, 0.57, 0.39, 0},
                                         {0.11, 0.44, 0.32, 0.55, 0.01, 0},
                                         {0.33, 0.03, 0.58, 0.28, 0.01, 1},
                                         {0.05, 0.78, 0.26, 0.96, 0.1, 1},
                                         {0.56, 0.36, 0.84, 0.46, 0.46, 0},
                                         {0.49, 0.22, 0.64, 0.39, 0.92, 0},
                                         {0.24, 0.05, 0.4, 0.28, 0.53, 0},
                                         {0.03, 0.63, 0.25, 0.87, 0.12, 0},
                                         {0.65, 0.01, 0.9, 0.15, 0.96, 1},
                                         {0.27, 0.1, 0.51, 0.24, 0.01, 0},
                                         {0.31, 0.31, 0.51, 0.61, 0.18, 0}},
                                        {{0.19, 0.31, 0.37, 0.58, 0.56, 1},
                                         {0.22, 0.74, 0.33, 0.88, 0.01, 1},
                                         {0.01, 0.44, 0.22, 0.64, 0.07, 1},
                                         {0.49, 0.54, 0.79, 0.83, 0.22, 0},
                                         {0.26, 0.8, 0.48, 0.89, 0.19, 1},
                                         {0.46, 0.56, 0.61, 0.77, 0.18, 1},
                                         {0.06, 0.33, 0.23, 0.61, 0.15, 1},
                                         {0.17, 0.71, 0.38, 0.99, 0.36, 0},
                                         {0.28, 0.21, 0.43, 0.47, 0.1, 1},
                                         {0.68, 0.15, 0.89, 0.41, 0.34, 1},
                                         {0.71, 0.71, 0.91, 1.01, 0.78, 0}},
                                        {{0.25, 0.72, 0.48, 0.94, 0.46, 1},
                                         {0.58, 0.24, 0.83, 0.52, 0.01, 0},
                                         {0.22, 0.68, 0.32, 0.93, 0.01, 0},
                                         {0.35, 0.37, 0.47, 0.51, 0.78, 0},
                                         {0.7, 0.33, 0.82, 0.44, 0.08, 0},
                                         {0.43, 0.56, 0.55, 0.84, 0.87, 0},
                                         {0.31, 0.23, 0.52, 0.46, 0.9, 0},
                                         {0.59, 0.53, 0.75, 0.76, 0.94, 0},
                                         {0.39, 0.54, 0.66, 0.68, 0.06, 0},
                                         {0.51, 0.46, 0.65, 0.59, 0.17, 1},
                                         {0.21, 0.21, 0.41, 0.51, 0.32, 0}}};
const std::vector<Detections> kOwn = {{{0.22, 0.37, 0.42, 0.59, 0.35, 0},
                                       {0.1, 0.42, 0.31, 0.54, 0.07, 0},
                                       {0.33, 0.06, 0.57, 0.28, 0.06, 1},
                                       {0.08, 0.79, 0.27, 0.95, 0.06, 0},
                                       {0.56, 0.36, 0.84, 0.48, 0.33, 0},
                                       {0.51, 0.22, 0.64, 0.39, 0.55, 0},
                                       {0.24, 0.06, 0.39, 0.28, 0.63, 0},
                                       {0.04, 0.65, 0.28, 0.89, 0.05, 0},
                                       {0.65, 0.0, 0.91, 0.14, 0.98, 1},
                                       {0.26, 0.07, 0.51, 0.22, 0.2, 0},
                                       {0.23, 0.38, 0.43, 0.6, 0.34, 0},
                                       {0.11, 0.43, 0.32, 0.55, 0.06, 0}},
                                      {{0.19, 0.3, 0.37, 0.58, 0.35, 1},
                                       {0.23, 0.74, 0.34, 0.87, 0.07, 1},
                                       {0.02, 0.45, 0.22, 0.64, 0.06, 1},
                                       {0.51, 0.55, 0.8, 0.83, 0.04, 1},
                                       {0.25, 0.79, 0.48, 0.9, 0.03, 1},
                                       {0.48, 0.56, 0.62, 0.77, 0.08, 1},
                                       {0.05, 0.31, 0.24, 0.6, 0.15, 1},
                                       {0.19, 0.7, 0.39, 0.99, 0.16, 0},
                                       {0.29, 0.19, 0.42, 0.46, 0.14, 1},
                                       {0.68, 0.15, 0.9, 0.42, 0.35, 1},
                                       {0.2, 0.31, 0.38, 0.59, 0.34, 1},
                                       {0.24, 0.75, 0.35, 0.88, 0.06, 1}},
                                      {{0.23, 0.7, 0.49, 0.95, 0.35, 1},
                                       {0.6, 0.24, 0.84, 0.52, 0.07, 0},
                                       {0.22, 0.67, 0.32, 0.93, 0.06, 0},
                                       {0.34, 0.4, 0.48, 0.51, 0.84, 1},
                                       {0.7, 0.33, 0.83, 0.43, 0.08, 0},
                                       {0.44, 0.56, 0.56, 0.83, 0.93, 0},
                                       {0.3, 0.23, 0.52, 0.49, 0.93, 0},
                                       {0.58, 0.55, 0.76, 0.79, 0.91, 0},
                                       {0.4, 0.55, 0.64, 0.69, 0.34, 0},
                                       {0.54, 0.46, 0.65, 0.58, 0.33, 1},
                                       {0.24, 0.71, 0.5, 0.96, 0.34, 1},
                                       {0.61, 0.25, 0.85, 0.53, 0.06, 0}}};

/// Numbers of an independent program (NumPy, float64) for the detections above, before suppression, at threshold 0.35,
/// score ties in the order of frames, labels, detections.
TEST(AveragePrecision, EqualsAnIndependentReferee) {
  const std::vector<Detections> found = suppressed(kFound), own = suppressed(kOwn);
  std::vector<Target> targets = targets_from_own(own, 0.35);
  std::size_t kept = 0, sure = 0, ignored = 0;
  for (const Detections& frame : found) kept += frame.size();
  for (const Target& target : targets) {
    sure += target.sure.size();
    ignored += target.ignored.size();
  }
  EXPECT_EQ(kept, 33U);
  EXPECT_EQ(sure, 11U);
  EXPECT_EQ(ignored, 12U);
  EXPECT_NEAR(average_precision(found, targets), 0.8333333333333334, 1e-12);
  for (Target& target : targets) target.ignored.clear();
  EXPECT_NEAR(average_precision(found, targets), 0.7972582972582973, 1e-12);
}

/// Of a 90 % interval: the density of Student's t summed by the trapezoid rule.
double expanded_tail(std::size_t frames) {
  const double blocks =
      static_cast<double>(frames) / static_cast<double>(bootstrap_block(static_cast<std::int64_t>(frames)));
  const double freedom = std::max(1.0, blocks - 1);
  const double scale =
      std::tgamma((freedom + 1) / 2) / (std::sqrt(freedom * std::numbers::pi) * std::tgamma(freedom / 2));
  const auto density = [&](double t) { return scale * std::pow(1 + t * t / freedom, -(freedom + 1) / 2); };
  constexpr double kStep = 1e-5;
  double area = 0.5, quantile = 0;
  while (area < 0.95) {
    area += kStep / 2 * (density(quantile) + density(quantile + kStep));
    quantile += kStep;
  }
  quantile -= (area - 0.95) / density(quantile);
  return std::erfc(std::sqrt((freedom + 1) / freedom) * quantile / std::numbers::sqrt2) / 2;
}

TEST(Bootstrap, DrawsNeighboursTogether) {
  EXPECT_EQ(bootstrap_block(1), 1);
  EXPECT_EQ(bootstrap_block(19), 3);
  EXPECT_EQ(bootstrap_block(77), 4);
  EXPECT_EQ(bootstrap_block(1000), 10);
}

/// Frames of a resample: runs of neighbours that stay in the part (of `lengths`) that they begin in.
std::vector<std::size_t> drawn_in_parts(std::mt19937_64& random, const std::vector<std::int64_t>& lengths) {
  std::vector<std::vector<std::size_t>> parts;
  std::vector<std::size_t> part_of;
  for (const std::int64_t length : lengths) {
    std::vector<std::size_t>& part = parts.emplace_back();
    for (std::int64_t i = 0; i < length; ++i) {
      part.push_back(part_of.size());
      part_of.push_back(parts.size() - 1);
    }
  }
  const std::size_t all = part_of.size();
  std::vector<std::size_t> frames;
  while (frames.size() < all) {
    const std::size_t first = (random() >> 32) * all / 4294967296ULL;
    const std::vector<std::size_t>& part = parts[part_of[first]];
    std::size_t at = first - part.front();
    const auto block = static_cast<std::size_t>(bootstrap_block(static_cast<std::int64_t>(all)));
    for (std::size_t i = 0; i < std::min(block, part.size()) && frames.size() < all; ++i, at = (at + 1) % part.size())
      frames.push_back(part[at]);
  }
  std::sort(frames.begin(), frames.end());
  return frames;
}

/// Compares the interval of a random case with percentiles of its resamples.
/// @param lengths  of the parts; one number: one part
void expect_percentiles_of_resamples(std::uint64_t seed, const std::vector<Detections>& found,
                                     const std::vector<Target>& targets, const std::vector<std::int64_t>& lengths) {
  constexpr int kDraws = 60;
  std::mt19937_64 random(seed);
  std::vector<double> values;
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<Detections> drawn;
    std::vector<Target> drawn_targets;
    for (const std::size_t frame : drawn_in_parts(random, lengths)) {
      drawn.push_back(found[frame]);
      drawn_targets.push_back(targets[frame]);
    }
    values.push_back(naive_average_precision(drawn, drawn_targets));
  }
  std::sort(values.begin(), values.end());
  const Interval interval =
      bootstrap_interval(found, targets, 0.9, kDraws, seed, lengths.size() > 1 ? lengths : std::vector<std::int64_t>{});
  // Percentile of the expanded interval, by bisection on Student's t with few degrees of freedom (closed forms).
  const double suffix = expanded_tail(found.size());
  const double low = suffix * (kDraws - 1), high = (1 - suffix) * (kDraws - 1);
  const auto at = [&](double position) {
    const auto below = static_cast<std::size_t>(position);
    return std::lerp(values[below], values[std::min<std::size_t>(below + 1, kDraws - 1)],
                     position - std::floor(position));
  };
  // At least Wilson's interval: the roots of (p - value)^2 = z^2 p (1 - p) / n.
  double objects = 0;
  for (const Target& target : targets) objects += static_cast<double>(target.sure.size());
  const double n =
      std::max(1.0, objects / static_cast<double>(bootstrap_block(static_cast<std::int64_t>(found.size()))));
  const double value = average_precision(found, targets), zz = 1.6448536269514722 * 1.6448536269514722 / n;
  const double b = 2 * value + zz, root = std::sqrt(std::max(0.0, b * b - 4 * (1 + zz) * value * value));
  const double least = objects > 0 ? (b - root) / (2 * (1 + zz)) : 1,
               most = objects > 0 ? (b + root) / (2 * (1 + zz)) : 0;
  EXPECT_NEAR(interval.low, std::min(at(low), least), 1e-9);
  EXPECT_NEAR(interval.high, std::max(at(high), most), 1e-9);
}

TEST(Bootstrap, EqualsAveragePrecisionOfResampledFrames) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Case made = random_case(seed);
    expect_percentiles_of_resamples(seed, suppressed(made.found), targets_from_own(suppressed(made.own), 0.36),
                                    {std::ssize(made.found)});
  }
}

// Frames at the ends of two videos are no neighbours.
TEST(Bootstrap, DrawsNoRunOverTheEndOfAVideo) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Case made = random_case(seed);
    std::vector<std::int64_t> lengths;
    std::mt19937_64 random(seed + 100);
    for (auto left = std::ssize(made.found); left > 0; left -= lengths.back())
      lengths.push_back(1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(left)));
    expect_percentiles_of_resamples(seed, suppressed(made.found), targets_from_own(suppressed(made.own), 0.36),
                                    lengths);
  }
}

TEST(Bootstrap, DependsOnTheSeedOnly) {
  // Whole stretches of frames in which nothing is found: frames say more than the number of targets does.
  std::vector<Detections> found, own;
  for (int frame = 0; frame < 40; ++frame) {
    Detections& all = own.emplace_back();
    for (int i = 0; i < 20; ++i) all.push_back(box(2 * i, 0, 2 * i + 1, 1, 0.9 - 0.001 * frame - 0.01 * i));
    found.push_back(frame / 8 % 2 == 0 ? all : Detections{});
  }
  const std::vector<Target> targets = targets_from_own(own, 0.36);
  const Interval first = bootstrap_interval(found, targets, 0.9, 50, 5),
                 again = bootstrap_interval(found, targets, 0.9, 50, 5);
  const Interval other = bootstrap_interval(found, targets, 0.9, 50, 6);
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
  EXPECT_NE(first.low, other.low);
}

TEST(Bootstrap, WithoutFramesOrDrawsIsTheValueItself) {
  EXPECT_EQ(bootstrap_interval({}, {}).high, 0);
  const std::vector<Detections> own{{box(0, 0, 1, 1, 0.9)}};
  const Interval interval = bootstrap_interval(own, targets_from_own(own, 0.35), 0.9, 0);
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 1);
}

TEST(Bootstrap, MatchesOnceNotPerDraw) {
  // 77 frames of 2000 detections in 20 classes. Matching each draw anew would take over a hundred times as long.
  std::vector<Detections> found;
  for (int frame = 0; frame < 77; ++frame) {
    Detections& detections = found.emplace_back();
    for (int i = 0; i < 2000; ++i)
      detections.push_back(box(i, 0, i + 1, 1, 1.0 / (1 + (i * 7919 + frame) % 2003), i % 20));
  }
  const std::vector<Target> targets = targets_from_own(found, 0.002);
  // The processor's time: other programs beside this one take none of it.
  const std::clock_t start = std::clock();
  (void)average_precision(found, targets);
  const std::clock_t matched = std::clock();
  EXPECT_NEAR(bootstrap_interval(found, targets).high, 1.0, 1e-12);
  const std::clock_t drawn = std::clock();
  EXPECT_LT(drawn - matched, 60 * (matched - start) + 2 * CLOCKS_PER_SEC);
}

}  // namespace
}  // namespace repsim::verify
