#include <algorithm>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/sweep_report.hpp"
#include "text_table.hpp"

namespace repsim::report {
namespace {

constexpr std::size_t kBest = 5;  // plans of a box on a terminal

std::string markdown_line(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + markdown_cell(cell) + " |";
  return line + "\n";
}

std::string markdown_head(const std::vector<std::string>& titles) {
  std::string text = markdown_line(titles) + "|";
  for (std::size_t i = 0; i < titles.size(); ++i) text += " --- |";
  return text + "\n";
}

std::string counts_text(const SweepSummary& summary) {
  std::string text = counted(static_cast<std::int64_t>(summary.plans.size()), "plan") + ": " +
                     std::to_string(summary.count("finished")) + " finished";
  for (const char* state : {"failed", "pending"}) {
    if (const std::int64_t count = summary.count(state); count > 0) text += ", " + std::to_string(count) + " " + state;
  }
  return text;
}

std::string ended_text(const SweepPlan& plan) {
  return plan.exit_code ? "exit code " + std::to_string(*plan.exit_code) : "no exit code";
}

std::string boxes_markdown(const SweepSummary& summary, bool with_video) {
  std::string text;
  for (const SweepBox& box : summary.boxes) {
    text += "\n## Fits " + markdown_cell(box.name) + ": " + human_bytes(box.bytes) + "\n\n";
    const std::vector<std::size_t> fits = plans_that_fit(summary, box);
    if (fits.empty()) {
      text += "No finished plan fits.\n";
      continue;
    }
    text += markdown_head({"set", "settings", "bytes needed", "worst fidelity", "of"});
    for (const std::size_t index : fits) {
      const SweepPlan& plan = summary.plans[index];
      text += markdown_line({plan.set, variant_text(plan, with_video), human_bytes(plan.figures->bytes_needed()),
                             worst_fidelity_text(*plan.figures), evidence_text(*plan.figures)});
    }
  }
  return text;
}

constexpr const char* kTreeHelp =
    "The number above models says how alike they are, from 0 to 1: on average over their layers, the largest "
    "similarity "
    "to a layer of the other model.";

std::string tree_markdown(const ModelTree& tree) {
  std::string text = std::string("\n## How alike the models are\n\n") + kTreeHelp + "\n\n```\n" +
                     join(tree_lines(tree), "\n") + "\n```\n";
  if (!tree.left_out.empty()) text += "\nWithout signatures: " + markdown_cell(join(tree.left_out, ", ")) + ".\n";
  return text;
}

}  // namespace

std::string to_markdown(const SweepSummary& summary) {
  const bool with_video = has_several_videos(summary);
  std::string text = "# Sweep\n\n" + counts_text(summary) + ".\n";
  text += boxes_markdown(summary, with_video);
  if (summary.tree) text += tree_markdown(*summary.tree);
  text +=
      "\n## Plans\n\n" + markdown_head({"set", "settings", "state", "saved", "change", "worst fidelity", "of", "time"});
  for (const SweepPlan& plan : summary.plans) {
    std::vector<std::string> line{plan.set, variant_text(plan, with_video), plan.state};
    if (plan.figures) {
      line.insert(line.end(), {human_bytes(plan.figures->bytes_saved()),
                               percent_change(plan.figures->bytes_before, plan.figures->bytes_after),
                               worst_fidelity_text(*plan.figures), evidence_text(*plan.figures)});
    } else {
      line.resize(line.size() + 4, "");
    }
    line.push_back(duration_text(plan.seconds));
    text += markdown_line(line);
  }
  if (summary.count("failed") > 0) text += "\n## Failed\n\n" + markdown_head({"plan", "ended with", "problem", "log"});
  for (const SweepPlan& plan : summary.plans) {
    if (plan.state == "failed")
      text += markdown_line({plan.folder, ended_text(plan), plan.problem, plan.folder + "/log.txt"});
  }
  if (!summary.failed_captures.empty()) {
    text += "\n## Captures that failed\n\nPlans of these models capture by themselves.\n\n" +
            markdown_head({"capture", "problem"});
  }
  for (const SweepCapture& capture : summary.failed_captures) text += markdown_line({capture.folder, capture.problem});
  return text;
}

std::string to_text(const SweepSummary& summary) {
  const bool with_video = has_several_videos(summary);
  std::string text = counts_text(summary) + "\n";
  for (const SweepPlan& plan : summary.plans) {
    if (plan.state != "failed") continue;
    text += wrapped(
        "failed: " + printable(plan.folder) + ": " + (plan.problem.empty() ? ended_text(plan) : plan.problem), "  ");
  }
  for (const SweepBox& box : summary.boxes) {
    const std::vector<std::size_t> fits = plans_that_fit(summary, box);
    text += "\n" + printable(box.name) + " (" + human_bytes(box.bytes) +
            "): " + counted(static_cast<std::int64_t>(fits.size()), "plan") + " fit" + (fits.size() == 1 ? "s" : "") +
            "\n";
    if (fits.empty()) continue;
    TextTable table({"set", "settings", "needs", "worst fidelity"});
    for (std::size_t i = 0; i < std::min(fits.size(), kBest); ++i) {
      const SweepPlan& plan = summary.plans[fits[i]];
      table.add_row({printable(plan.set), printable(variant_text(plan, with_video)),
                     human_bytes(plan.figures->bytes_needed()), worst_fidelity_text(*plan.figures)});
    }
    text += table.text();
  }
  if (summary.tree) {
    text += "\nhow alike the models are:\n";
    for (const std::string& line : tree_lines(*summary.tree)) text += "  " + line + "\n";
  }
  return text;
}

}  // namespace repsim::report
