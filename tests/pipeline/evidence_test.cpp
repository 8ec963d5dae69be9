// Which further frames repsim looks at where models find little, and which of them it adds to which part of the video.
#include "../../src/pipeline/evidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "video/small_video.hpp"

namespace repsim::pipeline {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::IsEmpty;
using testing::Lt;
using Frames = std::vector<std::int64_t>;

TEST(FramesBetween, AreEvenlySpreadOverWhatWasNotSeen) {
  EXPECT_THAT(frames_between({{0, 10}}, {}, 2), ElementsAre(2, 7));
  EXPECT_THAT(frames_between({{10, 20}}, {}, 5), ElementsAre(11, 13, 15, 17, 19));
  EXPECT_THAT(frames_between({{0, 10}}, {0, 2, 4, 6, 8}, 2), ElementsAre(3, 7));
  EXPECT_THAT(frames_between({{0, 5}, {10, 15}}, {}, 2), ElementsAre(2, 12));
  EXPECT_THAT(frames_between({{0, 3}, {10, 13}}, {1, 11}, 9), ElementsAre(0, 2, 10, 12));
}

TEST(FramesBetween, AreAllThatAreLeftWhereThereAreNoMore) {
  EXPECT_THAT(frames_between({{3, 8}}, {4, 6}, 3), ElementsAre(3, 5, 7));
  EXPECT_THAT(frames_between({{3, 8}}, {4, 6}, 100), ElementsAre(3, 5, 7));
  EXPECT_THAT(frames_between({{3, 6}}, {3, 4, 5}, 2), IsEmpty());
  EXPECT_THAT(frames_between({{3, 3}}, {}, 2), IsEmpty());
  EXPECT_THAT(frames_between({{0, 10}}, {}, 0), IsEmpty());
}

TEST(FramesBetween, SeeEachFrameOnceInGrowingSteps) {
  Frames seen{5, 6, 20};
  for (std::int64_t step = 3; seen.size() < 40; step *= 2) {
    const Frames next = frames_between({{0, 40}}, seen, step);
    ASSERT_FALSE(next.empty());
    EXPECT_TRUE(std::is_sorted(next.begin(), next.end()));
    for (const std::int64_t frame : next) EXPECT_EQ(std::count(seen.begin(), seen.end(), frame), 0) << frame;
    seen.insert(seen.end(), next.begin(), next.end());
    std::sort(seen.begin(), seen.end());
  }
  Frames all(40);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(seen, all);
}

/// Sightings of one detection each.
std::vector<Sighting> one_each(std::int64_t count) {
  std::vector<Sighting> sightings;
  for (std::int64_t i = 0; i < count; ++i) sightings.push_back({10 * i, 1});
  return sightings;
}

TEST(SpreadOver, TakesAsFewAsAreEnoughSpreadEvenly) {
  EXPECT_THAT(spread_over(one_each(16), 1), ElementsAre(80));
  EXPECT_THAT(spread_over(one_each(16), 2), ElementsAre(40, 120));
  EXPECT_THAT(spread_over(one_each(16), 3), ElementsAre(20, 60, 100, 140));
}

TEST(SpreadOver, CountsDetectionsAndNotFrames) {
  EXPECT_THAT(spread_over({{0, 1}, {1, 1}, {2, 9}, {3, 1}}, 9), ElementsAre(2));
  EXPECT_THAT(spread_over({{0, 9}, {1, 1}, {2, 1}, {3, 1}}, 9), ElementsAre(0, 1, 2, 3));
}

TEST(SpreadOver, TakesAllWhereTheyAreTooFew) {
  EXPECT_THAT(spread_over(one_each(3), 30), ElementsAre(0, 10, 20));
  EXPECT_THAT(spread_over({}, 30), IsEmpty());
}

// The number doubles, so it is below twice the least that spread evenly would do.
TEST(SpreadOver, TakesFewerThanTwiceAsManyAsItNeeds) {
  for (std::int64_t available = 1; available <= 70; ++available) {
    for (std::int64_t wanted = 1; wanted <= available; ++wanted) {
      const Frames frames = spread_over(one_each(available), wanted);
      EXPECT_GE(static_cast<std::int64_t>(frames.size()), wanted);
      EXPECT_LT(static_cast<std::int64_t>(frames.size()), 2 * wanted);
      EXPECT_EQ(std::set(frames.begin(), frames.end()).size(), frames.size());
    }
  }
}

constexpr std::int64_t kVideoFrames = 160;
enum Colour { kBlue = 0, kGreen = 1, kRed = 2 };

/// Models that find one object on frames of their colour, and nothing on others.
class Evidence : public testing::Test {
 protected:
  /// Writes a video with these frames of each colour, and opens one model per colour.
  /// @param border  the frame with which a second video begins; 0: there is one video
  void open(const std::vector<Colour>& colours, const std::map<Colour, std::set<std::int64_t>>& coloured,
            std::int64_t border = 0) {
    const auto write = [&](const std::string& name, std::int64_t first, std::int64_t end) {
      test::write_avi(folder_ / name, end - first, [&](std::int64_t index) {
        cv::Scalar level = cv::Scalar::all(20);
        for (const auto& [colour, frames] : coloured) {
          if (frames.count(first + index) > 0) level[colour] = 230;
        }
        return cv::Mat(test::kVideoHeight, test::kVideoWidth, CV_8UC3, level);
      });
    };
    write("video.avi", border, kVideoFrames);
    if (border > 0) write("first.avi", 0, border);
    session::SessionOptions options;
    for (const Colour colour : colours) options.models.push_back({finder_of(colour), "flags"});
    if (border > 0) options.videos = {{(folder_ / "first.avi").string(), "first"}};
    options.videos.push_back({(folder_ / "video.avi").string(), "video"});
    session_.emplace(runtime_, options, silent_);
    for (std::size_t i = 0; i < colours.size(); ++i) options_.models.push_back(static_cast<ModelIndex>(i));
  }

