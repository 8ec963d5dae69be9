#include "format.hpp"
#include "html_parts.hpp"

namespace repsim::report {
namespace {

std::string hash_row(const std::string& what, const std::string& path, const std::string& sha256) {
  return table_row({escaped(what), span("layer", path), "<code class=\"hash\">" + escaped(sha256) + "</code>"}, 3);
}

/// "0, 3, 6, ... 534 (179 frames)".
std::string frames_text(const std::vector<std::int64_t>& frames) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < frames.size() && i < kShown; ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(frames[i]);
  if (frames.size() > kShown) text += ", ... " + std::to_string(frames.back());
  return text + " (" + counted(static_cast<std::int64_t>(frames.size()), "frame") + ")";
}

std::string channels(const std::array<double, 3>& values) {
  return shortest(values[0]) + " " + shortest(values[1]) + " " + shortest(values[2]);
}

std::string input_rows(const Plan& plan) {
  std::string rows;
  for (const InputGroup& group : plan.inputs) {
    std::string names;
    for (const std::string& name : group.models) names += (names.empty() ? "" : ", ") + name;
    const model::InputSpec& spec = group.spec;
    rows += table_row(
        {escaped(names),
         std::to_string(spec.width) + "x" + std::to_string(spec.height) + " " + to_string(spec.color) + ", " +
             to_string(spec.resize) + ", " + to_string(spec.kind) + " " + to_string(spec.layout) + " " +
             to_string(spec.dtype),
         "(pixel * " + shortest(spec.scale) + " - [" + channels(spec.mean) + "]) / [" + channels(spec.std) + "]"},
        3);
  }
  return rows;
}

std::string output_rows(const Plan& plan) {
  std::string rows;
  for (const ModelEntry& model : plan.models) {
    rows += table_row({escaped(model.name),
                       std::string(to_string(model.output.format)) + ", run at score " +
                           shortest(model.output.score_threshold) + ", <code>" + escaped(model.run_method) + "</code>",
                       escaped(model.format_reason)},
                      3);
  }
  return rows;
}

}  // namespace

std::string settings_section(const Plan& plan) {
  std::string html =
      "<section>\n<h2>Settings and hashes</h2>\n<details><summary>Files, inputs, outputs, frames, settings</summary>\n"
      "<div class=\"scroll\"><table>\n" +
      table_row({"File", "Path", "SHA-256"}, 3, "th");
  for (const ModelEntry& model : plan.models) html += hash_row(model.name, model.path, model.sha256);
  html += hash_row("video", plan.video_path, plan.video_sha256) + hash_row("bundle", "bundle.pt", plan.bundle_sha256) +
          hash_row("settings", "below", plan.settings_sha256) + "</table>\n<table>\n" +
          table_row({"Model", "Input", "Values"}, 3, "th") + input_rows(plan) + "</table>\n<table>\n" +
          table_row({"Model", "Output", "Recognised by"}, 3, "th") + output_rows(plan) +
          "</table></div>\n<p class=\"muted\">Frames that fit: " + frames_text(plan.calibration_frames) +
          (plan.selection_frames.empty() ? "" : ". Frames that choose: " + frames_text(plan.selection_frames)) +
          ". Frames that judge: " + frames_text(plan.holdout_frames) + ". The video has " +
          counted(plan.video_frames, "frame") + ".</p>\n";
  return html + "<pre>" + escaped(plan.settings.dump(2)) + "</pre>\n</details>\n</section>\n";
}

}  // namespace repsim::report
