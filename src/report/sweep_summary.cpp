#include <algorithm>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/sweep_report.hpp"
#include "sweep_tree.hpp"

namespace repsim::report {
namespace {

constexpr double kUnknownFidelity = -1;  // below every fidelity

double worst_of(const SweepPlan& plan) {
  return plan.figures->worst ? plan.figures->worst->fidelity : kUnknownFidelity;
}

Json worst_json(const PlanFigures& figures) {
  if (!figures.worst) return {};
  const WorstModel& worst = *figures.worst;
  return {{"model", worst.name},
          {"fidelity", rounded(worst.fidelity)},
          {"interval", {{"low", rounded(worst.interval.low)}, {"high", rounded(worst.interval.high)}}},
          {"frames", worst.frames},
          {"own_detections", worst.is_raw ? Json() : Json(worst.own_detections)}};
}

Json figures_json(const PlanFigures& figures) {
  return {{"bytes_before", figures.bytes_before},
          {"bytes_after", figures.bytes_after},
          {"bytes_saved", figures.bytes_saved()},
          {"peak_activation_bytes", figures.peak_activation_bytes},
          {"shares", figures.shares},
          {"worst", worst_json(figures)},
          {"unmeasured", figures.unmeasured}};
}

Json plan_json(const SweepPlan& plan) {
  Json values = Json::object();
  for (const auto& [key, value] : plan.values) values[key] = value;
  return {{"set", plan.set},
          {"models", plan.models},
          {"video", plan.video},
          {"values", values},
          {"folder", plan.folder},
          {"state", plan.state},
          {"exit_code", plan.exit_code ? Json(*plan.exit_code) : Json()},
          {"seconds", plan.seconds ? Json(*plan.seconds) : Json()},
          {"problem", plan.problem},
          {"log", plan.folder + "/log.txt"},
          {"figures", plan.figures ? figures_json(*plan.figures) : Json()}};
}

/// A field of CSV (RFC 4180).
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char byte : text) {
    if (byte == '"') quoted += '"';
    quoted += byte;
  }
  return quoted + "\"";
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::vector<std::string> safe;
  for (const std::string& field : fields) safe.push_back(csv_field(field));
  return join(safe, ",") + "\n";
}

std::vector<std::string> csv_figures(const SweepPlan& plan) {
  if (!plan.figures) return std::vector<std::string>(10);
  const PlanFigures& figures = *plan.figures;
  std::vector<std::string> fields{std::to_string(figures.bytes_before), std::to_string(figures.bytes_after),
                                  std::to_string(figures.bytes_saved()), std::to_string(figures.peak_activation_bytes),
                                  std::to_string(figures.shares)};
  if (!figures.worst) {
    fields.resize(10);
    return fields;
  }
  const WorstModel& worst = *figures.worst;
  for (const std::string& field :
       {worst.name, shortest(rounded(worst.fidelity)), shortest(rounded(worst.interval.low)),
        shortest(rounded(worst.interval.high)), worst.is_raw ? std::string() : std::to_string(worst.own_detections)})
    fields.push_back(field);
  return fields;
}

}  // namespace

PlanFigures figures_of(const Plan& plan) {
  PlanFigures figures;
  figures.bytes_before = plan.before.bytes;
  figures.bytes_after = plan.after.bytes;
  figures.peak_activation_bytes = plan.after.peak_activation_bytes;
  figures.shares = static_cast<std::int64_t>(plan.shares.size());
  for (const ModelEntry& model : plan.models) {
    const Fidelity& fidelity = model.fidelity;
    if (!fidelity.value) {
      // Identical outputs need no comparison.
      if (!fidelity.bit_identical) figures.unmeasured.push_back(model.name);
      continue;
    }
    if (figures.worst && figures.worst->fidelity <= *fidelity.value) continue;
    figures.worst = WorstModel{model.name,      *fidelity.value,         fidelity.interval,
                               fidelity.frames, fidelity.own_detections, fidelity.is_raw};
  }
  return figures;
}

std::int64_t SweepSummary::count(const std::string& state) const {
  return std::count_if(plans.begin(), plans.end(), [&](const SweepPlan& plan) { return plan.state == state; });
}

std::vector<std::size_t> plans_that_fit(const SweepSummary& summary, const SweepBox& box) {
  std::vector<std::size_t> fits;
  for (std::size_t i = 0; i < summary.plans.size(); ++i) {
    const auto& figures = summary.plans[i].figures;
    if (figures && figures->bytes_needed() <= box.bytes) fits.push_back(i);
  }
  std::stable_sort(fits.begin(), fits.end(), [&](std::size_t a, std::size_t b) {
    const SweepPlan &left = summary.plans[a], &right = summary.plans[b];
    if (left.models.size() != right.models.size()) return left.models.size() > right.models.size();
    if (worst_of(left) != worst_of(right)) return worst_of(left) > worst_of(right);
    return left.figures->bytes_needed() < right.figures->bytes_needed();
  });
  return fits;
}

