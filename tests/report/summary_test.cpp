#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "report/golden.hpp"
#include "report/sample_plan.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Summary, IsStableText) {
  test::expect_golden("summary.txt", summary(sample_plan()));
  test::expect_golden("summary_mixed_donors.txt", summary(sample_plan_of_mixed_donors()));
  test::expect_golden("summary_no_shares.txt", summary(sample_plan_without_shares()));
}

int characters(const std::string& line) {
  int count = 0;
  for (const char c : line) count += (static_cast<unsigned char>(c) & 0xC0U) == 0x80U ? 0 : 1;
  return count;
}

TEST(Summary, HasAtMost100ColumnsWhateverTheNames) {
  Plan plan = sample_plan();
  std::string endless;
  for (int i = 0; i < 60; ++i) endless += "\xC3\xA4rm.\xE5\xB1\xA4.";  // two and three bytes a character
  plan.models[0].name = plan.shares[0].receiver = plan.candidates[0].receiver = endless;
  plan.shares[0].replaced[0].receiver_layer = plan.shares[0].replaced[0].donor_layer = endless;
  plan.video_path = endless;
  plan.shares[0].bytes_removed = 9007199254740992;
  Plan without = sample_plan_without_shares();
  without.candidates[0].receiver = endless;
  without.models[0].rewritable = false;
  without.models[0].opaque_reason = endless;
  Plan mixed = sample_plan_of_mixed_donors();
  for (Replaced& replaced : mixed.shares[0].replaced) replaced.donor += endless;
  for (std::string& donor : mixed.candidates[0].layer_donors) donor += endless;
  for (const Plan& long_plan : {plan, without, mixed}) {
    std::istringstream lines(summary(long_plan));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(characters(line), 100) << line;
      EXPECT_NE(line.empty() ? 'x' : line.back(), ' ') << "trailing space: " << line;
    }
  }
}

/// Without line breaks, so that what is looked for may be wrapped anywhere.
std::string flowing(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

TEST(Summary, SaysHowManyLayersRunWithOtherWeights) {
  const std::string text = summary(sample_plan_of_shared_weights());
  EXPECT_THAT(text,
              HasSubstr("3 layers run with weights of mobile: 1 with them as they are, 2 with differences of rank"));
  EXPECT_THAT(text, HasSubstr("at most 0.98 % of a layer's output variance"));
  EXPECT_THAT(summary(sample_plan()), Not(HasSubstr("weights of mobile")));
}

TEST(Summary, LeavesOutWhatABundleLeavesOut) {
  Plan plan = sample_plan();
  plan.shares.clear();
  plan.models[0].bytes = 2'000'000;
  EXPECT_THAT(summary(plan), testing::ContainsRegex("2\\.0 MB +2\\.0 MB"));
  plan.models[0].unused_bytes = 1'985'000;  // a view of a larger tensor
  EXPECT_THAT(summary(plan), testing::ContainsRegex("2\\.0 MB +15\\.0 kB"));
}

TEST(Summary, NamesTheStrictestYardstickThatIsMet) {
  Plan plan = sample_plan();
  Fidelity& fidelity = plan.models[0].fidelity;
  const auto says = [&](double value) {
    fidelity.value = value;
    return flowing(summary(plan));
  };
  EXPECT_THAT(says(0.97), HasSubstr("as well as the original agrees with itself after JPEG 95"));
  EXPECT_THAT(says(0.912), HasSubstr("as well as the original agrees with itself after JPEG 80"));
  EXPECT_THAT(says(0.9119), HasSubstr("as well as the original agrees with itself after a shift by one pixel"));
  EXPECT_THAT(says(0.97), Not(HasSubstr("less than after")));
  EXPECT_THAT(says(0.912), testing::ContainsRegex("after JPEG 80, less than +after JPEG 95"));
  EXPECT_THAT(says(0.9119), testing::ContainsRegex("a shift by one pixel, +less than after JPEG 95 or JPEG 80"));
  EXPECT_THAT(says(0.5),
              HasSubstr("differs from its original more than the original differs from itself after JPEG 95"));
  // A video on which JPEG 80 does less harm than JPEG 95: the larger value is the stricter one.
  fidelity.jpeg80 = 0.98;
  EXPECT_THAT(says(0.985), HasSubstr("itself after JPEG 80"));
}

TEST(Summary, NeverShowsAFidelityBelowTheTargetAsTheTarget) {
  Plan plan = sample_plan();
  plan.models[0].fidelity.value = 0.89999;
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("0.899"));
  EXPECT_THAT(flowing(summary(plan)), Not(HasSubstr("0.900 ")));
}

