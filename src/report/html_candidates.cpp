#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "format.hpp"
#include "html_parts.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

constexpr double kLeft = 56, kTop = 24, kBottom = 280;  // the axes in candidates_chart.html

/// How wide the chart is drawn: once for a page of a desk's screen, once for a telephone's. The style sheet shows one.
struct Width {
  const char* name;
  bool wide;     // then the target's name fits behind its line
  double right;  // where the axis ends
  double margin;
  double most_ticks;
};
constexpr std::array kWidths{Width{"wide", true, 840, 90, 6}, Width{"narrow", false, 316, 8, 3}};

/// Steps of 1, 2 or 5 times a power of ten: at most about `most` over the range.
double tick_step(double range, double most) {
  const double power = std::pow(10, std::floor(std::log10(range / most)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (range / (power * factor) <= most) return power * factor;
  }
  return power * 10;
}

/// Bytes saved to the right, fidelity up.
class Scale {
 public:
  Scale(const Plan& plan, const Width& width) : right_(width.right), most_ticks_(width.most_ticks) {
    double lowest = min_fidelity(plan).value_or(1);
    for (const Candidate& candidate : plan.candidates) {
      least_ = std::min(least_, static_cast<double>(candidate.bytes_saved));
      most_ = std::max(most_, static_cast<double>(candidate.bytes_saved));
      lowest = std::min({lowest, candidate.predicted_fidelity, candidate.measured_fidelity.value_or(1)});
    }
    most_ = std::max(most_, least_ + 1);
    low_ = std::clamp(std::floor((lowest - 0.02) * 10) / 10, 0.0, 0.9);
  }

  [[nodiscard]] double x(double bytes) const {
    return kLeft + (right_ - kLeft) * (bytes - least_) / (most_ - least_) * 0.97;
  }
  [[nodiscard]] double y(double fidelity) const {
    return kBottom - (kBottom - kTop) * (std::clamp(fidelity, low_, 1.0) - low_) / (1 - low_);
  }

  [[nodiscard]] double right() const { return right_; }

  [[nodiscard]] Json fidelity_ticks() const {
    Json ticks = Json::array();
    const double step = tick_step(1 - low_, 6);
    for (double fidelity = low_; fidelity <= 1 + 1e-9; fidelity += step)
      ticks.push_back({{"y", px(y(fidelity))}, {"text_y", px(y(fidelity) + 4)}, {"value", fixed(fidelity, 2)}});
    return ticks;
  }

  [[nodiscard]] Json byte_ticks() const {
    Json ticks = Json::array();
    const double step = tick_step(most_ - least_, most_ticks_);
    for (double bytes = std::ceil(least_ / step) * step; bytes <= most_; bytes += step)
      ticks.push_back({{"x", px(x(bytes))}, {"value", human_bytes(std::llround(bytes))}});
    return ticks;
  }

 private:
  double right_, most_ticks_;
  double least_ = 0, most_ = 0, low_ = 0;
};

Json mark_view(const Scale& scale, const Candidate& candidate) {
  Json mark{
      {"title", title_of(candidate) + ", " + taken_in_words(candidate) + (candidate.weights ? " shared" : " replaced")},
      {"saves", human_bytes(candidate.bytes_saved)},
      {"predicted", fidelity_text(candidate.predicted_fidelity)},
      {"reason", candidate.reason},
      {"x", px(scale.x(static_cast<double>(candidate.bytes_saved)))},
      {"predicted_y", px(scale.y(candidate.predicted_fidelity))},
      {"measured", nullptr}};
  if (candidate.measured_fidelity) {
    mark["measured"] = {{"value", fidelity_text(*candidate.measured_fidelity)},
                        {"y", px(scale.y(*candidate.measured_fidelity))},
                        {"kind", candidate.chosen ? "chosen" : "measured"},
                        {"fill", candidate.chosen ? "#1d63d1" : "#b3bdc9"},
                        {"radius", candidate.chosen ? "7" : "4.5"}};
  }
  return mark;
}

/// Per receiver the measured candidates that no other measured one beats in both saving and fidelity.
std::map<std::string, std::vector<const Candidate*>> fronts_of(const Plan& plan) {
  std::map<std::string, std::vector<const Candidate*>> fronts;
  for (const Candidate& candidate : plan.candidates) {
    if (candidate.measured_fidelity) fronts[candidate.receiver].push_back(&candidate);
  }
  for (auto& [receiver, front] : fronts) {
    std::sort(front.begin(), front.end(), [](const Candidate* a, const Candidate* b) {
      return std::pair(-a->bytes_saved, -*a->measured_fidelity) < std::pair(-b->bytes_saved, -*b->measured_fidelity);
    });
    double best = -1;  // of those that save more
    std::erase_if(front, [&best](const Candidate* one) {
      if (*one->measured_fidelity <= best) return true;
      best = *one->measured_fidelity;
      return false;
    });
  }
  return fronts;
}

Json front_lines(const Scale& scale, const Plan& plan) {
  constexpr std::array kDashes{"", "7 4", "2 3"};
  Json lines = Json::array();
  const auto fronts = fronts_of(plan);
  const bool several =
      std::count_if(fronts.begin(), fronts.end(), [](const auto& one) { return one.second.size() > 1; }) > 1;
  for (const auto& [receiver, front] : fronts) {
    if (front.size() < 2) continue;
    std::string path;
    for (const Candidate* one : front)
      path += (path.empty() ? "M" : "L") + px(scale.x(static_cast<double>(one->bytes_saved))) + " " +
              px(scale.y(*one->measured_fidelity));
    Json line{
        {"receiver", receiver}, {"path", path}, {"dash", kDashes[lines.size() % kDashes.size()]}, {"name", nullptr}};
    if (several) {
      const double x = scale.x(static_cast<double>(front.back()->bytes_saved));  // its left end
      line["name"] = {{"x", px(x)},
                      {"y", px(scale.y(*front.back()->measured_fidelity) - 11)},
                      {"anchor", x > scale.right() - 100 ? "end"
                                 : x < kLeft + 60        ? "start"
                                                         : "middle"},
                      {"text", receiver}};
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

/// The target's name stands behind its line, or on it.
Json target_view(const Scale& scale, double fidelity, bool room) {
  return {{"y", px(scale.y(fidelity))},
          {"text_x", px(room ? scale.right() + 6 : scale.right())},
          {"text_y", px(scale.y(fidelity) + (room ? 4 : -4))},
          {"anchor", room ? "start" : "end"},
          {"value", shortest(fidelity)}};
}

Json chart_view(const Plan& plan, const Width& width) {
  const Scale scale(plan, width);
  Json chart{{"name", width.name},
             {"hidden", !width.wide},  // where the style sheet is blocked
             {"width", px(width.right + width.margin)},
             {"right", px(width.right)},
             {"fidelity_ticks", scale.fidelity_ticks()},
             {"byte_ticks", scale.byte_ticks()},
             {"lines", front_lines(scale, plan)},
             {"target", nullptr}};
  if (const auto target = min_fidelity(plan)) chart["target"] = target_view(scale, *target, width.wide);
  chart["marks"] = Json::array();
  // Chosen candidates go last, on top.
  for (const bool chosen : {false, true}) {
    for (const Candidate& candidate : plan.candidates) {
      if (candidate.chosen == chosen) chart["marks"].push_back(mark_view(scale, candidate));
    }
  }
  return chart;
}

Json row_view(const Candidate& candidate) {
  Json layers = Json::array();
  for (const std::string& layer : candidate.receiver_layers)
    layers.push_back({{"more", !layers.empty()}, {"name", layer}});
  if (candidate.weights) {
    const std::string weights = "weights of " + counted(candidate.weights->layers, "layer");
    layers.push_back({{"more", !layers.empty()}, {"name", weights}});
  }
  return {{"title", title_of(candidate, kArrow)},
          {"layers", layers},
          {"chosen", candidate.chosen},
          {"reason", candidate.reason},
          {"similarity", fixed(candidate.similarity, 2)},
          {"saves", human_bytes(candidate.bytes_saved)},
          {"predicted", fidelity_text(candidate.predicted_fidelity)},
          {"measured", candidate.measured_fidelity ? fidelity_text(*candidate.measured_fidelity) : "-"}};
}

}  // namespace

Json front_view(const Plan& plan) {
  Json charts = Json::array();
  for (const Width& width : kWidths) charts.push_back(chart_view(plan, width));
  return {{"charts", charts}};
}

Json candidates_view(const Plan& plan) {
  Json list = Json::array();
  for (const Candidate& candidate : plan.candidates) list.push_back(row_view(candidate));
  return {{"search", search_in_words(plan)}, {"list", list}};
}

}  // namespace repsim::report
