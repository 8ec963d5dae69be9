#include <algorithm>
#include <cmath>

#include "format.hpp"
#include "html_parts.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

constexpr double kWidth = 860, kHeight = 330, kLeft = 56, kRight = 840, kTop = 16, kBottom = 280;

/// Steps of 1, 2 or 5 times a power of ten: at most about six over the range.
double tick_step(double range) {
  const double power = std::pow(10, std::floor(std::log10(range / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (range / (power * factor) <= 6) return power * factor;
  }
  return power * 10;
}

class Scatter {
 public:
  explicit Scatter(const Plan& plan) {
    double lowest = min_fidelity(plan).value_or(1);
    for (const Candidate& candidate : plan.candidates) {
      least_ = std::min(least_, static_cast<double>(candidate.bytes_saved));
      most_ = std::max(most_, static_cast<double>(candidate.bytes_saved));
      lowest = std::min({lowest, candidate.predicted_fidelity, candidate.measured_fidelity.value_or(1)});
    }
    most_ = std::max(most_, least_ + 1);
    low_ = std::clamp(std::floor((lowest - 0.02) * 10) / 10, 0.0, 0.9);
    add_axes();
    if (const auto target = min_fidelity(plan)) add_target(*target);
    // What was chosen goes last, on top.
    for (const bool chosen : {false, true}) {
      for (const Candidate& candidate : plan.candidates) {
        if (candidate.chosen == chosen) add(candidate);
      }
    }
  }

  [[nodiscard]] std::string text() const {
    return "<svg width=\"" + px(kWidth) + "\" height=\"" + px(kHeight) + "\" viewBox=\"0 0 " + px(kWidth) + " " +
           px(kHeight) + "\" role=\"img\" aria-label=\"Candidates by bytes saved and fidelity\">\n" + body_ +
           "</svg>\n";
  }

 private:
  [[nodiscard]] double x(double bytes) const {
    return kLeft + (kRight - kLeft) * (bytes - least_) / (most_ - least_) * 0.97;
  }
  [[nodiscard]] double y(double fidelity) const {
    return kBottom - (kBottom - kTop) * (std::clamp(fidelity, low_, 1.0) - low_) / (1 - low_);
  }

  void add_axes() {
    const double step = tick_step(1 - low_);
    for (double fidelity = low_; fidelity <= 1 + 1e-9; fidelity += step) {
      body_ += "<path class=\"grid\" d=\"M" + px(kLeft) + " " + px(y(fidelity)) + "H" + px(kRight) + "\"/><text x=\"" +
               px(kLeft - 8) + "\" y=\"" + px(y(fidelity) + 4) + "\" text-anchor=\"end\">" + fixed(fidelity, 2) +
               "</text>\n";
    }
    const double bytes_step = tick_step(most_ - least_);
    for (double bytes = std::ceil(least_ / bytes_step) * bytes_step; bytes <= most_; bytes += bytes_step) {
      body_ += "<path class=\"axis\" d=\"M" + px(x(bytes)) + " " + px(kBottom) + "v5\"/><text x=\"" + px(x(bytes)) +
               "\" y=\"" + px(kBottom + 18) + "\" text-anchor=\"middle\">" + human_bytes(std::llround(bytes)) +
               "</text>\n";
    }
    body_ += "<path class=\"axis\" d=\"M" + px(kLeft) + " " + px(kBottom) + "H" + px(kRight) + "\"/><text x=\"" +
             px(kRight) + "\" y=\"" + px(kBottom + 38) + "\" text-anchor=\"end\">bytes saved</text><text x=\"" +
             px(kLeft) + "\" y=\"" + px(kBottom + 38) + "\">up: fidelity of the receiver</text>\n";
  }

  void add_target(double target) {
    body_ += "<path class=\"target\" d=\"M" + px(kLeft) + " " + px(y(target)) + "H" + px(kRight) +
             "\"/><text class=\"target-name\" x=\"" + px(kRight) + "\" y=\"" + px(y(target) - 5) +
             "\" text-anchor=\"end\">asked for: " + shortest(target) + "</text>\n";
  }

  void add(const Candidate& candidate) {
    const double at = x(static_cast<double>(candidate.bytes_saved)), predicted = y(candidate.predicted_fidelity);
    const std::string title =
        title_of(candidate) + ", " + counted(static_cast<std::int64_t>(candidate.receiver_layers.size()), "layer") +
        " replaced\nsaves " + human_bytes(candidate.bytes_saved) + ", predicted " +
        fidelity_text(candidate.predicted_fidelity) +
        (candidate.measured_fidelity ? ", measured " + fidelity_text(*candidate.measured_fidelity) : "") + "\n" +
        candidate.reason;
    body_ += "<g><title>" + escaped(title) + "</title>";
    if (candidate.measured_fidelity) {
      const double measured = y(*candidate.measured_fidelity);
      body_ += "<path class=\"link\" d=\"M" + px(at) + " " + px(predicted) + "V" + px(measured) + "\"/>" +
               circle("predicted", at, predicted, 3) +
               circle(candidate.chosen ? "chosen" : "measured", at, measured, candidate.chosen ? 7 : 4.5);
    } else {
      body_ += circle("predicted", at, predicted, 3);
    }
    body_ += "</g>\n";
  }

  static std::string circle(const char* css_class, double x, double y, double radius) {
    return "<circle class=\"" + std::string(css_class) + "\" cx=\"" + px(x) + "\" cy=\"" + px(y) + "\" r=\"" +
           px(radius) + "\"/>";
  }

  double least_ = 0, most_ = 0, low_ = 0;
  std::string body_;
};

std::string layers_cell(const std::vector<std::string>& layers) {
  std::string cell;
  for (const std::string& layer : layers) cell += (cell.empty() ? "" : "<br/>") + span("layer", layer);
  return cell;
}

std::string candidates_table(const Plan& plan) {
  std::string table =
      "<details><summary>All candidates and why they were taken or not</summary>\n<div class=\"scroll\"><table>\n" +
      table_row({"Share", "Layers of the receiver", "Verdict", "S", "Saves", "Predicted", "Measured"}, 3, "th");
  for (const Candidate& candidate : plan.candidates) {
    table += table_row({escaped(title_of(candidate, kArrow)), layers_cell(candidate.receiver_layers),
                        (candidate.chosen ? "<span class=\"pill\">chosen</span> " : "") + escaped(candidate.reason),
                        fixed(candidate.similarity, 2), human_bytes(candidate.bytes_saved),
                        fidelity_text(candidate.predicted_fidelity),
                        candidate.measured_fidelity ? fidelity_text(*candidate.measured_fidelity) : "-"},
                       3);
  }
  return table + "</table></div></details>\n";
}

}  // namespace

std::string candidates_section(const Plan& plan) {
  return "<section>\n<h2>What was tried</h2>\n<p>repsim " + escaped(search_in_words(plan)) + ".</p>\n" +
         Scatter(plan).text() +
         "<p class=\"muted\">Hollow: predicted. Filled: measured on the hold-out frames, joined to its prediction. "
         "Blue: chosen.</p>\n" +
         candidates_table(plan) + "</section>\n";
}

}  // namespace repsim::report