TEST(Summary, SaysWhenThereIsNothingToAgreeWith) {
  Plan plan = sample_plan();
  Fidelity& fidelity = plan.models[0].fidelity;
  fidelity.value.reset();
  fidelity.own_detections = 0;
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("not measured: finds nothing on these frames"));
  fidelity.is_raw = true;
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("not measured: its outputs are empty or constant on these frames"));
}

TEST(Summary, SaysWhatAModelKeepsAndHowMuchThatRestsOn) {
  const std::string text = flowing(summary(sample_plan()));
  EXPECT_THAT(text, HasSubstr("keeps 420 of 431 detections, 6.5 false alarms per 100 frames, on 77 frames"));
  EXPECT_THAT(text, HasSubstr("640 (2 missed, 1 false), 700 (1 missed)"));
}

TEST(Summary, SaysWhereEvidenceIsTooLittle) {
  Plan plan = sample_plan();
  plan.models[0].evidence = ModelEvidence{.selection = {200, 31, 512}, .test = {214, 8, 512}, .wanted = 30};
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("finds 8 objects in the 214 frames that judge; 30 wanted"));
  plan.models[0].evidence->accepted = true;
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("--accept-unmeasured"));
  plan.models[0].evidence->test.detections = 30;
  EXPECT_THAT(flowing(summary(plan)), Not(HasSubstr("wanted")));
}

TEST(Summary, SpeaksOfAccuracyOnlyWithGroundTruth) {
  Plan plan = sample_plan();
  EXPECT_THAT(flowing(summary(plan)), Not(HasSubstr("ccuracy")));
  EXPECT_THAT(flowing(summary(plan)), Not(HasSubstr("ground truth")));
  plan.models[0].accuracy = Accuracy{0.814, 0.8, {0.79, 0.83}, {0.77, 0.82}, 77, 512};
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("against ground truth: original 0.814 (0.790 to 0.830)"));
  plan.models[0].accuracy = Accuracy{};
  plan.models[0].accuracy->frames = 77;
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("undefined: no ground-truth boxes on these 77 frames"));
}

TEST(Summary, SaysWhyNothingIsSharedAndWhatWouldChangeThat) {
  Plan plan = sample_plan_without_shares();
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("none of the measured candidates keeps fidelity 0.9."));
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("at 0.879"));
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("--min-fidelity 0.87 "));
  // A candidate that keeps the target and still was not taken: its own reason.
  plan.candidates[0].measured_fidelity = 0.95;
  plan.candidates[0].reason = "it saves no bytes";
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("measured 0.950: it saves no bytes."));
  // Nothing measured.
  for (Candidate& candidate : plan.candidates) candidate.measured_fidelity.reset();
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("of 3 candidates none was worth measuring"));
  // Nothing to consider, because a model is opaque.
  plan.candidates.clear();
  plan.models[1].rewritable = false;
  plan.models[1].opaque_reason = "holds custom operators";
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("no layer of one model can take the place of a layer of another"));
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("mobile is opaque: it holds custom operators."));
}

// What plain de-duplication would have saved anyhow is no merit of the shares.
TEST(Summary, StatesTheSavingAgainstTheModelsAsGivenAndAfterDeduplication) {
  Plan plan = sample_plan();
  plan.before.bytes = 1000000;
  plan.deduplicated->bytes = 800000;
  plan.after.bytes = 600000;
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("saves 400.0 kB of 1.0 MB of parameters (-40.0 %)"));
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("of the 800.0 kB that plain de-duplication leaves it saves 25.0 %"));
  plan.after.bytes = 799999;
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("leaves it saves 0.0 %"));
  plan.after.bytes = 800000;
  EXPECT_THAT(flowing(summary(plan)), HasSubstr("that plain de-duplication leaves it saves nothing"));
  plan.deduplicated.reset();  // a plan of an earlier version
  EXPECT_THAT(flowing(summary(plan)), Not(HasSubstr("edup")));
}

TEST(Summary, CopesWithAnEmptyPlan) { EXPECT_THAT(flowing(summary(Plan{})), HasSubstr("No layers are shared")); }

TEST(HumanBytes, UsesDecimalUnitsAndOneDecimal) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(812), "812 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(34512), "34.5 kB");
  EXPECT_EQ(human_bytes(999949), "999.9 kB");
  EXPECT_EQ(human_bytes(999950), "1.0 MB");
  EXPECT_EQ(human_bytes(1234567), "1.2 MB");
  EXPECT_EQ(human_bytes(-34512), "-34.5 kB");
  EXPECT_EQ(human_bytes(INT64_MAX), "9.2 EB");
  EXPECT_EQ(human_bytes(INT64_MIN), "-9.2 EB");
}

}  // namespace
}  // namespace repsim::report
