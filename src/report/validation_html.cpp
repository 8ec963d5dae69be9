#include <algorithm>
#include <array>
#include <cmath>

#include "format.hpp"
#include "html_parts.hpp"
#include "template.hpp"
#include "validation_parts.hpp"

namespace repsim::report {
namespace {

constexpr double kSide = 180, kLeft = 34, kTop = 20;  // the square of scatter.html

/// Colours of the directions, in the order of Validation::directions; the seventh has the first colour again.
constexpr std::array<const char*, 6> kColours{"#1d63d1", "#d9480f", "#2b8a3e", "#862e9c", "#0b7285", "#a61e4d"};
const char* colour_of_direction(std::size_t direction) { return kColours[direction % kColours.size()]; }

std::string name_of(const StudiedDirection& direction) { return direction.receiver + kArrow + direction.donor; }

/// Predictors that spread over powers of ten are drawn on a logarithmic axis.
bool is_logarithmic(planner::Predictor predictor) {
  return predictor == planner::Predictor::kParameters || predictor == planner::Predictor::kFlops ||
         predictor == planner::Predictor::kElements || predictor == planner::Predictor::kOutputError;
}

// ---- Plots ----

/// A value to the right, logarithmic or from at most 0 to 1; fidelity up.
class Scale {
 public:
  /// @param values  at least one, none of them NaN
  Scale(const std::vector<double>& values, bool logarithmic) : logarithmic_(logarithmic) {
    low_ = high_ = at(values.front());
    for (const double value : values) {
      low_ = std::min(low_, at(value));
      high_ = std::max(high_, at(value));
    }
    if (!logarithmic_) {
      low_ = std::max(std::min(low_, 0.0), -1.0);
      high_ = 1;
    }
    if (high_ <= low_) high_ = low_ + 1;
  }

  [[nodiscard]] double x(double value) const {
    return kLeft + kSide * std::clamp((at(value) - low_) / (high_ - low_), 0.0, 1.0);
  }
  [[nodiscard]] static double y(double fidelity) { return kTop + kSide * (1 - fidelity); }
  [[nodiscard]] std::string low() const { return end_text(low_); }
  [[nodiscard]] std::string high() const { return end_text(high_); }

 private:
  [[nodiscard]] double at(double value) const { return logarithmic_ ? std::log10(value) : value; }
  [[nodiscard]] std::string end_text(double end) const {
    const double value = logarithmic_ ? std::pow(10.0, end) : end;
    if (logarithmic_ && value >= 1000) return human_count(static_cast<std::int64_t>(value));
    return fixed(value, value < 0.1 ? 3 : 2);
  }

