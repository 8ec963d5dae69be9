#include <cmath>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/validation.hpp"

namespace repsim::report {
namespace {

/// Predictors differ in size by many powers of ten, so they keep significant digits, not decimals.
Json significant_or_null(double value) { return std::isnan(value) ? Json() : Json(rounded_significant(value)); }

Json correlation_json(const planner::Correlation& correlation) {
  Json json;
  json["value"] = rounded_or_null(correlation.value);
  json["interval"] = {rounded_or_null(correlation.low), rounded_or_null(correlation.high)};
  return json;
}

Json name_or_null(const std::string& name) { return name.empty() ? Json() : Json(name); }

Json predicted_json(const std::vector<planner::Predicted>& all) {
  Json json;
  for (std::size_t i = 0; i < all.size(); ++i) {
    json[planner::kCombinedPredictors[i].key] = {
        {"fidelity", rounded_or_null(all[i].fidelity)},
        {"interval", {rounded_or_null(all[i].low), rounded_or_null(all[i].high)}}};
  }
  return json;
}

Json cut_json(const Validation& validation, const StudiedCut& cut) {
  const StudiedDirection& direction = validation.directions[cut.direction];
  Json json;
  json["receiver"] = direction.receiver;
  json["donor"] = direction.donor;
  json["equal_depth"] = cut.equal_depth;
  json["receiver_layers"] = cut.receiver_layers;
  json["donor_layers"] = cut.donor_layers;
  for (const planner::PredictorName& predictor : planner::kPredictors)
    json["guides"][predictor.key] = significant_or_null(cut.predictors[planner::index_of(predictor.predictor)]);
  json["fidelity"] = rounded(cut.fidelity);
  json["accuracy"] = cut.accuracy ? Json(rounded(*cut.accuracy)) : Json();
  json["predicted"] = {{"other_cuts", predicted_json(cut.from_other_cuts)},
                       {"other_pairs", predicted_json(cut.from_other_pairs)}};
  return json;
}

Json table_json(const CorrelationTable& table) {
  Json json;
  json["receiver"] = name_or_null(table.receiver);
  json["donor"] = name_or_null(table.donor);
  json["subset"] = table.subset;
  json["against"] = table.against;
  json["cuts"] = table.cuts;
  json["guides"] = Json::array();
  for (const CorrelationTable::Row& row : table.rows) {
    json["guides"].push_back({{"guide", row.predictor},
                              {"pearson", correlation_json(row.pearson)},
                              {"spearman", correlation_json(row.spearman)}});
  }
  return json;
}

Json table_json(const PredictionTable& table) {
  Json json;
  json["receiver"] = name_or_null(table.receiver);
  json["donor"] = name_or_null(table.donor);
  json["predictor"] = table.combined;
  json["learned_from"] = table.learned_from;
  json["cuts"] = table.cuts;
  json["pearson"] = correlation_json(table.pearson);
  json["pearson_above"] = rounded_or_null(table.pearson_above);
  json["mean_error"] = rounded_or_null(table.mean_error);
  json["coverage"] = rounded_or_null(table.coverage);
  json["interval_width"] = rounded_or_null(table.interval_width);
  return json;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + "\"";
}

std::string number(double value) { return std::isnan(value) ? "" : shortest(value); }

}  // namespace

Json to_json(const Validation& validation) {
  Json json;
  json["schema_version"] = kValidationSchemaVersion;
  json["tool"] = {{"name", "repsim"}, {"version", validation.tool_version}};
  json["settings"] = {{"adapters", config::to_string(validation.adapters)},
                      {"refit", validation.refit},
                      {"cuts", validation.cuts_asked},
                      {"seed", validation.seed},
                      {"truth", validation.truth ? Json(*validation.truth) : Json()}};
  json["models"] = Json::array();
  for (const StudiedModel& model : validation.models)
    json["models"].push_back({{"name", model.name}, {"path", model.path}, {"sha256", model.sha256}});
  json["video"] = {
      {"path", validation.video_path}, {"sha256", validation.video_sha256}, {"frame_count", validation.frame_count}};
  if (!validation.videos.empty()) {
    json["videos"] = to_json(validation.videos, {{"calibration", validation.calibration_frames},
                                                 {"trial", validation.trial_frames},
                                                 {"holdout", validation.holdout_frames}});
  }
  json["frames"] = {{"calibration", validation.calibration_frames},
                    {"trial", validation.trial_frames},
                    {"holdout", validation.holdout_frames}};
  json["guides"] = Json::array();
  for (const planner::PredictorName& predictor : planner::kPredictors)
    json["guides"].push_back({{"guide", predictor.key}, {"meaning", predictor.meaning}});
  for (const planner::CombinedPredictor& combined : planner::kCombinedPredictors)
    json["guides"].push_back({{"guide", combined.key}, {"meaning", combined.meaning}});
  json["directions"] = Json::array();
  for (const StudiedDirection& direction : validation.directions) {
    Json one;
    one["receiver"] = direction.receiver;
    one["donor"] = direction.donor;
    one["own_accuracy"] = direction.own_accuracy ? Json(rounded(*direction.own_accuracy)) : Json();
    one["output_error_undefined"] = name_or_null(direction.not_differentiable);
    one["skipped"] = direction.skipped;
    json["directions"].push_back(std::move(one));
  }
  json["correlations"] = Json::array();
  for (const CorrelationTable& table : validation.correlations) json["correlations"].push_back(table_json(table));
  json["predictions"] = Json::array();
  for (const PredictionTable& table : validation.predictions) json["predictions"].push_back(table_json(table));
  json["cuts"] = Json::array();
  for (const StudiedCut& cut : validation.cuts) json["cuts"].push_back(cut_json(validation, cut));
  return json;
}

std::string to_csv(const Validation& validation) {
  std::string csv = "receiver,donor,equal_depth,receiver_layers,donor_layers";
  for (const planner::PredictorName& predictor : planner::kPredictors) csv += std::string(",") + predictor.key;
  csv += ",fidelity,accuracy";
  for (const planner::CombinedPredictor& combined : planner::kCombinedPredictors) {
    for (const char* end : {"", "_low", "_high"}) csv += std::string(",") + combined.key + end;
  }
  csv += "\r\n";
  for (const StudiedCut& cut : validation.cuts) {
    const StudiedDirection& direction = validation.directions[cut.direction];
    csv += quoted(direction.receiver) + "," + quoted(direction.donor) + "," + (cut.equal_depth ? "1" : "0") + "," +
           quoted(join(cut.receiver_layers, " ")) + "," + quoted(join(cut.donor_layers, " "));
    for (const double value : cut.predictors) csv += "," + number(rounded_significant(value));
    csv += "," + number(rounded(cut.fidelity)) + "," + (cut.accuracy ? number(rounded(*cut.accuracy)) : "");
    for (const planner::Predicted& one : cut.from_other_cuts) {
      for (const double value : {one.fidelity, one.low, one.high}) csv += "," + number(rounded(value));
    }
    csv += "\r\n";
  }
  return csv;
}

}  // namespace repsim::report