  model::ModelSpec finder_of(Colour colour) {
    const std::string name = "finder" + std::to_string(options_.models.size()) + std::to_string(colour);
    torch::jit::Module module("__torch__.finder");
    module.register_attribute("training", c10::BoolType::get(), false);
    module.register_parameter("box", at::tensor({0.2F, 0.2F, 0.6F, 0.8F}).view({1, 1, 4}), false);
    module.define("def forward(self, x):\n  level = x[:, " + std::to_string(colour) +
                  "].mean([1, 2]).unsqueeze(1)\n"
                  "  return (self.box.expand([level.size(0), 1, 4]), level, torch.zeros_like(level, dtype=4))\n");
    module.eval();
    module.save((folder_ / (name + ".pt")).string());
    model::ModelSpec spec{name, (folder_ / (name + ".pt")).string(), test::fixture_input(), {}};
    spec.output.format = model::OutputFormat::kBoxesScoresLabels;
    spec.output.boxes = model::BoxUnits::kRelative;
    return spec;
  }

  EvidentFrames find(const PlanFrames& frames) {
    const std::vector<session::FrameSet> sets{{frames.calibration}, {frames.selection}, {frames.test}};
    std::vector<capture::Stores> stores = session_->decode(sets, silent_);
    const HoldoutStores holdout{std::move(stores[1]), std::move(stores[2]), {}};
    return find_evidence(*session_, frames, stores[0], holdout, options_, silent_);
  }

  test::TempFolder folder_;
  const session::Runtime runtime_{{}};
  SilentProgress silent_;
  std::optional<session::Session> session_;
  EvidenceOptions options_{[](ModelIndex, std::int64_t) { return 4; }, 512, {}, {}};
};

Frames every(std::int64_t step, std::int64_t first, std::int64_t last) {
  Frames frames;
  for (std::int64_t frame = first; frame < last; frame += step) frames.push_back(frame);
  return frames;
}
std::set<std::int64_t> set_of(const Frames& frames) { return {frames.begin(), frames.end()}; }

/// Frames of `after` that are not in `before`.
Frames added(const Frames& before, const Frames& after) {
  Frames result;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(result));
  return result;
}

/// Every tenth frame: 0 to 70 calibrate, 80 to 110 select, 120 to 150 test.
const PlanFrames kSampled{every(10, 0, 80), every(10, 80, 120), every(10, 120, 160)};

