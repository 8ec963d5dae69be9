#include "input_picture.hpp"

#include <opencv2/imgproc.hpp>

namespace repsim::video {

void draw_input(const cv::Mat& frame, const model::InputSpec& spec, const Placement& placement, cv::Mat& input) {
  const cv::Size size(static_cast<int>(placement.width), static_cast<int>(placement.height));
  const cv::Point corner(static_cast<int>(placement.left), static_cast<int>(placement.top));
  if (spec.resize == model::Resize::kCrop) {
    cv::Mat whole;
    cv::resize(frame, whole, size, 0, 0, cv::INTER_LINEAR);
    whole(cv::Rect(-corner, input.size())).copyTo(input);
  } else {
    input.setTo(cv::Scalar::all(static_cast<double>(spec.pad)));
    cv::Mat inner = input(cv::Rect(corner, size));
    cv::resize(frame, inner, size, 0, 0, cv::INTER_LINEAR);
  }
  if (spec.color == model::Color::kRgb) cv::cvtColor(input.clone(), input, cv::COLOR_BGR2RGB);
}

cv::Mat picture_in(FrameStore& store, std::int64_t position) {
  const auto& spec = store.spec();
  return cv::Mat(static_cast<int>(spec.height), static_cast<int>(spec.width), CV_8UC3, store.pixels(position).data());
}

}  // namespace repsim::video
