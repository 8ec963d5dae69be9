#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "report/golden.hpp"
#include "report/sample_plan.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Without line breaks and indents, so that what is looked for may be wrapped anywhere.
std::string flowing(const std::string& text) {
  std::istringstream words(text);
  std::string result;
  for (std::string word; words >> word;) result += (result.empty() ? "" : " ") + word;
  return result;
}

TEST(Explanation, IsStableText) {
  test::expect_golden("explanation.txt",
                      explanation(sample_plan(), "plain") + "\n" + explanation(sample_plan(), "mobile"));
}

TEST(Explanation, NamesEveryMeasuredCandidateWithItsReason) {
  const std::string text = flowing(explanation(sample_plan(), "plain"));
  EXPECT_THAT(text, HasSubstr("chosen: the largest saving that keeps fidelity 0.90"));
  EXPECT_THAT(text, HasSubstr("rejected: fidelity 0.840 is below 0.90"));
  EXPECT_THAT(text, HasSubstr("backbone.stage2 <- backbone.body.5.project"));
}

TEST(Explanation, SaysWhoTakesAndGivesWeights) {
  const std::string receiver = flowing(explanation(sample_plan_of_shared_weights(), "plain"));
  EXPECT_THAT(receiver, HasSubstr("takes weights of 3 layers from mobile"));
  EXPECT_THAT(receiver, HasSubstr("weights of 3 layers, differences of 15 channels in all; at most 0.98 % of a layer's "
                                  "output variance differs"));
  EXPECT_THAT(flowing(explanation(sample_plan_of_shared_weights(), "mobile")),
              HasSubstr("gives weights of 3 layers to plain, so it has to keep them"));
}

TEST(Explanation, GathersWhatWasNotTriedByReason) {
  Plan plan = sample_plan();
  plan.candidates.push_back(plan.candidates[2]);
  plan.candidates.back().bytes_saved = 300000;
  const std::string text = flowing(explanation(plan, "mobile"));
  EXPECT_THAT(text, HasSubstr("2 candidates (saving 200.0 kB to 300.0 kB, predicted up to 0.800): predicted below"));
  EXPECT_THAT(text, HasSubstr("none of its candidates was measured"));
}

TEST(Explanation, ShowsOnTheFrontOnlyWhatNothingBeats) {
  Plan plan = sample_plan();
  Candidate beaten = plan.candidates[1];
  beaten.donor = "beaten";
  beaten.bytes_saved -= 1;
  beaten.measured_fidelity.reset();
  plan.candidates.push_back(beaten);
  const std::string text = explanation(plan, "plain");
  EXPECT_THAT(text.substr(0, text.find("Tried")), AllOf(HasSubstr("450.0 kB"), Not(HasSubstr("beaten"))));
}

TEST(Explanation, SaysWhatBindsAModel) {
  EXPECT_THAT(flowing(explanation(sample_plan(), "mobile")),
              HasSubstr("gives layers to plain, so it has to compute them: backbone.body.5.project"));
  Plan plan = sample_plan();
  plan.settings["merge"]["keep"] = {"mobile"};
  plan.settings["merge"]["donors"] = {"pl*"};
  plan.candidates.clear();
  const std::string kept = flowing(explanation(plan, "mobile"));
  EXPECT_THAT(kept, AllOf(HasSubstr("--keep mobile"), HasSubstr("gives nothing: --donors pl*"),
                          HasSubstr("No candidates: it is never changed.")));
  plan.models[0].rewritable = false;
  plan.models[0].opaque_reason = "calls an operator of its own";
  EXPECT_THAT(flowing(explanation(plan, "plain")), HasSubstr("is opaque, nothing of it can be taken or "
                                                             "replaced: it calls an operator of its own"));
}

TEST(Explanation, CountsInTheUnitsOfTheObjective) {
  Plan plan = sample_plan();
  const auto with = [&](const char* objective) {
    plan.settings["merge"]["objective"] = objective;
    return flowing(explanation(plan, "plain"));
  };
  EXPECT_THAT(with("bytes"), HasSubstr("374.4 kB"));
  EXPECT_THAT(with("flops"), HasSubstr("88.8 M"));
  EXPECT_THAT(with("latency"), HasSubstr("1.250 ms"));
  EXPECT_THAT(with("peak-memory"), HasSubstr("874.4 kB"));
}

TEST(Explanation, HasAtMost100ColumnsWhateverTheNames) {
  Plan plan = sample_plan();
  const std::string endless(150, 'x');
  for (Candidate& one : plan.candidates) one.donor = one.receiver_layers[0] = one.reason = endless;
  plan.models[0].opaque_reason = endless;
  plan.models[0].rewritable = false;
  std::istringstream lines(explanation(plan, "plain"));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

}  // namespace
}  // namespace repsim::report
