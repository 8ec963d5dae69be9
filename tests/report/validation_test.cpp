// What a study says, on made-up cuts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <sstream>

#include "repsim/validation.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Two directions of one pair and one of another; fidelity follows R2 in all of them.
Validation study(std::size_t cuts_per_direction, bool truth) {
  Validation validation;
  validation.tool_version = "1.2.3";
  validation.models = {{"front", "front.pt", "aa"}, {"back", "back.pt", "bb"}, {"si,de", "side.pt", "cc"}};
  validation.video_path = "street & <square>.mp4";
  validation.calibration_frames = {0, 2, 4};
  validation.holdout_frames = {6, 8};
  validation.adapters = config::Adapters::kLinear;
  validation.cuts_asked = 30;
  validation.directions = {
      {"front", "back", {}, "", {}}, {"back", "front", {}, "", {}}, {"front", "si,de", {}, "its reason", {"a: b"}}};
  if (truth) validation.truth = "gt.txt";
  std::mt19937_64 engine(1);
  const auto uniform = [&] { return static_cast<double>(engine() >> 11) / 9007199254740992.0; };
  for (std::size_t direction = 0; direction < 3; ++direction) {
    for (std::size_t i = 0; i < cuts_per_direction; ++i) {
      StudiedCut cut;
      cut.direction = direction;
      cut.equal_depth = i % 2 == 0;
      cut.receiver_layers = {"stage." + std::to_string(i), "he\"ad"};
      cut.donor_layers = {"unit." + std::to_string(i), "b"};
      cut.fidelity = std::sqrt(uniform());
      for (double& predictor : cut.predictors) predictor = 0.2 + 0.7 * cut.fidelity + 0.05 * uniform();
      if (direction == 2) cut.predictors[planner::index_of(planner::Predictor::kOutputError)] = std::nan("");
      if (truth && direction == 0) cut.accuracy = 0.8 * cut.fidelity;
      validation.cuts.push_back(cut);
    }
  }
  fill_tables(validation);
  return validation;
}

TEST(Validation, HasTablesOfEachDirectionAndOfAll) {
  const Validation validation = study(30, true);
  int pooled = 0, with_accuracy = 0;
  for (const CorrelationTable& table : validation.correlations) {
    ASSERT_EQ(table.rows.size(), planner::kPredictors.size() + planner::kCombinedPredictors.size());
    if (table.subset == "all" && table.against == "fidelity") {
      EXPECT_EQ(table.cuts, table.receiver.empty() ? 90 : 30);
    }
    if (table.subset == "equal-depth") {
      EXPECT_EQ(table.cuts % 15, 0);
    }
    pooled += table.receiver.empty() ? 1 : 0;
    with_accuracy += table.against == "accuracy" ? 1 : 0;
    for (const CorrelationTable::Row& row : table.rows) {
      if (row.predictor == "r2" && table.subset == "all") {
        EXPECT_GT(row.pearson.value, 0.95);
      }
    }
  }
  EXPECT_EQ(pooled, 6);
  EXPECT_EQ(with_accuracy, 6);  // of the one direction with truth, and pooled
}

TEST(Validation, LearnsFromOtherCutsFewTrialsAndOtherPairs) {
  const Validation validation = study(30, false);
  std::set<std::string> learned;
  for (const PredictionTable& table : validation.predictions) {
    learned.insert(table.learned_from);
    EXPECT_GT(table.pearson.value, 0.9) << table.learned_from << " " << table.receiver;
    EXPECT_GE(table.coverage, 0.7);
    EXPECT_LE(table.mean_error, 0.1);
  }
  EXPECT_THAT(learned, testing::ElementsAre("few-trials", "other-cuts", "other-pairs"));
}

