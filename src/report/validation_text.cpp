#include <cmath>

#include "format.hpp"
#include "repsim/report.hpp"
#include "text_table.hpp"
#include "validation_parts.hpp"

namespace repsim::report {
namespace {

std::string of_all(const std::string& receiver, const std::string& donor) {
  return receiver.empty() ? "all directions" : receiver + "<-" + donor;
}

/// One line per predictor, the subsets beside each other.
std::string correlations_text(const Validation& validation, const CorrelationTable& all) {
  std::vector<const CorrelationTable*> tables{&all};
  std::vector<std::string> titles{"", "Pearson", "90 %", "Spearman"};
  std::string cuts = counted(all.cuts, "cut");
  const auto beside = [&](const char* subset, const char* against, const std::string& title) {
    const CorrelationTable* table = find_table(validation, all.receiver, all.donor, subset, against);
    if (table == nullptr) return;
    tables.push_back(table);
    titles.push_back(title + " (" + std::to_string(table->cuts) + ")");
  };
  beside("equal-depth", "fidelity", "equal depth");
  beside("fidelity-above-0.8", "fidelity", "above 0.8");
  beside("all", "accuracy", "AP");
  TextTable table(titles);
  for (std::size_t i = 0; i < all.rows.size(); ++i) {
    const CorrelationTable::Row& row = all.rows[i];
    std::vector<std::string> cells{title_of(row.predictor), fixed(row.pearson.value, 2), interval_text(row.pearson),
                                   fixed(row.spearman.value, 2)};
    for (std::size_t other = 1; other < tables.size(); ++other)
      cells.push_back(fixed(tables[other]->rows[i].pearson.value, 2));
    table.add_row(std::move(cells));
  }
  return of_all(all.receiver, all.donor) + ", " + cuts + ": correlation with fidelity\n" + table.text() + "\n";
}

/// The errors of the combined predictors in one direction, or pooled over all.
std::string predictions_text(const Validation& validation, const std::string& receiver, const std::string& donor) {
  TextTable table({"out of sample", "learned from", "cuts", "Pearson", "above 0.8", "error", "in interval", "width"});
  bool any = false;
  for (const PredictionTable& one : validation.predictions) {
    if (one.receiver != receiver || one.donor != donor) continue;
    any = true;
    table.add_row({title_of(one.combined), learned_from_text(one.learned_from), std::to_string(one.cuts),
                   fixed(one.pearson.value, 2), fixed(one.pearson_above, 2), fixed(one.mean_error, 3),
                   fixed(100 * one.coverage, 0) + " %", fixed(one.interval_width, 2)});
  }
  return any ? table.text() + "\n" : "";
}

}  // namespace

const CorrelationTable* find_table(const Validation& validation, const std::string& receiver, const std::string& donor,
                                   const std::string& subset, const std::string& against) {
  for (const CorrelationTable& table : validation.correlations) {
    if (table.receiver == receiver && table.donor == donor && table.subset == subset && table.against == against)
      return &table;
  }
  return nullptr;
}

std::string title_of(const std::string& predictor) {
  for (const planner::PredictorName& one : planner::kPredictors) {
    if (predictor == one.key) return one.title;
  }
  for (const planner::CombinedPredictor& one : planner::kCombinedPredictors) {
    if (predictor == one.key) return one.title;
  }
  return predictor;
}

std::string interval_text(const planner::Correlation& correlation) {
  if (std::isnan(correlation.low)) return "-";
  return fixed(correlation.low, 2) + " to " + fixed(correlation.high, 2);
}

std::string learned_from_text(const std::string& learned_from) {
  if (learned_from == "few-trials") return "a few trials";
  return learned_from == "other-pairs" ? "other pairs" : "other cuts";
}

std::string summary(const Validation& validation) {
  std::string text;
  for (const CorrelationTable& table : validation.correlations) {
    if (table.subset != "all" || table.against != "fidelity") continue;
    text += correlations_text(validation, table) + predictions_text(validation, table.receiver, table.donor);
  }
  std::size_t skipped = 0;
  for (const StudiedDirection& direction : validation.directions) {
    skipped += direction.skipped.size();
    if (!direction.not_differentiable.empty()) {
      text += wrapped("output error is undefined for " + of_all(direction.receiver, direction.donor) + ": " +
                          direction.not_differentiable,
                      "");
    }
  }
  if (skipped > 0) {
    text += wrapped(
        counted(static_cast<std::int64_t>(skipped), "cut") + " could not be computed: validation.json says which", "");
  }
  return text;
}

}  // namespace repsim::report