TEST_F(Evidence, LooksNoFurtherWhereTheSampledFramesHaveEnough) {
  open({kBlue}, {{kBlue, set_of(every(10, 0, kVideoFrames))}});
  const EvidentFrames found = find(kSampled);
  EXPECT_FALSE(found.grew(kSampled));
  ASSERT_TRUE(found.evidence[0]);
  EXPECT_EQ(found.evidence[0]->selection.detections, 4);
  EXPECT_EQ(found.evidence[0]->test.detections, 4);
  EXPECT_EQ(found.evidence[0]->selection.scanned, 0);
  EXPECT_EQ(found.evidence[0]->test.scanned, 0);
  EXPECT_FALSE(found.evidence[0]->calibration);
  EXPECT_TRUE(found.evidence[0]->is_enough());
}

TEST_F(Evidence, AddsFramesOfThePartThatIsShort) {
  // Something is to be found on three frames of ten, never on a sampled one of the test part.
  Frames seen = every(10, 0, 120);
  for (std::int64_t frame = 3; frame < kVideoFrames; frame += 10)
    seen.insert(seen.end(), {frame, frame + 1, frame + 2});
  open({kBlue}, {{kBlue, set_of(seen)}});
  const EvidentFrames found = find(kSampled);
  EXPECT_EQ(found.frames.selection, kSampled.selection);  // it has enough
  const Frames test = added(kSampled.test, found.frames.test);
  EXPECT_THAT(test, testing::SizeIs(testing::AllOf(Ge(4U), Lt(8U))));
  EXPECT_THAT(test, Each(Ge(120)));
  for (const std::int64_t frame : test) EXPECT_EQ(set_of(seen).count(frame), 1U) << "nothing is found on " << frame;
  EXPECT_EQ(found.evidence[0]->test.detections, static_cast<std::int64_t>(test.size()));
  EXPECT_EQ(found.evidence[0]->test.frames, static_cast<std::int64_t>(found.frames.test.size()));
  EXPECT_TRUE(found.evidence[0]->is_enough());
  ASSERT_TRUE(found.evidence[0]->calibration);
  EXPECT_EQ(found.evidence[0]->calibration->detections, 8);  // on the sampled frames, so none is added
  EXPECT_EQ(found.frames.calibration, kSampled.calibration);
}

TEST_F(Evidence, KeepsThePartsApart) {
  // Nothing on sampled frames. Each part ends with its last sampled frame: 70, 110 and the end of the video.
  Frames seen;
  for (std::int64_t frame = 0; frame < kVideoFrames; ++frame) {
    if (frame % 10 != 0) seen.push_back(frame);
  }
  open({kBlue}, {{kBlue, set_of(seen)}});
  options_.wanted = [](ModelIndex, std::int64_t) { return 1000; };  // as many as there are
  const EvidentFrames found = find(kSampled);
  EXPECT_EQ(found.frames.calibration, every(1, 0, 71));
  EXPECT_EQ(found.frames.selection, every(1, 80, 111));
  EXPECT_EQ(found.frames.test, every(1, 120, 160));
  EXPECT_FALSE(found.evidence[0]->is_enough());
  EXPECT_EQ(found.evidence[0]->test.scanned, 36);  // the video ends before the bound
}

TEST_F(Evidence, KeepsThePartsOfEachVideoApart) {
  // Frames 0 to 99 are one video, 100 to 159 another. Nothing on sampled frames.
  const PlanFrames sampled{{0, 10, 20, 100, 110}, {50, 60, 130}, {80, 90, 150}};
  const std::set<std::int64_t> all{0, 10, 20, 50, 60, 80, 90, 100, 110, 130, 150};
  std::set<std::int64_t> seen;
  for (std::int64_t frame = 0; frame < kVideoFrames; ++frame) {
    if (all.count(frame) == 0) seen.insert(frame);
  }
  open({kBlue}, {{kBlue, seen}}, 100);
  options_.wanted = [](ModelIndex, std::int64_t) { return 1000; };  // as many as there are
  const EvidentFrames found = find(sampled);
  const auto joined = [](Frames first, const Frames& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  };
  EXPECT_EQ(found.frames.calibration, joined(every(1, 0, 21), every(1, 100, 111)));
  EXPECT_EQ(found.frames.selection, joined(every(1, 50, 61), {130}));
  EXPECT_EQ(found.frames.test, joined(every(1, 80, 100), every(1, 150, 160)));
  EXPECT_EQ(found.evidence[0]->test.detections, 27);
}

