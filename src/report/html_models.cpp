#include <algorithm>
#include <array>
#include <optional>

#include "format.hpp"
#include "html_parts.hpp"
#include "template.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

constexpr double kLeft = 10, kRight = 280;  // ends of the axis in agreement_chart.html

/// The start of the scale that the charts of all models have: a round number below everything shown. It ends at 1.
double scale_start(const Plan& plan) {
  double lowest = min_fidelity(plan).value_or(0.9);
  for (const ModelEntry& model : plan.models) {
    const Fidelity& f = model.fidelity;
    if (f.frames == 0) continue;
    if (!f.value) continue;
    lowest = std::min({lowest, *f.value, f.interval.low});
    if (f.bit_identical) continue;
    for (const auto& baseline : {f.jpeg95, f.jpeg80, f.shift_one_pixel})
      lowest = std::min(lowest, baseline.value_or(1));
  }
  return std::clamp(static_cast<double>(static_cast<int>((lowest - 0.01) * 10)) / 10, 0.0, 0.8);
}

/// Where fidelities lie on the axis of a chart.
class Axis {
 public:
  explicit Axis(double start) : start_(start) {}
  [[nodiscard]] double start() const { return start_; }
  [[nodiscard]] double x(double value) const {
    return kLeft + (kRight - kLeft) * (std::clamp(value, start_, 1.0) - start_) / (1 - start_);
  }

 private:
  double start_;
};

/// Ticks of the original against itself; labels that would meet their left neighbour stand lower.
Json baselines_view(const Axis& axis, const Fidelity& fidelity) {
  struct Baseline {
    std::optional<double> value;
    const char* name;
    const char* change;
  };
  std::array<Baseline, 3> baselines{{{fidelity.jpeg95, "95", "after JPEG 95"},
                                     {fidelity.jpeg80, "80", "after JPEG 80"},
                                     {fidelity.shift_one_pixel, "1px", "shifted by one pixel"}}};
  std::sort(baselines.begin(), baselines.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
  constexpr double kLabelWidth = 22;
  double last_label = -kLabelWidth;
  bool lower = false;
  Json list = Json::array();
  for (const Baseline& baseline : baselines) {
    if (!baseline.value) continue;
    const double x = axis.x(*baseline.value);
    lower = !lower && x - last_label < kLabelWidth;
    last_label = x;
    list.push_back({{"x", px(x)},
                    {"label_y", lower ? "48" : "36"},
                    {"name", baseline.name},
                    {"change", baseline.change},
                    {"value", fixed(*baseline.value, 3)}});
  }
  return list;
}

Json chart_view(const Axis& axis, const Fidelity& fidelity, std::optional<double> target) {
  Json ends = Json::array();
  for (const double end : {axis.start(), 1.0}) ends.push_back({{"x", px(axis.x(end))}, {"value", fixed(end, 1)}});
  const double low = axis.x(fidelity.interval.low), high = axis.x(fidelity.interval.high);
  return {{"ends", ends},
          {"baselines", fidelity.bit_identical ? Json::array() : baselines_view(axis, fidelity)},
          {"target", target ? Json{{"x", px(axis.x(*target))}, {"value", shortest(*target)}} : Json()},
          {"interval",
           {{"x", px(low)},
            {"width", px(high - low)},
            {"low", fixed(fidelity.interval.low, 3)},
            {"high", fixed(fidelity.interval.high, 3)}}},
          {"dot", {{"x", px(axis.x(*fidelity.value))}, {"value", fidelity_text(fidelity.value)}}}};
}

Json model_view(const Plan& plan, const ModelEntry& model, const Axis& axis) {
  const bool measured = model.fidelity.frames > 0;
  const std::int64_t after = bytes_after(plan, model);
  return {{"name", model.name},
          {"form", std::to_string(model.input.width) + "x" + std::to_string(model.input.height) + ", " +
                       to_string(model.output.format) + ", " + counted(model.layers, "layer")},
          {"opaque_reason", model.rewritable ? Json() : Json(model.opaque_reason)},
          {"fidelity", measured ? fidelity_text(model.fidelity.value) : "-"},
          {"agreement", agreement_in_words(model)},
          {"accuracy", text_or_null(accuracy_in_words(model))},
          {"measured", text_or_null(measured_in_words(model.fidelity))},
          {"evidence", text_or_null(evidence_in_words(model))},
          {"chart", measured && model.fidelity.value ? chart_view(axis, model.fidelity, min_fidelity(plan, model.name))
                                                     : Json()},
          {"parameters", grouped(model.parameters)},
          {"bytes", human_bytes(model.bytes)},
          {"bytes_after", after == model.bytes ? Json() : Json(human_bytes(after))},
          {"flops", human_count(model.flops)}};
}

}  // namespace

Json models_view(const Plan& plan) {
  const Axis axis(scale_start(plan));
  Json rows = Json::array();
  for (const ModelEntry& model : plan.models) rows.push_back(model_view(plan, model, axis));
  return {{"rows", rows}};
}

}  // namespace repsim::report
