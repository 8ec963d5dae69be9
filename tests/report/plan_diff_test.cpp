#include "repsim/plan_diff.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "report/sample_plan.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;
using ChangeKind = PlanChange::Kind;
using Status = PlanChange::Status;

std::vector<PlanChange> changed(const PlanDiff& diff) {
  std::vector<PlanChange> result;
  std::copy_if(diff.changes.begin(), diff.changes.end(), std::back_inserter(result),
               [](const PlanChange& change) { return change.status != Status::kSame; });
  return result;
}

TEST(PlanDiff, SaysThatAPlanIsTheSameAsItself) {
  const PlanDiff diff = compare(sample_plan(), sample_plan(), {});
  EXPECT_FALSE(diff.has_drift());
  EXPECT_GT(diff.changes.size(), 20U);
  EXPECT_EQ(to_text(diff, DiffDetail::kChanges), "the plans are the same\n");
  EXPECT_THAT(to_text(diff, DiffDetail::kAll), HasSubstr("fidelity 0.921"));
}

/// What a plan may differ in, and whether that is drift.
struct Edit {
  const char* what;
  std::function<void(Plan&)> apply;
  ChangeKind kind;
  Status status;
};

TEST(PlanDiff, TellsDriftFromWhatIsOnlyNoted) {
  const std::vector<Edit> edits{
      {"a model's bytes", [](Plan& p) { p.models[0].sha256[0] = 'f'; }, ChangeKind::kModel, Status::kDrift},
      {"a model's input", [](Plan& p) { p.models[0].input.width = 64; }, ChangeKind::kModel, Status::kDrift},
      {"a model's output", [](Plan& p) { p.models[0].output.score_threshold = 0.7; }, ChangeKind::kModel,
       Status::kDrift},
      {"a model's path", [](Plan& p) { p.models[0].path = "b.pt"; }, ChangeKind::kModel, Status::kNoted},
      {"the video", [](Plan& p) { p.video_sha256[0] = 'f'; }, ChangeKind::kVideo, Status::kDrift},
      {"the video's path", [](Plan& p) { p.video_path = "b.avi"; }, ChangeKind::kVideo, Status::kNoted},
      {"frames", [](Plan& p) { p.holdout_frames = {9, 13}; }, ChangeKind::kFrames, Status::kDrift},
      {"a setting", [](Plan& p) { p.settings["merge"]["refit"] = false; }, ChangeKind::kSetting, Status::kDrift},
      {"a new setting", [](Plan& p) { p.settings["merge"]["new"] = 1; }, ChangeKind::kSetting, Status::kNoted},
      {"a layer", [](Plan& p) { p.shares[0].replaced[0].donor_layer = "x"; }, ChangeKind::kShare, Status::kDrift},
      {"a rank", [](Plan& p) { p.shares[0].replaced[0].correction_rank = 4; }, ChangeKind::kShare, Status::kDrift},
      {"an adapter", [](Plan& p) { p.shares[0].replaced[0].adapter = "none"; }, ChangeKind::kShare, Status::kDrift},
      {"an auxiliary input", [](Plan& p) { p.shares[0].auxiliary_inputs.clear(); }, ChangeKind::kShare, Status::kDrift},
      {"a residual", [](Plan& p) { p.shares[0].replaced[0].residual = 0.5; }, ChangeKind::kShare, Status::kSame},
      {"no share", [](Plan& p) { p.shares.clear(); }, ChangeKind::kShare, Status::kDrift},
      {"bytes", [](Plan& p) { p.after.bytes += 4; }, ChangeKind::kTotal, Status::kDrift},
      {"FLOPs", [](Plan& p) { p.after.flops += 4; }, ChangeKind::kTotal, Status::kDrift},
      {"the latency estimate", [](Plan& p) { *p.after.latency_estimate_ns += 9000; }, ChangeKind::kTotal,
       Status::kNoted},
      {"a fidelity", [](Plan& p) { p.models[0].fidelity.value = 0.95; }, ChangeKind::kFidelity, Status::kDrift},
      {"bit identity", [](Plan& p) { p.models[1].fidelity.bit_identical = false; }, ChangeKind::kFidelity,
       Status::kDrift},
      {"own detections", [](Plan& p) { p.models[0].fidelity.own_detections = 3; }, ChangeKind::kEvidence,
       Status::kNoted},
      {"kept detections", [](Plan& p) { p.models[0].fidelity.kept.reset(); }, ChangeKind::kEvidence, Status::kNoted},
      {"the bundle's hash", [](Plan& p) { p.bundle_sha256[0] = 'f'; }, ChangeKind::kBundle, Status::kNoted},
      {"the version", [](Plan& p) { p.tool_version = "9"; }, ChangeKind::kTool, Status::kNoted},
      {"the version of LibTorch", [](Plan& p) { p.torch_version = "9"; }, ChangeKind::kTool, Status::kNoted},
      {"a plan without that", [](Plan& p) { p.torch_version.clear(); }, ChangeKind::kTool, Status::kSame},
  };
  for (const Edit& edit : edits) {
    SCOPED_TRACE(edit.what);
    Plan after = sample_plan();
    edit.apply(after);
    const PlanDiff diff = compare(sample_plan(), after, {});
    const std::vector<PlanChange> found = changed(diff);
    if (edit.status == Status::kSame) {
      EXPECT_TRUE(found.empty());
      continue;
    }
    ASSERT_EQ(found.size(), 1U) << to_text(diff, DiffDetail::kChanges);
    EXPECT_EQ(found[0].kind, edit.kind);
    EXPECT_EQ(found[0].status, edit.status);
    EXPECT_EQ(diff.has_drift(), edit.status == Status::kDrift);
    EXPECT_THAT(to_text(diff, DiffDetail::kChanges), Not(HasSubstr("the same")));
  }
}

