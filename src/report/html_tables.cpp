#include <algorithm>
#include <array>
#include <optional>

#include "format.hpp"
#include "html_parts.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

std::string bar(const char* name, const char* css_class, std::int64_t value, std::int64_t largest,
                const std::string& text) {
  const double part = largest > 0 ? 100.0 * static_cast<double>(value) / static_cast<double>(largest) : 0;
  return "<div class=\"bar\"><span class=\"unit\">" + std::string(name) + "</span><div class=\"track\"><div class=\"" +
         css_class + "\" style=\"width:" + px(part) + "%\"></div></div>" + span("value", text) + "</div>\n";
}

/// @param deduplicated  with what is identical stored or computed once; none: the plan does not say
std::string total(const char* name, std::int64_t before, std::optional<std::int64_t> deduplicated, std::int64_t after,
                  std::string (*text)(std::int64_t)) {
  const std::int64_t largest = std::max({before, deduplicated.value_or(0), after});
  std::string change = percent_change(before, after);
  std::string bars = bar("before", "before", before, largest, text(before));
  if (deduplicated) {
    change += ", " + percent_change(*deduplicated, after) + " of deduplicated";
    bars += bar("dedup.", "before", *deduplicated, largest, text(*deduplicated));
  }
  return "<div class=\"total\"><h3><span>" + std::string(name) + "</span>" + span("", change) + "</h3>\n" + bars +
         bar("after", "after", after, largest, text(after)) + "</div>\n";
}

std::string microseconds(std::int64_t nanoseconds) { return grouped(nanoseconds / 1000) + " us"; }

// ---- The chart of one model's agreement ----

constexpr double kChartWidth = 290, kChartLeft = 10, kChartRight = 280, kChartLine = 16;

/// The scale that the charts of all models share: from a round number below everything shown up to 1.
double scale_start(const Plan& plan) {
  double lowest = min_fidelity(plan).value_or(0.9);
  for (const ModelEntry& model : plan.models) {
    const Fidelity& f = model.fidelity;
    if (f.frames == 0) continue;
    lowest = std::min({lowest, f.value, f.interval.low});
    if (!f.bit_identical) lowest = std::min({lowest, f.jpeg95, f.jpeg80, f.shift_one_pixel});
  }
  return std::clamp(static_cast<double>(static_cast<int>((lowest - 0.01) * 10)) / 10, 0.0, 0.8);
}

class AgreementChart {
 public:
  AgreementChart(double start, const ModelEntry& model, std::optional<double> target) : start_(start) {
    const Fidelity& fidelity = model.fidelity;
    line(start_, 1, "axis");
    for (const double end : {start_, 1.0}) {
      vertical(end, kChartLine - 4, kChartLine + 4, "axis", {});
      label(end, 60, fixed(end, 1));
    }
    if (!fidelity.bit_identical) draw_yardsticks(fidelity);
    if (target) vertical(*target, 2, 50, "target", "asked for: " + shortest(*target));
    draw_value(fidelity);
  }

  [[nodiscard]] std::string text() const {
    return "<svg width=\"" + px(kChartWidth) + "\" height=\"64\" viewBox=\"0 0 " + px(kChartWidth) +
           " 64\" role=\"img\">" + body_ + "</svg>";
  }

