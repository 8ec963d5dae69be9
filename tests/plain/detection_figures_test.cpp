// Numbers of boxes that were kept, missed and made up, and boxes that are none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "plain/random_detections.hpp"
#include "repsim/base/error.hpp"

namespace repsim::verify {
namespace {

using testing::ElementsAre;
using Frame = DetectionFigures::Frame;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();

MATCHER_P(IsBox, expected, "") { return same(arg, expected); }
MATCHER_P3(At, position, missed, false_alarms, "") {
  return arg.position == position && arg.missed == missed && arg.false_alarms == false_alarms;
}

/// Repeated choice of the best detection that is left, in all classes at once.
Frame naive_frame(Detections found, Detections free, const Detections& ignored, double threshold) {
  Frame result;
  while (true) {
    auto best = found.end();
    for (auto d = found.begin(); d != found.end(); ++d) {
      if (d->score >= threshold && (best == found.end() || d->score > best->score)) best = d;
    }
    if (best == found.end()) break;
    const Detection chosen = *best;
    found.erase(best);
    auto met = free.end();
    for (auto target = free.begin(); target != free.end(); ++target) {
      if (target->label != chosen.label || naive_iou(*target, chosen) < 0.5) continue;
      if (met == free.end() || naive_iou(*target, chosen) > naive_iou(*met, chosen)) met = target;
    }
    if (met != free.end()) {
      free.erase(met);
      continue;
    }
    bool doubtful = false;
    for (const Detection& unsure : ignored) {
      doubtful = doubtful || (unsure.label == chosen.label && naive_iou(unsure, chosen) >= 0.5);
    }
    if (!doubtful) ++result.false_alarms;
  }
  result.missed = static_cast<std::int64_t>(free.size());
  return result;
}

TEST(DetectionFigures, EqualRepeatedSelectionOnRandomDetections) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Case made = random_case(seed);
    const std::vector<Detections> found = suppressed(made.found);
    const std::vector<Target> targets = targets_from_own(suppressed(made.own), 0.36);
    const DetectionFigures figures = detection_figures(found, targets, 0.36, 2);
    std::int64_t own = 0, missed = 0, false_alarms = 0;
    std::vector<Frame> frames;
    for (std::size_t i = 0; i < found.size(); ++i) {
      Frame frame = naive_frame(found[i], targets[i].sure, targets[i].ignored, 0.36);
      frame.position = static_cast<std::int64_t>(i);
      own += static_cast<std::int64_t>(targets[i].sure.size());
      missed += frame.missed;
      false_alarms += frame.false_alarms;
      frames.push_back(frame);
    }
    EXPECT_EQ(figures.own, own);
    EXPECT_EQ(figures.kept, own - missed);
    EXPECT_EQ(figures.false_alarms, false_alarms);
    // Position by position, the frame that beats all that are left.
    for (const Frame& listed : figures.worst) {
      auto worst = frames.begin();
      for (auto f = frames.begin(); f != frames.end(); ++f) {
        if (f->missed + f->false_alarms > worst->missed + worst->false_alarms) worst = f;
      }
      EXPECT_THAT(listed, At(worst->position, worst->missed, worst->false_alarms));
      EXPECT_GT(listed.missed + listed.false_alarms, 0);
      frames.erase(worst);
    }
    const auto wrong = std::count_if(frames.begin(), frames.end(),
                                     [](const Frame& frame) { return frame.missed + frame.false_alarms > 0; });
    EXPECT_TRUE(figures.worst.size() == 2 || wrong == 0);
  }
}

TEST(FrameBoxes, AreWhatTheFiguresCountOnRandomDetections) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Case made = random_case(seed);
    const std::vector<Detections> found = suppressed(made.found);
    const std::vector<Target> targets = targets_from_own(suppressed(made.own), 0.36);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const Frame expected = naive_frame(found[i], targets[i].sure, targets[i].ignored, 0.36);
      const FrameBoxes boxes = frame_boxes(found[i], targets[i], 0.36);
      EXPECT_EQ(static_cast<std::int64_t>(boxes.missed.size()), expected.missed);
      EXPECT_EQ(static_cast<std::int64_t>(boxes.false_alarms.size()), expected.false_alarms);
      EXPECT_EQ(boxes.kept.size() + boxes.missed.size(), targets[i].sure.size());
    }
  }
}

TEST(FrameBoxes, ArePairedWithTheTargetThatOverlapsMost) {
  const Detection near = box(0, 0, 1, 1, 0.9), far = box(0.25, 0, 1.25, 1, 0.8);
  const FrameBoxes boxes = frame_boxes({box(0.24, 0, 1.24, 1, 0.7)}, {{near, far}, {}}, 0.35);
  EXPECT_THAT(boxes.kept, ElementsAre(IsBox(far)));
  EXPECT_THAT(boxes.missed, ElementsAre(IsBox(near)));
}

