#include <algorithm>

#include "format.hpp"
#include "html_parts.hpp"
#include "repsim/report.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

std::string tile(const std::string& value, const std::string& what) {
  return "<div class=\"tile\"><b>" + escaped(value) + "</b>" + span("", what) + "</div>\n";
}

std::string headline(const Plan& plan) {
  if (plan.after.bytes >= plan.before.bytes) return "Nothing is shared";
  // "-29.7 %" without its sign.
  return percent_change(plan.before.bytes, plan.after.bytes).substr(1) + " less parameter memory";
}

std::string lead(const Plan& plan) {
  std::string names;
  for (const ModelEntry& model : plan.models) names += (names.empty() ? "" : ", ") + model.name;
  std::string text = "<p class=\"lead\">One bundle for " + escaped(names) + " on " + escaped(plan.video_path) +
                     ". It " + escaped(saving_in_words(plan)) + ".</p>\n";
  if (plan.shares.empty()) {
    for (const std::string& reason : why_no_shares(plan)) text += "<p class=\"lead\">" + escaped(reason) + "</p>\n";
  }
  return text;
}

std::string tiles(const Plan& plan) {
  std::string html = "<div class=\"tiles\">\n";
  const auto worst = std::min_element(plan.models.begin(), plan.models.end(),
                                      [](const auto& a, const auto& b) { return a.fidelity.value < b.fidelity.value; });
  const auto target = min_fidelity(plan);
  if (worst != plan.models.end()) {
    html += tile(worst->fidelity.frames > 0 ? fidelity_text(worst->fidelity.value) : "-",
                 "lowest fidelity (" + worst->name + ")" + (target ? ", asked for " + shortest(*target) : ""));
  }
  std::int64_t removed = 0;
  for (const Share& share : plan.shares) removed += static_cast<std::int64_t>(share.removed_layers.size());
  html +=
      tile(grouped(static_cast<std::int64_t>(plan.shares.size())), "shares, " + counted(removed, "layer") + " removed");
  html += tile(human_bytes(plan.bundle_bytes), "bundle.pt on disk");
  html += tile(grouped(static_cast<std::int64_t>(plan.calibration_frames.size())) + " + " +
                   grouped(static_cast<std::int64_t>(plan.holdout_frames.size())),
               "frames that fit + frames that judge");
  return html + "</div>\n";
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string px(double value) { return fixed(value, 1); }

std::string span(const char* css_class, std::string_view text) {
  return "<span class=\"" + std::string(css_class) + "\">" + escaped(text) + "</span>";
}

std::string table_row(const std::vector<std::string>& cells, std::size_t numbers, const char* tag) {
  const std::string open = std::string("<") + tag, close = std::string("</") + tag + ">";
  std::string row = "<tr>";
  for (std::size_t column = 0; column < cells.size(); ++column) {
    row.append(open).append(column >= numbers ? " class=\"num\">" : ">").append(cells[column]).append(close);
  }
  return row + "</tr>\n";
}

std::string html(const Plan& plan, const std::vector<similarity::Matrix>& matrices) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>repsim: " +
      escaped(headline(plan)) + "</title>\n<style>" + std::string(style_sheet()) +
      "</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"eyebrow\">repsim plan</p>\n<h1>" +
      escaped(headline(plan)) + "</h1>\n" + lead(plan) + "</header>\n";
  page += tiles(plan) + totals_section(plan) + models_section(plan);
  if (!plan.shares.empty()) page += shares_section(plan);
  if (!plan.candidates.empty()) page += candidates_section(plan);
  if (!matrices.empty()) page += heatmaps_section(plan, matrices);
  page += settings_section(plan);
  return page + "<footer>repsim " + escaped(plan.tool_version) +
         ". The same in machine-readable form: plan.json, similarity.json.</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace repsim::report
