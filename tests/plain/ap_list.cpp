// Prints the average precision of each line of stdin, for a test that compares it with another program
// (ap_differential.py). A line is a list of frames {"found": [...], "sure": [...], "ignored": [...]} of boxes
// [x1, y1, x2, y2, score, label]; null stands for NaN.
#include <iostream>
#include <limits>
#include <string>

#include "repsim/base/json_io.hpp"
#include "repsim/base/text.hpp"
#include "repsim/verify_metrics.hpp"

namespace {

using repsim::Json;
using repsim::verify::Detections;

double number(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Detections boxes_of(const Json& json) {
  Detections boxes;
  for (const Json& box : json) {
    boxes.push_back(
        {number(box[0]), number(box[1]), number(box[2]), number(box[3]), number(box[4]), box[5].get<std::int64_t>()});
  }
  static_cast<void>(repsim::verify::drop_boxes_without_area(boxes));
  return boxes;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::vector<Detections> found;
    std::vector<repsim::verify::Target> targets;
    for (const Json& frame : Json::parse(line)) {
      found.push_back(repsim::verify::suppress(boxes_of(frame["found"])));
      targets.push_back({boxes_of(frame["sure"]), boxes_of(frame["ignored"])});
    }
    std::cout << repsim::shortest(repsim::verify::average_precision(found, targets)) << "\n";
  }
}