TEST(Validation, OfOnePairLearnsNothingFromOtherPairs) {
  Validation validation = study(12, false);
  std::erase_if(validation.cuts, [](const StudiedCut& cut) { return cut.direction == 2; });
  validation.directions.pop_back();
  fill_tables(validation);
  for (const StudiedCut& cut : validation.cuts) EXPECT_TRUE(std::isnan(cut.from_other_pairs.at(0).fidelity));
  for (const PredictionTable& table : validation.predictions) EXPECT_NE(table.learned_from, "other-pairs");
}

TEST(Validation, FillingTablesAgainChangesNothing) {
  Validation validation = study(12, true);
  const std::string before = repsim::to_text(to_json(validation));
  fill_tables(validation);
  EXPECT_EQ(repsim::to_text(to_json(validation)), before);
}

TEST(ValidationJson, HoldsEachCutWithItsGuides) {
  const Json json = to_json(study(12, true));
  EXPECT_EQ(json["schema_version"], kValidationSchemaVersion);
  ASSERT_EQ(json["cuts"].size(), 36U);
  for (const planner::PredictorName& predictor : planner::kPredictors)
    EXPECT_TRUE(json["cuts"][0]["guides"].contains(predictor.key));
  EXPECT_TRUE(json["cuts"][24]["guides"]["output_error"].is_null());
  EXPECT_TRUE(json["cuts"][24]["accuracy"].is_null());
  EXPECT_EQ(json["directions"][2]["output_error_undefined"], "its reason");
  EXPECT_TRUE(json["directions"][0]["output_error_undefined"].is_null());
  EXPECT_EQ(json["cuts"][0]["predicted"]["other_cuts"]["predicted"]["interval"].size(), 2U);
}

TEST(ValidationCsv, HasOneRowPerCutWithQuotedNames) {
  const std::string csv = to_csv(study(8, true));
  std::istringstream lines(csv);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto commas = std::count(line.begin(), line.end(), ',');
  int rows = 0;
  while (std::getline(lines, line)) {
    bool quoted = false;
    std::ptrdiff_t found = 0;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      if (c == ',' && !quoted) ++found;
    }
    EXPECT_EQ(found, commas) << line;
    ++rows;
  }
  EXPECT_EQ(rows, 24);
  EXPECT_THAT(csv, HasSubstr("\"si,de\""));
  EXPECT_THAT(csv, HasSubstr("\"stage.0 he\"\"ad\""));
}

TEST(ValidationText, HasAtMost100Columns) {
  std::istringstream lines(summary(study(30, true)));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

TEST(ValidationText, SaysWhatIsMissing) {
  const std::string text = summary(study(30, false));
  EXPECT_THAT(text, HasSubstr("its reason"));
  EXPECT_THAT(text, HasSubstr("1 cut could not be computed"));
  EXPECT_THAT(text, HasSubstr("a few trials"));
}

TEST(ValidationHtml, DrawsEveryCutAndIsSelfContained) {
  const Validation validation = study(8, true);
  const std::string page = html(validation);
  std::size_t circles = 0;
  for (std::size_t at = page.find("<circle cx="); at != std::string::npos; at = page.find("<circle cx=", at + 1))
    ++circles;
  // Three in the legend; 24 cuts in each plot but that of the predictor that one direction lacks.
  EXPECT_EQ(circles, 3 + 24 * (planner::kPredictors.size() + planner::kCombinedPredictors.size()) - 8);
  EXPECT_THAT(page, HasSubstr("street &amp; &lt;square&gt;.mp4"));
  EXPECT_THAT(page, HasSubstr("he&quot;ad"));
  for (const char* outside : {"http://", "https://", "<script", "src="}) EXPECT_THAT(page, Not(HasSubstr(outside)));
  std::size_t opened = 0, closed = 0;
  for (std::size_t at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1)) ++opened;
  for (std::size_t at = page.find("</svg>"); at != std::string::npos; at = page.find("</svg>", at + 1)) ++closed;
  EXPECT_EQ(opened, closed);
}

}  // namespace
}  // namespace repsim::report
