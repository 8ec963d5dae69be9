#include <algorithm>
#include <cmath>

#include "format.hpp"
#include "html_parts.hpp"
#include "validation_parts.hpp"

namespace repsim::report {
namespace {

constexpr double kSide = 180, kLeft = 34, kBottom = 30, kTop = 20, kRight = 8;

/// Marks that tell directions apart, in the order of Validation::directions; beyond them they repeat.
constexpr std::array<const char*, 6> kColours{"#1d63d1", "#d9480f", "#2b8a3e", "#862e9c", "#0b7285", "#a61e4d"};
const char* colour_of(std::size_t direction) { return kColours[direction % kColours.size()]; }

struct Point {
  double x = 0, y = 0;
  std::size_t direction = 0;
  bool equal_depth = false;
  std::string hint;
};

/// Guides that spread over powers of ten are drawn on a logarithmic axis.
bool logarithmic(planner::Predictor predictor) {
  return predictor == planner::Predictor::kParameters || predictor == planner::Predictor::kFlops ||
         predictor == planner::Predictor::kElements || predictor == planner::Predictor::kOutputError;
}

std::string scatter(const std::string& title, std::vector<Point> points, bool log_axis, bool unit_axis) {
  std::erase_if(points, [&](const Point& one) { return std::isnan(one.x) || (log_axis && !(one.x > 0)); });
  std::string svg = "<svg width=\"" + px(kSide + kLeft + kRight) + "\" height=\"" + px(kSide + kTop + kBottom) +
                    "\" role=\"img\" aria-label=\"" + escaped(title) +
                    " against fidelity\">\n<text class=\"strong\" x=\"" + px(kLeft) + "\" y=\"12\">" + escaped(title) +
                    "</text>\n";
  if (points.empty()) return svg + "<text x=\"" + px(kLeft) + "\" y=\"40\">undefined</text></svg>\n";
  const auto at = [&](double x) { return log_axis ? std::log10(x) : x; };
  double low = at(points.front().x), high = low;
  for (const Point& one : points) {
    low = std::min(low, at(one.x));
    high = std::max(high, at(one.x));
  }
  if (unit_axis) {
    low = std::max(std::min(low, 0.0), -1.0);
    high = 1;
  }
  if (!(high > low)) high = low + 1;
  const auto x_of = [&](double x) { return kLeft + kSide * std::clamp((at(x) - low) / (high - low), 0.0, 1.0); };
  const auto y_of = [&](double y) { return kTop + kSide * (1 - y); };
  for (const double y : {0.0, 0.5, 1.0}) {
    svg += "<line class=\"grid\" x1=\"" + px(kLeft) + "\" x2=\"" + px(kLeft + kSide) + "\" y1=\"" + px(y_of(y)) +
           "\" y2=\"" + px(y_of(y)) + "\"/><text text-anchor=\"end\" x=\"" + px(kLeft - 5) + "\" y=\"" +
           px(y_of(y) + 4) + "\">" + fixed(y, 1) + "</text>\n";
  }
  const auto label = [&](double value, const char* anchor, double x) {
    const double shown = log_axis ? std::pow(10.0, value) : value;
    const std::string text =
        log_axis && shown >= 1000 ? human_count(static_cast<std::int64_t>(shown)) : fixed(shown, shown < 0.1 ? 3 : 2);
    return std::string("<text text-anchor=\"") + anchor + "\" x=\"" + px(x) + "\" y=\"" + px(kTop + kSide + 16) +
           "\">" + escaped(text) + "</text>\n";
  };
  svg += "<rect class=\"axis\" x=\"" + px(kLeft) + "\" y=\"" + px(kTop) + "\" width=\"" + px(kSide) + "\" height=\"" +
         px(kSide) + "\"/>\n" + label(low, "start", kLeft) + label(high, "end", kLeft + kSide);
  for (const Point& one : points) {
    const std::string place = "cx=\"" + px(x_of(one.x)) + "\" cy=\"" + px(y_of(one.y)) + "\" r=\"3\"";
    svg += "<circle " + place + " fill=\"" + (one.equal_depth ? colour_of(one.direction) : "none") + "\" stroke=\"" +
           colour_of(one.direction) + "\" fill-opacity=\"0.7\"><title>" + escaped(one.hint) + "</title></circle>\n";
  }
  return svg + "</svg>\n";
}

std::string hint_of(const Validation& validation, const StudiedCut& cut) {
  const StudiedDirection& direction = validation.directions[cut.direction];
  std::string text = direction.receiver + kArrow + direction.donor;
  for (std::size_t i = 0; i < cut.receiver_layers.size(); ++i)
    text += "\n" + cut.receiver_layers[i] + kArrow + cut.donor_layers[i];
  return text + "\nfidelity " + fixed(cut.fidelity, 3);
}

std::string legend(const Validation& validation) {
  std::string html = "<div class=\"facts\">";
  for (std::size_t i = 0; i < validation.directions.size(); ++i) {
    const StudiedDirection& direction = validation.directions[i];
    html += std::string(
                "<span><svg width=\"12\" height=\"12\" style=\"display:inline-block\"><circle cx=\"6\" cy=\"6\" "
                "r=\"4\" fill=\"") +
            colour_of(i) + "\"/></svg> " + escaped(direction.receiver + kArrow + direction.donor) + "</span>\n";
  }
  return html + "<span class=\"muted\">filled: equal depth; open: donor layers of other depths</span></div>\n";
}

std::string scatters(const Validation& validation) {
  std::string html = "<section>\n<h2>Each guide against measured fidelity</h2>\n" + legend(validation) +
                     "<div style=\"display:flex;flex-wrap:wrap;gap:18px 20px\">\n";
  const auto points = [&](const auto& value) {
    std::vector<Point> result;
    for (const StudiedCut& cut : validation.cuts)
      result.push_back({value(cut), cut.fidelity, cut.direction, cut.equal_depth, hint_of(validation, cut)});
    return result;
  };
  for (const planner::PredictorName& predictor : planner::kPredictors) {
    html +=
        scatter(predictor.title,
                points([&](const StudiedCut& cut) { return cut.predictors[planner::index_of(predictor.predictor)]; }),
                logarithmic(predictor.predictor), !logarithmic(predictor.predictor));
  }
  for (std::size_t i = 0; i < planner::kCombinedPredictors.size(); ++i) {
    html += scatter(planner::kCombinedPredictors[i].title,
                    points([&](const StudiedCut& cut) { return cut.from_other_cuts[i].fidelity; }), false, true);
  }
  return html + "</div>\n</section>\n";
}

std::string heading(const std::string& receiver, const std::string& donor) {
  return receiver.empty() ? "All directions" : receiver + kArrow + donor;
}

std::string column_title(const std::string& subset, const std::string& against) {
  const std::string measured = against == "accuracy" ? "AP" : "fidelity";
  if (subset == "equal-depth") return measured + ", equal depth";
  return subset == "all" ? measured : measured + ", above 0.8";
}

std::string correlations(const Validation& validation) {
  std::string html =
      "<section>\n<h2>Correlations</h2>\n<p class=\"muted\">Pearson's r over cuts, with 90 % bootstrap "
      "intervals; Spearman's rank correlation in validation.json.</p>\n";
  for (const CorrelationTable& all : validation.correlations) {
    if (all.subset != "all" || all.against != "fidelity") continue;
    html += "<h3>" + escaped(heading(all.receiver, all.donor)) + "</h3>\n<div class=\"scroll\"><table>\n";
    std::vector<const CorrelationTable*> tables;
    std::vector<std::string> titles{"guide"};
    for (const char* against : {"fidelity", "accuracy"}) {
      for (const char* subset : {"all", "equal-depth", "fidelity-above-0.8"}) {
        const CorrelationTable* table = find_table(validation, all.receiver, all.donor, subset, against);
        if (table == nullptr) continue;
        tables.push_back(table);
        titles.push_back(column_title(subset, against) + " (" + std::to_string(table->cuts) + ")");
      }
    }
    html += table_row(titles, 1, "th");
    for (std::size_t row = 0; row < all.rows.size(); ++row) {
      std::vector<std::string> cells{"<span style=\"white-space:nowrap\">" +
                                     escaped(title_of(all.rows[row].predictor)) + "</span>"};
      for (const CorrelationTable* table : tables) {
        const planner::Correlation& one = table->rows[row].pearson;
        cells.push_back(fixed(one.value, 2) + " <span class=\"muted\">" + escaped(interval_text(one)) + "</span>");
      }
      html += table_row(cells, 1);
    }
    html += "</table></div>\n";
  }
  return html + "</section>\n";
}

std::string predictions(const Validation& validation) {
  std::string html =
      "<section>\n<h2>Predicted against measured fidelity, out of sample</h2>\n<div "
      "class=\"scroll\"><table>\n";
  html += table_row(
      {"", "predictor", "learned from", "cuts", "Pearson", "above 0.8", "mean error", "in interval", "interval width"},
      3, "th");
  for (const PredictionTable& one : validation.predictions) {
    html += table_row({escaped(heading(one.receiver, one.donor)), escaped(title_of(one.combined)),
                       escaped(learned_from_text(one.learned_from)), std::to_string(one.cuts),
                       fixed(one.pearson.value, 2), fixed(one.pearson_above, 2), fixed(one.mean_error, 3),
                       fixed(100 * one.coverage, 0) + " %", fixed(one.interval_width, 2)},
                      3);
  }
  return html + "</table></div>\n</section>\n";
}

}  // namespace

std::string html(const Validation& validation) {
  std::string names;
  for (const StudiedModel& model : validation.models) names += (names.empty() ? "" : ", ") + model.name;
  const std::string title = "What foretells fidelity";
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>repsim: " +
      title + "</title>\n<style>" + std::string(style_sheet()) +
      "</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"eyebrow\">repsim validate</p>\n<h1>" + title +
      "</h1>\n<p class=\"lead\">" +
      escaped(counted(static_cast<std::int64_t>(validation.cuts.size()), "cut") + " between " + names + " on " +
              validation.video_path + ": fitted on " +
              counted(static_cast<std::int64_t>(validation.calibration_frames.size()), "frame") + ", measured on " +
              counted(static_cast<std::int64_t>(validation.holdout_frames.size()), "later frame")) +
      ".</p>\n</header>\n";
  page += scatters(validation) + correlations(validation);
  if (!validation.predictions.empty()) page += predictions(validation);
  page += "<section>\n<h2>What the guides are</h2>\n<table>\n";
  for (const planner::PredictorName& predictor : planner::kPredictors)
    page += table_row({escaped(predictor.title), escaped(predictor.meaning)}, 2);
  for (const planner::CombinedPredictor& combined : planner::kCombinedPredictors)
    page += table_row({escaped(combined.title), escaped(combined.meaning)}, 2);
  page += "</table>\n</section>\n";
  return page + "<footer>repsim " + escaped(validation.tool_version) +
         ". The same in machine-readable form: validation.json, validation.csv.</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace repsim::report
