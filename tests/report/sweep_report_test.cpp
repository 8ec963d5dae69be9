// The summary of a sweep: what fits a box, best first, and the forms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "repsim/base/text.hpp"
#include "repsim/sweep_report.hpp"

namespace repsim::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

SweepPlan finished(const std::vector<std::string>& models, std::int64_t bytes_after, std::int64_t peak,
                   std::optional<double> fidelity) {
  SweepPlan plan;
  plan.models = models;
  plan.set = join(models, "+");
  plan.video = "street";
  plan.folder = "plans/" + plan.set + "/default";
  plan.state = "finished";
  plan.exit_code = 0;
  plan.seconds = 90;
  plan.figures.emplace();
  plan.figures->bytes_before = 2 * bytes_after;
  plan.figures->bytes_after = bytes_after;
  plan.figures->peak_activation_bytes = peak;
  if (fidelity) plan.figures->worst = WorstModel{models.back(), *fidelity, {*fidelity - 0.1, 1}, 38, 37, false};
  return plan;
}

SweepSummary sample() {
  SweepSummary summary;
  summary.tool_version = "1.2.3";
  summary.boxes = {{"nano", 1000}, {"tiny", 10}};
  summary.plans = {finished({"a", "b"}, 600, 300, 0.95),         finished({"a", "c"}, 600, 400, 0.97),
                   finished({"a", "b", "c"}, 700, 300, 0.91),    finished({"b", "c"}, 600, 401, 0.99),
                   finished({"b", "d"}, 100, 100, std::nullopt), finished({"a", "d"}, 500, 300, 0.95)};
  SweepPlan failed;
  failed.set = "x|y+<z>";
  failed.models = {"x|y", "<z>"};
  failed.video = "street";
  failed.folder = "plans/x_y/default";
  failed.state = "failed";
  failed.exit_code = 3;
  failed.problem = "no TorchScript archive, \"really\"";
  summary.plans.push_back(failed);
  return summary;
}

TEST(FitTable, PutsMoreModelsThenFidelityThenFewerBytesFirst) {
  const SweepSummary summary = sample();
  // three models; 0.97; 0.95 with fewer bytes; 0.95; unknown. 1001 bytes do not fit.
  EXPECT_THAT(plans_that_fit(summary, summary.boxes[0]), ElementsAre(2, 1, 5, 0, 4));
}

TEST(FitTable, TakesAPlanThatNeedsAllOfTheBox) {
  const SweepSummary summary = sample();
  EXPECT_THAT(plans_that_fit(summary, {"", 1000}), testing::Contains(1));
  EXPECT_THAT(plans_that_fit(summary, {"", 999}), Not(testing::Contains(1)));
}

TEST(FitTable, IsEmptyWhereNothingFits) {
  const SweepSummary summary = sample();
  EXPECT_THAT(plans_that_fit(summary, summary.boxes[1]), IsEmpty());
}

TEST(PlanFigures, NameTheModelThatKeepsLeast) {
  Plan plan;
  plan.before.bytes = 1000;
  plan.after.bytes = 600;
  plan.after.peak_activation_bytes = 50;
  plan.models.resize(4);
  for (std::size_t i = 0; i < 4; ++i) plan.models[i].name = std::string(1, static_cast<char>('a' + i));
  plan.models[0].fidelity.value = 1;
  plan.models[1].fidelity.value = 0.9;
  plan.models[1].fidelity.own_detections = 40;
  plan.models[1].fidelity.frames = 38;
  plan.models[2].fidelity.bit_identical = true;  // and finds nothing: needs no comparison
  const PlanFigures figures = figures_of(plan);
  EXPECT_EQ(figures.bytes_saved(), 400);
  EXPECT_EQ(figures.bytes_needed(), 650);
  ASSERT_TRUE(figures.worst.has_value());
  EXPECT_EQ(figures.worst->name, "b");
  EXPECT_THAT(figures.unmeasured, ElementsAre("d"));
  EXPECT_EQ(evidence_text(figures), "b, 40 objects on 38 frames");
}

TEST(SweepLog, TellsTheLastErrorAndWhere) {
  EXPECT_EQ(problem_in_log("info: x\nrepsim: error: old\nrepsim: error: no archive\n  where:  a.pt\n  remedy: r\n"),
            "no archive (a.pt)");
  EXPECT_EQ(problem_in_log("repsim: error: cut off"), "cut off");
  EXPECT_EQ(problem_in_log("all is well"), "");
}