  bool logarithmic_;
  double low_ = 0, high_ = 0;
};

Json axes_view(const Scale& scale) {
  Json fidelities = Json::array();
  for (const double fidelity : {0.0, 0.5, 1.0}) {
    fidelities.push_back(
        {{"y", px(Scale::y(fidelity))}, {"text_y", px(Scale::y(fidelity) + 4)}, {"value", fixed(fidelity, 1)}});
  }
  return {{"fidelities", fidelities}, {"low", scale.low()}, {"high", scale.high()}};
}

Json point_view(const Validation& validation, const StudiedCut& cut, double x) {
  Json layers = Json::array();
  for (std::size_t i = 0; i < cut.receiver_layers.size(); ++i)
    layers.push_back(cut.receiver_layers[i] + kArrow + cut.donor_layers[i]);
  const char* colour = colour_of_direction(cut.direction);
  return {{"x", px(x)},
          {"y", px(Scale::y(cut.fidelity))},
          {"fill", cut.equal_depth ? colour : "none"},
          {"colour", colour},
          {"direction", name_of(validation.directions[cut.direction])},
          {"layers", layers},
          {"fidelity", fixed(cut.fidelity, 3)}};
}

/// A plot of value(cut) against fidelity. It leaves out NaN and, on a logarithmic axis, values of 0 or less.
template <typename Value>
Json plot_view(const Validation& validation, const char* title, bool logarithmic, const Value& value) {
  std::vector<double> values;
  std::vector<const StudiedCut*> cuts;
  for (const StudiedCut& cut : validation.cuts) {
    const double x = value(cut);
    if (std::isnan(x) || (logarithmic && x <= 0)) continue;
    values.push_back(x);
    cuts.push_back(&cut);
  }
  Json plot{{"title", title}, {"undefined", cuts.empty()}, {"axes", nullptr}, {"points", Json::array()}};
  if (cuts.empty()) return plot;
  const Scale scale(values, logarithmic);
  plot["axes"] = axes_view(scale);
  for (std::size_t i = 0; i < cuts.size(); ++i)
    plot["points"].push_back(point_view(validation, *cuts[i], scale.x(values[i])));
  return plot;
}

Json plots_view(const Validation& validation) {
  Json plots = Json::array();
  for (const planner::PredictorName& predictor : planner::kPredictors) {
    plots.push_back(
        plot_view(validation, predictor.title, is_logarithmic(predictor.predictor),
                  [&](const StudiedCut& cut) { return cut.predictors[planner::index_of(predictor.predictor)]; }));
  }
  for (std::size_t i = 0; i < planner::kCombinedPredictors.size(); ++i) {
    plots.push_back(plot_view(validation, planner::kCombinedPredictors[i].title, false,
                              [&](const StudiedCut& cut) { return cut.from_other_cuts[i].fidelity; }));
  }
  return plots;
}

// ---- Tables ----

std::string heading(const std::string& receiver, const std::string& donor) {
  return receiver.empty() ? "All directions" : receiver + kArrow + donor;
}

std::string column_title(const CorrelationTable& table) {
  const std::string measured = table.against == "accuracy" ? "AP" : "fidelity";
  const std::string of = table.subset == "equal-depth" ? ", equal depth" : table.subset == "all" ? "" : ", above 0.8";
  return measured + of + " (" + std::to_string(table.cuts) + ")";
}

/// @param all  the table of all cuts against fidelity; the columns beside it are the other tables of its direction
Json correlation_view(const Validation& validation, const CorrelationTable& all) {
  std::vector<const CorrelationTable*> tables;
  Json columns = Json::array(), rows = Json::array();
  for (const char* against : {"fidelity", "accuracy"}) {
    for (const char* subset : {"all", "equal-depth", "fidelity-above-0.8"}) {
      const CorrelationTable* table = find_table(validation, all.receiver, all.donor, subset, against);
      if (table == nullptr) continue;
      tables.push_back(table);
      columns.push_back(column_title(*table));
    }
  }
  for (std::size_t row = 0; row < all.rows.size(); ++row) {
    Json cells = Json::array();
    for (const CorrelationTable* table : tables) {
      const planner::Correlation& pearson = table->rows[row].pearson;
      cells.push_back({{"value", fixed(pearson.value, 2)}, {"interval", interval_text(pearson)}});
    }
    rows.push_back({{"predictor", title_of(all.rows[row].predictor)}, {"cells", cells}});
  }
  return {{"heading", heading(all.receiver, all.donor)}, {"columns", columns}, {"rows", rows}};
}

Json correlations_view(const Validation& validation) {
  Json list = Json::array();
  for (const CorrelationTable& table : validation.correlations) {
    if (table.subset == "all" && table.against == "fidelity") list.push_back(correlation_view(validation, table));
  }
  return list;
}

Json predictions_view(const Validation& validation) {
  if (validation.predictions.empty()) return {};
  Json rows = Json::array();
  for (const PredictionTable& one : validation.predictions) {
    rows.push_back({{"heading", heading(one.receiver, one.donor)},
                    {"predictor", title_of(one.combined)},
                    {"learned_from", learned_from_text(one.learned_from)},
                    {"cuts", std::to_string(one.cuts)},
                    {"pearson", fixed(one.pearson.value, 2)},
                    {"above", fixed(one.pearson_above, 2)},
                    {"mean_error", fixed(one.mean_error, 3)},
                    {"in_interval", fixed(100 * one.coverage, 0) + " %"},
                    {"interval_width", fixed(one.interval_width, 2)}});
  }
  return {{"rows", rows}};
}

Json directions_view(const Validation& validation) {
  Json list = Json::array();
  for (std::size_t i = 0; i < validation.directions.size(); ++i)
    list.push_back({{"colour", colour_of_direction(i)}, {"name", name_of(validation.directions[i])}});
  return list;
}

Json meanings_view() {
  Json list = Json::array();
  for (const planner::PredictorName& one : planner::kPredictors)
    list.push_back({{"title", one.title}, {"meaning", one.meaning}});
  for (const planner::CombinedPredictor& one : planner::kCombinedPredictors)
    list.push_back({{"title", one.title}, {"meaning", one.meaning}});
  return list;
}

}  // namespace

std::string html(const Validation& validation) {
  std::vector<std::string> names;
  for (const StudiedModel& model : validation.models) names.push_back(model.name);
  const auto count = [](const auto& list, const char* what) {
    return counted(static_cast<std::int64_t>(list.size()), what);
  };
  return filled_in("validation.html", {{"title", "What predicts fidelity"},
                                       {"cuts", count(validation.cuts, "cut")},
                                       {"model_names", join(names, ", ")},
                                       {"video", validation.video_path},
                                       {"calibration_frames", count(validation.calibration_frames, "frame")},
                                       {"holdout_frames", count(validation.holdout_frames, "later frame")},
                                       {"directions", directions_view(validation)},
                                       {"plots", plots_view(validation)},
                                       {"correlations", correlations_view(validation)},
                                       {"predictions", predictions_view(validation)},
                                       {"predictors", meanings_view()},
                                       {"tool_version", validation.tool_version}});
}

}  // namespace repsim::report
