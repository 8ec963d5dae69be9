// Trials of one candidate of two small fixtures: what is kept, and that nothing but time depends on prepare().
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/patches.hpp"
#include "repsim/trial.hpp"

namespace repsim::trial {
namespace {

using planner::Measurement;

class TrialEvaluator : public testing::Test {
 protected:
  TrialEvaluator() {
    test::write_avi(video_, 50, test::patches);
    session::SessionOptions options;
    for (const char* name : {"small", "wide"}) options.models.push_back({test::fixture_spec(name), "flags"});
    options.videos = {{video_}};
    session_.emplace(runtime_, options, silent_);
    std::vector<std::int64_t> frames(32);
    for (std::size_t i = 0; i < frames.size(); ++i) frames[i] = static_cast<std::int64_t>(i);
    const std::vector<session::FrameSet> sets{{frames}, {{34, 37, 40, 43, 46, 49}}};
    stores_ = session_->decode(sets, silent_);
    candidate_.cut = {1, {{layer(1, "shared.1"), 0, layer(0, "backbone.stage3.2")}}};
    candidate_.savings = {100'000, 100'000, 100'000, 100'000};
  }

  LayerIndex layer(ModelIndex model, const std::string& name) const {
    return graph::find_layer(session_->models[static_cast<std::size_t>(model)].prepared.program, name);
  }

  /// Fitter, measurer and evaluator, new for each use: nothing is kept from one to the next.
  struct Bench {
    Bench(const session::Session& session, const std::vector<capture::Stores>& stores, double target,
          Progress& progress)
        : calibration(session, stores[0], progress),
          measurer(session, stores[1], {0, 0, std::int64_t{1} << 28, {}}, progress),
          fitter(
              session, calibration, {}, [](const auto&, auto) { return std::vector<fit::DonorLayer>{}; }, progress),
          evaluator(fitter, measurer, {target, target}) {}
    CalibrationFrames calibration;
    Measurer measurer;
    Fitter fitter;
    Evaluator evaluator;
  };

  test::TempFolder folder_;
  const std::string video_ = (folder_ / "video.avi").string();
  const session::Runtime runtime_{{}};
  SilentProgress silent_;
  std::optional<session::Session> session_;
  std::vector<capture::Stores> stores_;
  planner::Candidate candidate_;
};

bool always(const planner::Savings&) { return true; }
bool never(const planner::Savings&) { return false; }

TEST_F(TrialEvaluator, AgreeFullyWhereNothingIsReplaced) {
  Bench bench(*session_, stores_, 0, silent_);
  EXPECT_EQ(bench.measurer.agreement(0, {}).fidelity, 1);
}

TEST_F(TrialEvaluator, AnIntervalWithEarlierFramesIsThatOfAllOfThem) {
  Bench bench(*session_, stores_, 0, silent_);
  const Measurement measurement = bench.evaluator.measure(candidate_, {}, always);
  const std::vector<graph::Splice> splices{bench.evaluator.share(measurement.share).fitted.splice};
  const std::vector<session::FrameSet> sets{{{34, 37, 40}}, {{43, 46, 49}}, {{34, 37, 40, 43, 46, 49}}};
  const std::vector<capture::Stores> parts = session_->decode(sets, silent_);
  const MeasuringOptions options{0.8, 0, 0};
  Measurer earlier(*session_, parts[0], options, silent_), later(*session_, parts[1], options, silent_),
      both(*session_, parts[2], options, silent_);
  const Agreement pooled = later.agreement_with(earlier, 1, splices), alone = later.agreement(1, splices);
  ASSERT_GT(alone.detections, 0);
  EXPECT_TRUE(pooled.is_pooled);
  EXPECT_EQ(pooled.fidelity, alone.fidelity);
  EXPECT_EQ(pooled.detections, alone.detections);
  EXPECT_DOUBLE_EQ(pooled.low, both.agreement(1, splices).low);
  EXPECT_NE(pooled.low, alone.low);
}

/// Frames 26 to 49, and the first run of them alone.
class EarlyEnds : public TrialEvaluator {
 protected:
  EarlyEnds() {
    std::vector<std::int64_t> all(24);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = 26 + static_cast<std::int64_t>(i);
    const std::vector<std::int64_t> first(all.begin(), all.begin() + kRun);
    const std::vector<session::FrameSet> sets{{all}, {first}};
    parts_ = session_->decode(sets, silent_);
    Bench bench(*session_, stores_, 0, silent_);
    const Measurement measurement = bench.evaluator.measure(candidate_, {}, always);
    splices_ = {bench.evaluator.share(measurement.share).fitted.splice};
  }