 private:
  [[nodiscard]] double x(double value) const {
    return kChartLeft + (kChartRight - kChartLeft) * (std::clamp(value, start_, 1.0) - start_) / (1 - start_);
  }
  void line(double from, double to, const char* css_class) {
    body_ += "<path class=\"" + std::string(css_class) + "\" d=\"M" + px(x(from)) + " " + px(kChartLine) + "H" +
             px(x(to)) + "\"/>";
  }
  void vertical(double value, double from, double to, const char* css_class, const std::string& title) {
    body_ += "<path class=\"" + std::string(css_class) + "\" d=\"M" + px(x(value)) + " " + px(from) + "V" + px(to) +
             "\">" + (title.empty() ? "" : "<title>" + escaped(title) + "</title>") + "</path>";
  }
  void label(double value, double y, const std::string& text) {
    body_ += "<text x=\"" + px(x(value)) + "\" y=\"" + px(y) + "\" text-anchor=\"middle\">" + escaped(text) + "</text>";
  }
  void draw_yardsticks(const Fidelity& fidelity) {
    struct Yardstick {
      double value;
      const char* name;
      const char* title;
    };
    std::array<Yardstick, 3> baselines{
        {{fidelity.jpeg95, "95", "the original against itself after JPEG 95: "},
         {fidelity.jpeg80, "80", "the original against itself after JPEG 80: "},
         {fidelity.shift_one_pixel, "1px", "the original against itself shifted by one pixel: "}}};
    std::sort(baselines.begin(), baselines.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
    constexpr double kLabelWidth = 22;
    double last_label = -kLabelWidth;
    bool lower = false;
    for (const Yardstick& baseline : baselines) {
      vertical(baseline.value, kChartLine - 8, kChartLine + 8, "tick", baseline.title + fixed(baseline.value, 3));
      lower = !lower && x(baseline.value) - last_label < kLabelWidth;
      label(baseline.value, lower ? 48 : 36, baseline.name);
      last_label = x(baseline.value);
    }
  }
  void draw_value(const Fidelity& fidelity) {
    const double low = x(fidelity.interval.low), high = x(fidelity.interval.high);
    body_ += "<rect class=\"interval\" x=\"" + px(low) + "\" y=\"" + px(kChartLine - 6) + "\" width=\"" +
             px(high - low) + "\" height=\"12\" rx=\"3\"><title>90 % interval: " + fixed(fidelity.interval.low, 3) +
             " to " + fixed(fidelity.interval.high, 3) + "</title></rect><circle class=\"dot\" cx=\"" +
             px(x(fidelity.value)) + "\" cy=\"" + px(kChartLine) + "\" r=\"5\"><title>fidelity " +
             fidelity_text(fidelity.value) + "</title></circle>";
  }

  double start_;
  std::string body_;
};

std::string model_row(const Plan& plan, const ModelEntry& model, double scale) {
  const bool measured = model.fidelity.frames > 0;
  std::string what = "<b>" + escaped(model.name) + "</b>" +
                     span("note", std::to_string(model.input.width) + "x" + std::to_string(model.input.height) + ", " +
                                      to_string(model.output.format) + ", " + counted(model.layers, "layer"));
  if (!model.rewritable) what += span("note", "carried whole: " + model.opaque_reason);
  std::string agreement = span("big", measured ? fidelity_text(model.fidelity.value) : "-");
  agreement += span("note", agreement_in_words(model));
  if (const std::string accuracy = accuracy_in_words(model); !accuracy.empty()) agreement += span("note", accuracy);
  const std::int64_t after = bytes_after(plan, model);
  std::string bytes = escaped(human_bytes(model.bytes));
  if (after != model.bytes) bytes += span("note", human_bytes(after) + " after");
  return table_row(
      {what, agreement, measured ? AgreementChart(scale, model, min_fidelity(plan, model.name)).text() : "",
       grouped(model.parameters), bytes, human_count(model.flops)},
      3);
}

std::string replaced_table(const Share& share) {
  const bool mixed = is_mixed(share);
  const std::string from = mixed ? "comes from layer" : "comes from layer of " + escaped(share.donor);
  std::string table = "<div class=\"scroll\"><table>\n" +
                      table_row({"Layer of " + escaped(share.receiver), from, "by", "S", "Residual"}, 3, "th");
  for (const Replaced& replaced : share.replaced) {
    const std::string given =
        span("layer", replaced.donor_layer) + (mixed ? span("note", "of " + replaced.donor) : std::string());
    table += table_row({span("layer", replaced.receiver_layer), given, escaped(means_in_words(replaced)),
                        fixed(replaced.similarity, 3), fixed(replaced.residual, 3)},
                       3);
  }
  return table + "</table></div>\n";
}

std::string share_section(const Share& share) {
  const auto removed = static_cast<std::int64_t>(share.removed_layers.size());
  const bool mixed = is_mixed(share);
  std::string html = "<section>\n<h3>" + escaped(title_of(share, kArrow)) + "</h3>\n" +
                     "<div class=\"facts\"><span><b>" + fidelity_text(share.measured_fidelity) +
                     "</b> fidelity, predicted " + fidelity_text(share.predicted_fidelity) + "</span><span><b>" +
                     human_bytes(share.bytes_removed) + "</b> removed, " + human_bytes(share.bytes_added) +
                     " added</span><span><b>" + human_count(share.flops_removed) + "</b> FLOPs removed, " +
                     human_count(share.flops_added) + " added</span><span><b>" + grouped(removed) +
                     "</b> layers gone</span></div>\n" + replaced_table(share);
  if (!share.auxiliary_inputs.empty()) {
    html += "<p class=\"muted\">The corrections of these maps also read ";
    for (std::size_t i = 0; i < share.auxiliary_inputs.size(); ++i) {
      html += i == 0 ? "" : ", ";
      html += span("layer", share.auxiliary_inputs[i].donor_layer);
      if (mixed) html += " of " + escaped(share.auxiliary_inputs[i].donor);
    }
    html += ".</p>\n";
  }
  if (removed > 0) {
    html += "<details><summary>Layers that are gone</summary><ul class=\"layers\">\n";
    for (const std::string& layer : share.removed_layers) html += "<li>" + span("layer", layer) + "</li>\n";
    html += "</ul></details>\n";
  }
  return html + "</section>\n";
}

}  // namespace

