#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/sweep_report.hpp"
#include "template.hpp"

namespace repsim::report {
namespace {

Json plan_view(const SweepPlan& plan, bool with_video) {
  Json view{{"set", plan.set},
            {"variant", variant_text(plan, with_video)},
            {"state", plan.state},
            {"is_finished", plan.figures.has_value()},
            {"report", plan.folder + "/plan/report.html"},
            {"log", plan.folder + "/log.txt"},
            {"time", duration_text(plan.seconds)},
            {"problem", text_or_null(plan.problem)},
            {"figures", nullptr}};
  if (!plan.figures) return view;
  const PlanFigures& figures = *plan.figures;
  view["figures"] = {{"saved", human_bytes(figures.bytes_saved())},
                     {"change", percent_change(figures.bytes_before, figures.bytes_after)},
                     {"needs", human_bytes(figures.bytes_needed())},
                     {"bytes", human_bytes(figures.bytes_after)},
                     {"peak", human_bytes(figures.peak_activation_bytes)},
                     {"worst", worst_fidelity_text(figures)},
                     {"evidence", evidence_text(figures)}};
  return view;
}

Json boxes_view(const SweepSummary& summary, bool with_video) {
  Json boxes = Json::array();
  for (const SweepBox& box : summary.boxes) {
    Json fits = Json::array();
    for (const std::size_t index : plans_that_fit(summary, box))
      fits.push_back(plan_view(summary.plans[index], with_video));
    boxes.push_back(
        {{"name", box.name}, {"bytes", human_bytes(box.bytes)}, {"fits", fits}, {"nothing_fits", fits.empty()}});
  }
  return boxes;
}

Json tree_view(const std::optional<ModelTree>& tree) {
  if (!tree) return {};
  return {{"lines", join(tree_lines(*tree), "\n")}, {"left_out", text_or_null(join(tree->left_out, ", "))}};
}

}  // namespace

std::string html(const SweepSummary& summary) {
  const bool with_video = has_several_videos(summary);
  Json plans = Json::array(), failed = Json::array(), captures = Json::array();
  for (const SweepPlan& plan : summary.plans) {
    plans.push_back(plan_view(plan, with_video));
    if (plan.state == "failed") failed.push_back(plan_view(plan, with_video));
  }
  for (const SweepCapture& capture : summary.failed_captures) {
    captures.push_back(
        {{"folder", capture.folder}, {"problem", capture.problem}, {"log", capture.folder + "/log.txt"}});
  }
  return filled_in("sweep.html", {{"title", counted(static_cast<std::int64_t>(summary.plans.size()), "plan")},
                                  {"finished", std::to_string(summary.count("finished"))},
                                  {"failed_count", std::to_string(summary.count("failed"))},
                                  {"pending", std::to_string(summary.count("pending"))},
                                  {"boxes", boxes_view(summary, with_video)},
                                  {"tree", tree_view(summary.tree)},
                                  {"plans", plans},
                                  {"failed", failed.empty() ? Json() : Json{{"rows", failed}}},
                                  {"captures", captures.empty() ? Json() : Json{{"rows", captures}}},
                                  {"tool_version", summary.tool_version}});
}

}  // namespace repsim::report