  static constexpr std::int64_t kRun = 16;
  std::vector<capture::Stores> parts_;
  std::vector<graph::Splice> splices_;
};

TEST_F(EarlyEnds, HaveTheFiguresOfTheFirstFrames) {
  const MeasuringOptions options{0.8, 0, 0};
  Measurer all(*session_, parts_[0], options, silent_), first(*session_, parts_[1], options, silent_);
  const Agreement early = all.agreement(1, splices_, EarlyEnd{.misses_below = 1.1});  // nothing reaches it
  const Agreement expected = first.agreement(1, splices_);
  EXPECT_EQ(early.decided_after, kRun);
  EXPECT_EQ(early.fidelity, expected.fidelity);
  EXPECT_EQ(early.low, expected.low);
  EXPECT_EQ(early.detections, expected.detections);
  EXPECT_EQ(expected.decided_after, 0);
}

TEST_F(EarlyEnds, AreNotWhereTheRestMayDecideOtherwise) {
  Measurer measurer(*session_, parts_[0], {0.8, 0, 0}, silent_);
  const Agreement full = measurer.agreement(1, splices_);
  ASSERT_TRUE(full.fidelity);
  const Agreement open = measurer.agreement(1, splices_, EarlyEnd{.misses_below = *full.fidelity});
  EXPECT_EQ(open.decided_after, 0);
  EXPECT_EQ(open.fidelity, full.fidelity);
  EXPECT_EQ(open.low, full.low);
}

TEST_F(EarlyEnds, OfWhatHoldsNeedThirtyDetectionsAndAnIntervalThatReaches) {
  Measurer measurer(*session_, parts_[0], {0.8, 0, 0}, silent_), first(*session_, parts_[1], {0.8, 0, 0}, silent_),
      whole(*session_, parts_[0], {.confidence = 0.8, .holds_early = false}, silent_);
  const Agreement of_first = first.agreement(1, splices_);
  ASSERT_GE(of_first.detections, 30);
  EXPECT_EQ(measurer.agreement(1, splices_, EarlyEnd{.holds_from = of_first.low}).decided_after, kRun);
  EXPECT_EQ(measurer.agreement(1, splices_, EarlyEnd{.holds_from = of_first.low + 0.001}).decided_after, 0);
  EXPECT_EQ(whole.agreement(1, splices_, EarlyEnd{.holds_from = of_first.low}).decided_after, 0);
}

TEST_F(TrialEvaluator, FitNoCorrectionsForACandidateThatReachesItsTarget) {
  Bench bench(*session_, stores_, 0, silent_);
  const Measurement measurement = bench.evaluator.measure(candidate_, {}, always);
  EXPECT_EQ(measurement.savings, candidate_.savings);
  EXPECT_EQ(measurement.max_gain, 0);  // so few frames that a trial sees all
  EXPECT_FALSE(measurement.low);
  EXPECT_FALSE(measurement.deferred_savings);
  const FittedShare& share = bench.evaluator.share(measurement.share);
  EXPECT_EQ(share.attachment.rank, 0);
  EXPECT_EQ(share.attachment.cut, candidate_.cut);
  const std::vector<graph::Splice> splices{share.fitted.splice};
  EXPECT_EQ(bench.measurer.agreement(1, splices).fidelity, measurement.fidelity);
}

TEST_F(TrialEvaluator, FitCorrectionsWhereTheTargetIsMissedByLittle) {
  Bench first(*session_, stores_, 0, silent_);
  const double plain = first.evaluator.measure(candidate_, {}, always).fidelity;
  ASSERT_LT(plain, 0.99);
  Bench bench(*session_, stores_, plain + 0.01, silent_);
  const Measurement measurement = bench.evaluator.measure(candidate_, {}, always);
  EXPECT_GE(measurement.fidelity, plain);
  const FittedShare& share = bench.evaluator.share(measurement.share);
  EXPECT_EQ(share.attachment.rank == 0, measurement.savings == candidate_.savings);
  if (share.attachment.rank > 0) {
    EXPECT_LT(measurement.savings.bytes, candidate_.savings.bytes);
  }
}

TEST_F(TrialEvaluator, AreDeferredWhereCorrectionsAreNotWorthFitting) {
  Bench first(*session_, stores_, 0, silent_);
  const double plain = first.evaluator.measure(candidate_, {}, always).fidelity;
  Bench bench(*session_, stores_, plain + 0.01, silent_);
  const Measurement measurement = bench.evaluator.measure(candidate_, {}, never);
  EXPECT_EQ(measurement.fidelity, plain);
  ASSERT_TRUE(measurement.deferred_savings);
  EXPECT_LT(measurement.deferred_savings->bytes, candidate_.savings.bytes);
}

TEST_F(TrialEvaluator, MeasureTheSameWithAndWithoutPreparation) {
  Bench alone(*session_, stores_, 0, silent_), prepared(*session_, stores_, 0, silent_);
  const std::vector<planner::Candidate> candidates{candidate_, candidate_};
  EXPECT_FALSE(prepared.evaluator.prepared(candidate_));
  prepared.evaluator.prepare(candidates);
  EXPECT_TRUE(prepared.evaluator.prepared(candidate_));
  const Measurement one = alone.evaluator.measure(candidate_, {}, always),
                    other = prepared.evaluator.measure(candidate_, {}, always);
  EXPECT_EQ(one.fidelity, other.fidelity);
}

TEST_F(TrialEvaluator, CompleteAShareAsAnotherShare) {
  Bench bench(*session_, stores_, 0, silent_);
  const Measurement tried = bench.evaluator.measure(candidate_, {}, always);
  const Measurement complete = bench.evaluator.complete(tried.share, {});
  EXPECT_NE(complete.share, tried.share);
  EXPECT_EQ(complete.max_gain, 0);
  EXPECT_EQ(complete.savings, tried.savings);
}

}  // namespace
}  // namespace repsim::trial