TEST(DetectionFigures, CountOnlyDetectionsFromTheThresholdOn) {
  const Detection target = box(0, 0, 1, 1, 0.9), elsewhere = box(5, 5, 6, 6, 0.9);
  const auto weak = [](Detection detection, double score) {
    detection.score = score;
    return detection;
  };
  const std::vector<Target> targets{{{target}, {}}};
  const auto figures = [&](const Detections& found) {
    return detection_figures(std::vector<Detections>{found}, targets, 0.35);
  };
  EXPECT_EQ(figures({weak(target, 0.34)}).kept, 0);
  EXPECT_EQ(figures({weak(target, static_cast<double>(0.35F))}).kept, 1);
  EXPECT_EQ(figures({weak(elsewhere, 0.34)}).false_alarms, 0);
  EXPECT_EQ(figures({weak(elsewhere, 0.36)}).false_alarms, 1);
}

TEST(DetectionFigures, ListTheWorstFramesFirst) {
  const Detection a = box(0, 0, 1, 1, 0.9), b = box(2, 0, 3, 1, 0.8), alarm = box(5, 5, 6, 6, 0.7);
  const std::vector<Target> targets{{{a}, {}}, {{a, b}, {}}, {{a}, {}}, {{a, b}, {}}, {{}, {}}};
  const std::vector<Detections> found{{a, alarm}, {alarm}, {a}, {}, {}};
  const DetectionFigures figures = detection_figures(found, targets, 0.35);
  EXPECT_EQ(figures.own, 6);
  EXPECT_EQ(figures.kept, 2);
  EXPECT_EQ(figures.false_alarms, 2);
  EXPECT_THAT(figures.worst, ElementsAre(At(1, 2, 1), At(3, 2, 0), At(0, 0, 1)));
  EXPECT_THAT(detection_figures(found, targets, 0.35, 1).worst, ElementsAre(At(1, 2, 1)));
  EXPECT_THAT(detection_figures(found, targets, 0.35, 0).worst, ElementsAre());
}

TEST(DetectionFigures, OfNothingAreZero) {
  const DetectionFigures figures = detection_figures({}, {}, 0.35);
  EXPECT_EQ(figures.own, 0);
  EXPECT_TRUE(figures.worst.empty());
  EXPECT_THROW((void)detection_figures(std::vector<Detections>(2), std::vector<Target>(3), 0.35), Error);
}

TEST(Moments, AreAsManyFramesAsCanBeChosenApart) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const std::size_t count = random() % 11;
    std::vector<std::int64_t> frames(count);
    std::vector<Target> targets(count);
    for (std::size_t i = 0; i < count; ++i) {
      frames[i] = static_cast<std::int64_t>(random() % 40);
      if (random() % 3 != 0) targets[i].sure.push_back(box(0, 0, 1, 1, 0.9));
      if (random() % 2 != 0) targets[i].ignored.push_back(box(0, 0, 1, 1, 0.1));
    }
    const auto gap = static_cast<std::int64_t>(1 + random() % 8);
    std::int64_t most = 0;
    for (std::uint64_t chosen = 0; chosen < (1ULL << count); ++chosen) {
      std::int64_t size = 0;
      bool fine = true;
      for (std::size_t i = 0; i < count; ++i) {
        if ((chosen >> i & 1) == 0) continue;
        ++size;
        fine = fine && !targets[i].sure.empty();
        for (std::size_t k = 0; k < i; ++k) {
          if ((chosen >> k & 1) != 0) fine = fine && std::abs(frames[i] - frames[k]) >= gap;
        }
      }
      if (fine) most = std::max(most, size);
    }
    EXPECT_EQ(moments(targets, frames, gap), most);
  }
}

TEST(Moments, OfTheSameFrameAreOneWhateverTheGap) {
  const std::vector<Target> targets(3, Target{{box(0, 0, 1, 1, 0.9)}, {}});
  EXPECT_EQ(moments(targets, std::vector<std::int64_t>{4, 4, 5}, 0), 2);
  EXPECT_EQ(moments(targets, std::vector<std::int64_t>{-9, 4, 5}, -3), 3);
  EXPECT_THROW((void)moments(targets, std::vector<std::int64_t>(2), 1), Error);
}

