#include <algorithm>
#include <optional>
#include <string>
#include <vector>

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

/// What the original keeps of its own detections on changed frames.
struct Baseline {
  double value = 0;
  const char* name;
  const char* change;
};

/// Those that were measured, by value.
std::vector<Baseline> baselines_of(const Fidelity& fidelity) {
  std::vector<Baseline> baselines;
  const auto add = [&baselines](const std::optional<double>& value, const char* name, const char* change) {
    if (value) baselines.push_back({*value, name, change});
  };
  if (fidelity.bit_identical) return baselines;
  add(fidelity.jpeg95, "95", "after JPEG 95");
  add(fidelity.jpeg80, "80", "after JPEG 80");
  add(fidelity.shift_one_pixel, "1px", "shifted by one pixel");
  std::stable_sort(baselines.begin(), baselines.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
  return baselines;
}

Json ticks_view(const Axis& axis, const std::vector<Baseline>& baselines) {
  Json list = Json::array();
  for (const Baseline& one : baselines)
    list.push_back({{"x", px(axis.x(one.value))}, {"change", one.change}, {"value", fixed(one.value, 3)}});
  return list;
}

/// The names below the ticks. Those of ticks that are close to each other are one text.
Json tick_names_view(const Axis& axis, const std::vector<Baseline>& baselines) {
  constexpr double kLetter = 6.5, kGap = 4;
  struct Name {
    std::string text;
    double from = 0, to = 0;  ///< of its ticks
    [[nodiscard]] double half_width() const { return kLetter * static_cast<double>(text.size()) / 2; }
    [[nodiscard]] double middle() const { return std::min((from + to) / 2, kRight + 8 - half_width()); }
  };
  std::vector<Name> names;
  for (const Baseline& one : baselines) {
    const Name name{one.name, axis.x(one.value), axis.x(one.value)};
    names.push_back(name);
    while (names.size() > 1) {
      Name& before = names[names.size() - 2];
      const Name& last = names.back();
      if (last.middle() - last.half_width() > before.middle() + before.half_width() + kGap) break;
      before.text += " " + last.text;
      before.to = last.to;
      names.pop_back();
    }
  }
  Json list = Json::array();
  for (const Name& name : names) list.push_back({{"x", px(name.middle())}, {"anchor", "middle"}, {"text", name.text}});
  return list;
}

/// What a model finds on the frames on which the figures rest. Nothing: the plan does not say.
Json basis_view(const ModelEntry& model) {
  if (!model.evidence) return {};
  const ModelEvidence& evidence = *model.evidence;
  const auto part = [](const PartEvidence& of) {
    return counted(of.detections, "object") + " on " + counted(of.frames, "frame");
  };
  return part(evidence.selection) + " chose, " + part(evidence.test) + " judged (" + grouped(evidence.wanted) +
         " wanted each)";
}

Json chart_view(const Axis& axis, const Fidelity& fidelity, std::optional<double> target) {
  const std::vector<Baseline> baselines = baselines_of(fidelity);
  Json ends = Json::array();
  for (const double end : {axis.start(), 1.0}) ends.push_back({{"x", px(axis.x(end))}, {"value", fixed(end, 1)}});
  const double low = axis.x(fidelity.interval.low), high = axis.x(fidelity.interval.high);
  return {{"ends", ends},
          {"label", "fidelity " + fidelity_text(fidelity.value) + ", 90 % interval " + interval_text(fidelity)},
          {"baselines", ticks_view(axis, baselines)},
          {"baseline_names", tick_names_view(axis, baselines)},
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
          {"videos", videos_in_words(model.fidelity, min_fidelity(plan, model.name))},
          {"evidence", text_or_null(evidence_in_words(model))},
          {"basis", basis_view(model)},
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