TEST_F(Evidence, LooksAtNoMoreFramesThanItMay) {
  open({kBlue}, {});
  options_.scan_frames = 20;
  const EvidentFrames found = find(kSampled);
  EXPECT_FALSE(found.grew(kSampled));
  EXPECT_EQ(found.evidence[0]->calibration->scanned, 20);
  EXPECT_EQ(found.evidence[0]->selection.scanned, 20);
  EXPECT_EQ(found.evidence[0]->test.scanned, 20);
  EXPECT_EQ(found.evidence[0]->test.detections, 0);
  EXPECT_FALSE(found.evidence[0]->is_enough());
}

TEST_F(Evidence, LooksAtNoneWhereItMayNot) {
  open({kBlue}, {{kBlue, set_of(every(1, 121, 130))}});
  options_.scan_frames = 0;
  const EvidentFrames found = find(kSampled);
  EXPECT_FALSE(found.grew(kSampled));
  EXPECT_EQ(found.evidence[0]->test.scanned, 0);
}

TEST_F(Evidence, StopsWhereItHasFoundEnough) {
  // On every frame that is not sampled: the first step, as many as the part has, is enough.
  Frames seen;
  for (std::int64_t frame = 0; frame < kVideoFrames; ++frame) {
    if (frame % 10 != 0) seen.push_back(frame);
  }
  open({kBlue}, {{kBlue, set_of(seen)}});
  const EvidentFrames found = find(kSampled);
  EXPECT_EQ(found.evidence[0]->test.scanned, 4);
  EXPECT_EQ(found.evidence[0]->test.detections, 4);
}

TEST_F(Evidence, CountsForAModelTheFramesThatAnotherOneAdded) {
  // Blue is found on all sampled frames, red on none of the test part; the third model finds nothing at all.
  open({kBlue, kRed, kGreen}, {{kBlue, set_of(every(10, 0, kVideoFrames))}, {kRed, set_of([] {
                                                                               Frames red = every(10, 0, 120);
                                                                               for (std::int64_t frame = 122;
                                                                                    frame < kVideoFrames; frame += 3)
                                                                                 red.push_back(frame);
                                                                               return red;
                                                                             }())}});
  const EvidentFrames found = find(kSampled);
  EXPECT_EQ(found.evidence[0]->test.scanned, 0);
  EXPECT_EQ(found.evidence[0]->test.detections, 4);
  EXPECT_GT(found.evidence[1]->test.scanned, 0);
  EXPECT_GE(found.evidence[1]->test.detections, 4);
  // The model that finds nothing was run on further frames of every part, and adds none of them.
  EXPECT_EQ(found.evidence[2]->test.detections, 0);
  EXPECT_EQ(found.frames.selection, kSampled.selection);
  for (const std::optional<report::ModelEvidence>& one : found.evidence)
    EXPECT_EQ(one->test.frames, static_cast<std::int64_t>(found.frames.test.size()));
}

TEST_F(Evidence, OfModelsThatNeverReceiveIsNotCounted) {
  open({kBlue, kRed}, {});
  options_.models = {1};
  const EvidentFrames found = find(kSampled);
  EXPECT_FALSE(found.evidence[0]);
  EXPECT_TRUE(found.evidence[1]);
}

TEST_F(Evidence, SaysWhichModelsMayShareOnLess) {
  open({kBlue, kRed}, {});
  options_.accepted = {session_->models[1].name()};
  options_.scan_frames = 0;
  const EvidentFrames found = find(kSampled);
  EXPECT_FALSE(found.evidence[0]->accepted);
  EXPECT_TRUE(found.evidence[1]->accepted);
}

TEST_F(Evidence, LooksThroughTheRestOfTheVideoWhereTheSameFramesSelectAndJudge) {
  open({kBlue}, {{kBlue, {155, 157, 158, 159}}});
  const PlanFrames frames{every(10, 0, 80), every(10, 80, 150), every(10, 80, 150)};
  const EvidentFrames found = find(frames);
  EXPECT_THAT(added(frames.test, found.frames.test), ElementsAre(155, 157, 158, 159));
  EXPECT_EQ(found.frames.selection, found.frames.test);
}

}  // namespace
}  // namespace repsim::pipeline
