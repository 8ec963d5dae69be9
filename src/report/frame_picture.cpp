#include "repsim/frame_picture.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "png.hpp"
#include "repsim/base/error.hpp"

namespace repsim::report {
namespace {

// Blue, green, red. The three differ in lightness as well, for readers who see few colours.
const cv::Scalar kKept(170, 170, 170), kMissed(0, 140, 255), kFalseAlarm(255, 80, 200);

void draw(const model::Detections& boxes, const cv::Scalar& colour, int thickness, cv::Mat& picture) {
  const auto place = [](double part, int side) {
    return static_cast<int>(std::lround(std::clamp(part, 0.0, 1.0) * (side - 1)));
  };
  for (const model::Detection& box : boxes) {
    const cv::Point from(place(box.x1, picture.cols), place(box.y1, picture.rows));
    const cv::Point to(place(box.x2, picture.cols), place(box.y2, picture.rows));
    // A dark edge keeps a line visible on a ground of its own colour.
    cv::rectangle(picture, from, to, cv::Scalar(0, 0, 0), thickness + 2);
    cv::rectangle(picture, from, to, colour, thickness);
  }
}

}  // namespace

PictureSize picture_size(std::int64_t width, std::int64_t height) {
  constexpr std::int64_t kMost = 640;
  const std::int64_t longest = std::max(width, height);
  if (longest <= kMost) return {width, height};
  const auto scaled = [&](std::int64_t side) {
    return std::max<std::int64_t>(1, (side * kMost + longest / 2) / longest);
  };
  return {scaled(width), scaled(height)};
}

FramePicture frame_picture(const std::string& model, std::span<const std::uint8_t> bgr, const PictureSize& size,
                           const verify::FrameBoxes& boxes) {
  if (bgr.size() != static_cast<std::size_t>(3 * size.width * size.height))
    throw Error(ErrorKind::kInternal, "a picture's pixels do not fit its size");
  // OpenCV takes no const pixels; the copy below is the only thing that is drawn on.
  const cv::Mat frame(static_cast<int>(size.height), static_cast<int>(size.width), CV_8UC3,
                      const_cast<std::uint8_t*>(bgr.data()));
  cv::Mat picture = frame.clone();
  draw(boxes.kept, kKept, 1, picture);
  draw(boxes.missed, kMissed, 2, picture);
  draw(boxes.false_alarms, kFalseAlarm, 2, picture);
  FramePicture result;
  result.model = model;
  result.frame = boxes.frame;
  result.size = size;
  result.kept = static_cast<std::int64_t>(boxes.kept.size());
  result.missed = static_cast<std::int64_t>(boxes.missed.size());
  result.false_alarms = static_cast<std::int64_t>(boxes.false_alarms.size());
  result.uri = jpeg_data_uri(picture);
  return result;
}

}  // namespace repsim::report
