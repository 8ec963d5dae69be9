#include "repsim/run_report.hpp"

#include <cmath>

#include "format.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/base/text.hpp"
#include "text_table.hpp"

namespace repsim::report {
namespace {

double with_decimals(double value, double unit) { return std::round(value * unit) / unit; }

std::string comparison_in_words(const RunComparison& against) {
  return "keeps " + std::to_string(against.kept) + " of " + counted(against.own, "detection") +
         " of its original, and has " + counted(against.false_alarms, "other") + "; the original alone takes " +
         fixed(against.milliseconds, 1) + " ms";
}

}  // namespace

std::string to_json_line(const FrameDetections& found, const PictureSize& frame,
                         const std::vector<std::string>& classes) {
  const auto width = static_cast<double>(frame.width), height = static_cast<double>(frame.height);
  const auto pixels = [](double relative, double side) { return with_decimals(relative * side, 1e3); };
  Json boxes = Json::array(), scores = Json::array(), labels = Json::array(), names = Json::array();
  for (const model::Detection& box : found.boxes) {
    boxes.push_back({pixels(box.x1, width), pixels(box.y1, height), pixels(box.x2, width), pixels(box.y2, height)});
    scores.push_back(with_decimals(box.score, 1e6));
    labels.push_back(box.label);
    const bool named = box.label >= 0 && box.label < std::ssize(classes);
    names.push_back(named ? Json(classes[static_cast<std::size_t>(box.label)]) : Json());
  }
  Json json;
  json["frame"] = found.frame;
  json["model"] = found.model;
  if (!found.stream.empty()) json["stream"] = found.stream;
  json["source"] = found.is_original ? "original" : "bundle";
  json["method"] = found.method;
  json["ms"] = with_decimals(found.milliseconds, 1e3);
  json["boxes"] = found.is_raw ? Json() : boxes;
  json["scores"] = found.is_raw ? Json() : scores;
  json["labels"] = found.is_raw ? Json() : labels;
  json["classes"] = found.is_raw ? Json() : names;
  return json.dump() + "\n";
}

std::string to_text(const RunSummary& run) {
  const double rate = run.seconds > 0 ? static_cast<double>(run.frames) / run.seconds : 0;
  std::string text = (run.stream.empty() ? "" : printable(run.stream) + ": ") + counted(run.frames, "frame") + " of " +
                     printable(run.video_path) + " in " + fixed(run.seconds, 1) + " s: " + fixed(rate, 1) +
                     " frames per second\n\n";
  TextTable table({"Model", "Detections", "Per frame", "ms per frame"});
  for (const RunModel& model : run.models) {
    const double each = run.frames > 0 ? static_cast<double>(model.detections) / static_cast<double>(run.frames) : 0;
    table.add_row({model.name, model.is_raw ? "-" : grouped(model.detections), model.is_raw ? "-" : fixed(each, 2),
                   fixed(model.milliseconds, 1)});
    if (model.is_raw) table.add_note("its outputs are compared as raw tensors (format tensor): they are no detections");
    if (model.against && !model.is_raw) table.add_note(comparison_in_words(*model.against));
  }
  text += table.text();
  if (run.is_one_call && run.models.size() > 1) text += "\nms per frame: one call computes all models.\n";
  if (!run.written.empty()) text += "\n";
  for (const std::string& file : run.written) text += "wrote " + printable(file) + "\n";
  return text;
}

}  // namespace repsim::report