TEST(SweepForms, AllNameEveryPlan) {
  const SweepSummary summary = sample();
  const Json json = to_json(summary);
  EXPECT_EQ(json["totals"]["finished"], 6);
  EXPECT_EQ(json["totals"]["failed"], 1);
  EXPECT_EQ(json["plans"].size(), 7U);
  EXPECT_EQ(json["plans"][0]["figures"]["worst"]["own_detections"], 37);
  EXPECT_TRUE(json["plans"][4]["figures"]["worst"].is_null());
  EXPECT_EQ(json["boxes"][0]["fits"][0]["folder"], "plans/a+b+c/default");
  EXPECT_EQ(json["plans"][6]["log"], "plans/x_y/default/log.txt");
  const std::string csv = to_csv(summary), markdown = to_markdown(summary), page = html(summary);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 8);
  for (const SweepPlan& plan : summary.plans) {
    EXPECT_THAT(csv, HasSubstr(plan.folder));
    if (plan.state != "finished") continue;
    EXPECT_THAT(markdown, HasSubstr("| " + plan.set + " |"));
    EXPECT_THAT(page, HasSubstr("href=\"" + plan.folder + "/plan/report.html\""));
  }
  EXPECT_THAT(page, HasSubstr("href=\"plans/x_y/default/log.txt\""));
}

TEST(SweepForms, KeepMarkupOfNamesOut) {
  const SweepSummary summary = sample();
  EXPECT_THAT(html(summary), Not(HasSubstr("<z>")));
  EXPECT_THAT(to_markdown(summary), Not(HasSubstr("x|y")));
  EXPECT_THAT(to_csv(summary), HasSubstr("x|y+<z>"));
  EXPECT_THAT(to_text(summary), HasSubstr("failed: plans/x_y/default"));
}

TEST(SweepForms, LinesOfCsvHaveTheColumnsOfTheHead) {
  SweepSummary summary = sample();
  for (SweepPlan& plan : summary.plans) plan.values = {{"seed", "7"}};
  summary.plans[6].set = "plain";  // no quoted field with a comma
  std::istringstream lines(to_csv(summary));
  std::string line, head;
  std::getline(lines, head);
  EXPECT_THAT(head, HasSubstr("video,seed,state"));
  while (std::getline(lines, line))
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), std::count(head.begin(), head.end(), ',')) << line;
}

TEST(SweepForms, ThePageNeedsNoScript) { EXPECT_THAT(html(sample()), Not(HasSubstr("<script"))); }

/// Of four models: b and c are alike, d is nearer to them than a.
ModelTree sample_tree() {
  ModelTree tree;
  tree.models = {"a", "b", "c", "d"};
  tree.likeness = {1, 0.2, 0.2, 0.3, 0.2, 1, 0.9, 0.6, 0.2, 0.9, 1, 0.7, 0.3, 0.6, 0.7, 1};
  tree.merges = {{1, 2, 0.1}, {3, 4, 0.35}, {0, 5, 0.75}};
  tree.left_out = {"e"};
  return tree;
}

TEST(ModelTrees, ListTheMoreAlikePartFirst) {
  EXPECT_THAT(tree_lines(sample_tree()),
              ElementsAre("0.250", "  0.650", "    0.900", "      b", "      c", "    d", "  a"));
}

TEST(ModelTrees, AreInEveryForm) {
  SweepSummary summary = sample();
  summary.tree = sample_tree();
  const Json json = to_json(summary)["model_tree"];
  EXPECT_EQ(json["models"], Json({"a", "b", "c", "d"}));
  EXPECT_EQ(json["likeness"][1], Json({0.2, 1.0, 0.9, 0.6}));
  EXPECT_EQ(json["merges"][1], Json({{"first", 3}, {"second", 4}, {"likeness", 0.65}, {"models", {"b", "c", "d"}}}));
  EXPECT_EQ(json["left_out"], Json({"e"}));
  EXPECT_THAT(to_markdown(summary), HasSubstr("```\n0.250\n  0.650\n"));
  EXPECT_THAT(to_markdown(summary), HasSubstr("Without signatures: e."));
  EXPECT_THAT(html(summary), HasSubstr("<pre>0.250\n  0.650\n"));
  EXPECT_THAT(to_text(summary), HasSubstr("how alike the models are:\n  0.250\n"));
}

TEST(ModelTrees, AreLeftOutWhereThereIsNone) {
  const SweepSummary summary = sample();
  EXPECT_TRUE(to_json(summary)["model_tree"].is_null());
  EXPECT_THAT(html(summary), Not(HasSubstr("alike")));
  EXPECT_THAT(to_markdown(summary), Not(HasSubstr("alike")));
}

}  // namespace
}  // namespace repsim::report