TEST(PlanDiff, TellsSharesOfWeightsApart) {
  const Plan before = sample_plan_of_shared_weights();
  EXPECT_FALSE(compare(before, before, {}).has_drift());
  Plan after = before;
  after.shares[0].weights[1].output_variance = 0.5;  // a figure
  EXPECT_FALSE(compare(before, after, {}).has_drift());
  after.shares[0].weights[1].rank = 4;
  EXPECT_TRUE(compare(before, after, {}).has_drift());
  const PlanDiff other_kind = compare(sample_plan(), before, {});
  EXPECT_TRUE(other_kind.has_drift());
  EXPECT_THAT(to_text(other_kind, DiffDetail::kChanges), HasSubstr("weights of 3 layers of mobile"));
}

TEST(PlanDiff, NamesModelsAndSharesThatCameAndWent) {
  Plan after = sample_plan_of_mixed_donors();
  const std::string text = to_text(compare(sample_plan(), after, {}), DiffDetail::kChanges);
  EXPECT_THAT(text, HasSubstr("  + " + after.models[2].name));
  const std::string back = to_text(compare(after, sample_plan(), {}), DiffDetail::kChanges);
  EXPECT_THAT(back, HasSubstr("  - " + after.models[2].name));
}

TEST(PlanDiff, ToleratesAFidelityThatMovesALittleAndKeepsItsTarget) {
  Plan before = sample_plan(), after = sample_plan();
  after.models[0].fidelity.value = 0.9163456789;
  EXPECT_FALSE(compare(before, after, {0.005}).has_drift());
  EXPECT_TRUE(compare(before, after, {0.0049}).has_drift());
  before.models[0].fidelity.value = 0.901;
  after.models[0].fidelity.value = 0.899;  // min_fidelity is 0.9
  EXPECT_TRUE(compare(before, after, {0.005}).has_drift());
  EXPECT_FALSE(compare(after, before, {0.005}).has_drift()) << "the target is reached now";
}