std::string totals_section(const Plan& plan) {
  const auto row = [&](const char* name, auto&& of, std::string (*text)(std::int64_t)) {
    std::optional<std::int64_t> deduplicated;
    if (plan.deduplicated) deduplicated = of(*plan.deduplicated);
    return total(name, of(plan.before), deduplicated, of(plan.after), text);
  };
  std::string html = "<section>\n<h2>Before and after</h2>\n<div class=\"totals\">\n" +
                     row(
                         "Parameter memory", [](const Totals& totals) { return totals.bytes; }, human_bytes) +
                     row(
                         "Parameters", [](const Totals& totals) { return totals.parameters; }, grouped) +
                     row(
                         "FLOPs per frame", [](const Totals& totals) { return totals.flops; }, human_count) +
                     row(
                         "Peak activation memory, predicted",
                         [](const Totals& totals) { return totals.peak_activation_bytes; }, human_bytes);
  if (plan.before.latency_estimate_ns && plan.after.latency_estimate_ns)
    html += row(
        "Latency of a frame, estimated", [](const Totals& totals) { return totals.latency_estimate_ns.value_or(0); },
        microseconds);
  html += "</div>\n";
  if (plan.deduplicated) {
    html +=
        "<p class=\"muted\">Dedup.: the models with what is identical stored and computed once and what nothing uses "
        "left out, nothing shared beyond.</p>\n";
  }
  if (const std::string exact = exact_sharing_in_words(plan.exact); !exact.empty()) {
    html += "<p class=\"muted\">Identical in several models: " + escaped(exact) + ".</p>\n";
  }
  return html + "</section>\n";
}

std::string models_section(const Plan& plan) {
  std::string html =
      "<section>\n<h2>Models: agreement with the original</h2>\n<div class=\"scroll\"><table class=\"models\">\n" +
      table_row({"Model", "Fidelity", "90 % interval and yardsticks", "Parameters", "Bytes", "FLOPs"}, 3, "th");
  const double scale = scale_start(plan);
  for (const ModelEntry& model : plan.models) html += model_row(plan, model, scale);
  return html +
         "</table></div>\n<p class=\"muted\">Dot and band: fidelity on the hold-out frames with its bootstrap "
         "interval. Ticks: the "
         "original against itself on frames recompressed as JPEG 95 and JPEG 80, and shifted by one pixel (1px). "
         "Dashed: the "
         "fidelity asked for.</p>\n</section>\n";
}

std::string shares_section(const Plan& plan) {
  std::string html =
      "<section>\n<h2>Shares</h2>\n<p class=\"muted\">Layers of the receiver (left) whose values come from its donors "
      "(right). S is their similarity, the residual what the fit leaves unexplained.</p>\n";
  for (const Share& share : plan.shares) html += share_section(share);
  return html + "</section>\n";
}

}  // namespace repsim::report