const std::vector<Detection> kWithoutArea{
    box(0.5, 0.5, 0.5, 0.5, 0.9), box(0.2, 0.5, 0.4, 0.5, 0.9),  box(0.5, 0.2, 0.5, 0.4, 0.9),
    box(0.4, 0.2, 0.2, 0.4, 0.9), box(0.2, 0.4, 0.4, 0.2, 0.9),  box(0.4, 0.4, 0.2, 0.2, 0.9),
    box(kNaN, 0, 1, 1, 0.9),      box(0, kNaN, 1, 1, 0.9),       box(0, 0, kNaN, 1, 0.9),
    box(0, 0, 1, kNaN, 0.9),      box(-kInfinity, 0, 1, 1, 0.9), box(0, -kInfinity, 1, 1, 0.9),
    box(0, 0, kInfinity, 1, 0.9), box(0, 0, 1, kInfinity, 0.9)};

TEST(BoxesWithoutArea, AreTheDegenerateReversedAndInfiniteOnes) {
  for (const Detection& one : kWithoutArea) EXPECT_FALSE(has_area(one)) << one.x1 << " " << one.y1 << " " << one.x2;
  EXPECT_TRUE(has_area(box(0.2, 0.2, 0.4, 0.4, kNaN)));
  EXPECT_TRUE(has_area(box(-3, -2, -1, -1, 0)));
}

/// Frames with as many objects side by side, each moved by `step` times its width from frame to frame.
std::vector<Target> moving(std::size_t frames, int objects, double step) {
  std::vector<Target> targets(frames);
  for (std::size_t i = 0; i < frames; ++i) {
    for (int k = 0; k < objects; ++k) {
      const double x = 2 * k + step * static_cast<double>(i);
      targets[i].sure.push_back(box(x, 0, x + 1, 1, 0.9));
    }
  }
  return targets;
}

TEST(StandingStill, IsThePartOfTheObjectsThatDoNotMove) {
  EXPECT_EQ(standing_still(moving(10, 3, 0)), 1);
  EXPECT_EQ(standing_still(moving(10, 3, 0.1)), 0) << "half a width in five frames";
  EXPECT_EQ(standing_still(moving(10, 3, 0.001)), 1) << "a camera that trembles";
  std::vector<Target> mixed = moving(8, 2, 0);
  for (std::size_t i = 0; i < mixed.size(); ++i)
    mixed[i].sure.push_back(box(100.0 + static_cast<double>(i), 0, 100.5 + static_cast<double>(i), 1, 0.9));
  EXPECT_NEAR(standing_still(mixed), 2.0 / 3, 1e-12);
}

TEST(StandingStill, TellsLabelsApart) {
  std::vector<Target> targets = moving(10, 3, 0);
  for (std::size_t i = 0; i < 5; ++i) {
    for (Detection& one : targets[i].sure) one.label = 1;
  }
  EXPECT_EQ(standing_still(targets), 0);
}

TEST(StandingStill, SaysNothingOfFewFramesOrObjects) {
  EXPECT_EQ(standing_still(moving(3, 9, 0)), 0);
  EXPECT_EQ(standing_still(moving(4, 2, 0)), 0);
  EXPECT_EQ(standing_still(moving(4, 3, 0)), 1);
  EXPECT_EQ(standing_still({}), 0);
}

TEST(BoxesWithoutArea, AreDroppedAndCountedFromTheLeastScoreOn) {
  const Detection first = box(0, 0, 1, 1, 0.5), second = box(2, 0, 3, 1, 0.001);
  Detections detections{first,
                        box(1, 1, 1, 1, 0.9),
                        box(1, 1, 1, 1, 0.009),
                        box(1, 1, 1, 1, kNaN),
                        box(1, 1, 1, 2, static_cast<double>(0.01F)),
                        second};
  EXPECT_EQ(drop_boxes_without_area(detections), 2);
  EXPECT_THAT(detections, ElementsAre(IsBox(first), IsBox(second)));
  EXPECT_EQ(drop_boxes_without_area(detections), 0);
}

TEST(BoxesWithoutArea, OverlapNothingNotEvenThemselves) {
  const Detection whole = box(0, 0, 1, 1, 0.95);
  for (const Detection& one : kWithoutArea) {
    SCOPED_TRACE(std::to_string(one.x1) + " " + std::to_string(one.y1) + " " + std::to_string(one.x2));
    EXPECT_EQ(suppress({one, one, whole}).size(), 3U);
    EXPECT_EQ(average_precision(std::vector<Detections>{{one}}, std::vector<Target>{{{one}, {}}}), 0);
    EXPECT_EQ(average_precision(std::vector<Detections>{{one}}, std::vector<Target>{{{whole}, {}}}), 0);
  }
  EXPECT_EQ(suppress(kWithoutArea).size(), kWithoutArea.size());
}

}  // namespace
}  // namespace repsim::verify