std::string problem_in_log(const std::string& log) {
  static constexpr std::string_view kMark = "repsim: error: ";
  const std::size_t begin = log.rfind(kMark);
  if (begin == std::string::npos) return {};
  std::string problem = log.substr(begin + kMark.size());
  const std::size_t end = problem.find('\n');
  std::string rest = end == std::string::npos ? "" : problem.substr(end + 1);
  problem = problem.substr(0, end);
  static constexpr std::string_view kWhere = "  where:  ";
  if (rest.starts_with(kWhere)) problem += " (" + rest.substr(kWhere.size(), rest.find('\n') - kWhere.size()) + ")";
  return printable(escape_bytes(problem));
}

std::string variant_text(const SweepPlan& plan, bool with_video) {
  std::vector<std::string> parts;
  if (with_video) parts.push_back(plan.video);
  for (const auto& [key, value] : plan.values) parts.push_back(key + "=" + value);
  return parts.empty() ? "default" : join(parts, ", ");
}

bool has_several_videos(const SweepSummary& summary) {
  return std::any_of(summary.plans.begin(), summary.plans.end(),
                     [&](const SweepPlan& plan) { return plan.video != summary.plans.front().video; });
}

std::string worst_fidelity_text(const PlanFigures& figures) {
  if (!figures.worst) return "not measured";
  const WorstModel& worst = *figures.worst;
  std::string text = fidelity_text(worst.fidelity) + " (" + fidelity_text(worst.interval.low) + " to " +
                     fidelity_text(worst.interval.high) + ")";
  if (!figures.unmeasured.empty()) text += ", not measured: " + join(figures.unmeasured, ", ");
  return text;
}

std::string evidence_text(const PlanFigures& figures) {
  if (!figures.worst) return {};
  const WorstModel& worst = *figures.worst;
  const std::string what = worst.is_raw ? "raw outputs" : counted(worst.own_detections, "object");
  return worst.name + ", " + what + " on " + counted(worst.frames, "frame");
}

std::string duration_text(const std::optional<double>& seconds) {
  constexpr double kMinute = 60, kHour = 3600;
  if (!seconds) return "-";
  if (*seconds < kMinute) return fixed(*seconds, 1) + " s";
  return *seconds < kHour ? fixed(*seconds / kMinute, 1) + " min" : fixed(*seconds / kHour, 1) + " h";
}

Json to_json(const SweepSummary& summary) {
  Json json{{"schema_version", 1}, {"tool", {{"name", "repsim"}, {"version", summary.tool_version}}}};
  json["totals"] = {{"plans", summary.plans.size()},
                    {"finished", summary.count("finished")},
                    {"failed", summary.count("failed")},
                    {"pending", summary.count("pending")}};
  json["plans"] = Json::array();
  for (const SweepPlan& plan : summary.plans) json["plans"].push_back(plan_json(plan));
  json["boxes"] = Json::array();
  for (const SweepBox& box : summary.boxes) {
    Json fits = Json::array();
    for (const std::size_t index : plans_that_fit(summary, box)) {
      const SweepPlan& plan = summary.plans[index];
      fits.push_back({{"folder", plan.folder},
                      {"models", plan.models},
                      {"bytes_needed", plan.figures->bytes_needed()},
                      {"worst_fidelity", plan.figures->worst ? Json(rounded(plan.figures->worst->fidelity)) : Json()}});
    }
    json["boxes"].push_back({{"name", box.name}, {"bytes", box.bytes}, {"fits", fits}});
  }
  json["failed_captures"] = Json::array();
  for (const SweepCapture& capture : summary.failed_captures)
    json["failed_captures"].push_back({{"folder", capture.folder}, {"problem", capture.problem}});
  json["model_tree"] = summary.tree ? tree_json(*summary.tree) : Json();
  return json;
}

std::string to_csv(const SweepSummary& summary) {
  std::vector<std::string> head{"set", "models", "video"};
  if (!summary.plans.empty()) {
    for (const auto& [key, ignored] : summary.plans.front().values) head.push_back(key);
  }
  for (const char* title :
       {"state", "exit_code", "seconds", "bytes_before", "bytes_after", "bytes_saved", "peak_activation_bytes",
        "shares", "worst_model", "worst_fidelity", "fidelity_low", "fidelity_high", "own_detections", "folder"})
    head.emplace_back(title);
  for (const SweepBox& box : summary.boxes) head.push_back("fits " + box.name);
  std::string text = csv_line(head);
  for (const SweepPlan& plan : summary.plans) {
    std::vector<std::string> line{plan.set, std::to_string(plan.models.size()), plan.video};
    for (const auto& [ignored, value] : plan.values) line.push_back(value);
    line.push_back(plan.state);
    line.push_back(plan.exit_code ? std::to_string(*plan.exit_code) : "");
    line.push_back(plan.seconds ? shortest(rounded_significant(*plan.seconds)) : "");
    const std::vector<std::string> figures = csv_figures(plan);
    line.insert(line.end(), figures.begin(), figures.end());
    line.push_back(plan.folder);
    for (const SweepBox& box : summary.boxes)
      line.emplace_back(!plan.figures ? "" : plan.figures->bytes_needed() <= box.bytes ? "yes" : "no");
    text += csv_line(line);
  }
  return text;
}

}  // namespace repsim::report