TEST(PlanDiff, TakesAnUndefinedFidelityForDriftWhateverTheTolerance) {
  Plan after = sample_plan();
  after.models[0].fidelity.value.reset();
  const PlanDiff diff = compare(sample_plan(), after, {1});
  EXPECT_TRUE(diff.has_drift());
  EXPECT_THAT(to_text(diff, DiffDetail::kChanges), HasSubstr("fidelity 0.921 -> not measured"));
  EXPECT_THAT(to_json(diff, DiffDetail::kChanges).dump(), HasSubstr(R"("after":null,"difference":null)"));
}

TEST(PlanDiff, HasAJsonFormWithUnchangedThingsOnRequest) {
  Plan after = sample_plan();
  after.after.bytes = 700000;
  const PlanDiff diff = compare(sample_plan(), after, {});
  const Json json = to_json(diff, DiffDetail::kChanges);
  EXPECT_EQ(json["drift"], true);
  ASSERT_EQ(json["changes"].size(), 1U);
  const Json expected{{"kind", "total"}, {"subject", "bytes"},    {"what", ""}, {"status", "drift"}, {"before", 713600},
                      {"after", 700000}, {"difference", -13600.0}};
  EXPECT_EQ(json["changes"][0], expected);
  EXPECT_EQ(to_json(diff, DiffDetail::kAll)["changes"].size(), diff.changes.size());
}

TEST(PlanDiff, WritesMarkdownThatNoNameBreaks) {
  Plan after = sample_plan();
  after.settings["merge"]["refit"] = "a|b\n`c`";
  const std::string table = to_markdown(compare(sample_plan(), after, {}), DiffDetail::kChanges);
  EXPECT_THAT(table, HasSubstr("a\\|b \\`c\\`"));
}

TEST(ChangeLimit, ReadsFiguresSignsUnitsAndParts) {
  const auto limit = parse_change_limit("fidelity<-0.01");
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->figure, ChangeLimit::Figure::kFidelity);
  EXPECT_FALSE(limit->is_above);
  EXPECT_DOUBLE_EQ(limit->change, -0.01);
  EXPECT_DOUBLE_EQ(parse_change_limit("bytes>1.5M")->change, 1.5e6);
  EXPECT_DOUBLE_EQ(parse_change_limit("bytes>-2K")->change, -2000);
  EXPECT_DOUBLE_EQ(parse_change_limit("flops>5%")->change, 0.05);
  EXPECT_TRUE(parse_change_limit("flops>5%")->is_relative);
  EXPECT_DOUBLE_EQ(parse_change_limit("latency>+0.5")->change, 0.5);
  for (const char* text : {"", "fidelity", "fidelity<", "fidelity=1", "speed<1", "fidelity<x", "fidelity<1.5M",
                           "bytes>%", "bytes>1Q", "fidelity<nan", "fidelity<inf", "<1"})
    EXPECT_FALSE(parse_change_limit(text)) << text;
}

TEST(ChangeLimit, IsBrokenByMoreThanItAllows) {
  Plan after = sample_plan();
  after.models[0].fidelity.value = 0.9113456789;  // by 0.01 exactly
  after.after.bytes = 749280;                     // by 5 %
  const PlanDiff diff = compare(sample_plan(), after, {1});
  const auto count = [&](const char* text) { return broken_by(*parse_change_limit(text), diff).size(); };
  EXPECT_EQ(count("fidelity<-0.01"), 0U);
  EXPECT_EQ(count("fidelity<-0.0099"), 1U);
  EXPECT_EQ(count("fidelity>-0.02"), 2U) << "each model is judged, an unchanged one too";
  EXPECT_EQ(count("bytes>5%"), 0U);
  EXPECT_EQ(count("bytes>4.9%"), 1U);
  EXPECT_EQ(count("bytes>35K"), 1U);
  EXPECT_EQ(count("bytes>36K"), 0U);
}

TEST(ChangeLimit, IsBrokenByAFigureThatIsNoLongerMeasured) {
  Plan after = sample_plan();
  after.models[0].fidelity.value.reset();
  EXPECT_EQ(broken_by(*parse_change_limit("fidelity<-0.5"), compare(sample_plan(), after, {})).size(), 1U);
}

}  // namespace
}  // namespace repsim::report
