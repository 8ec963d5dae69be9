#include "repsim/detection_tiles.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "format.hpp"
#include "repsim/base/error.hpp"

namespace repsim::report {
namespace {

constexpr std::int64_t kMostPixels = 1920;  // of the longer side of the whole
constexpr std::int64_t kBar = 24;
constexpr double kScreen = 16.0 / 9;
constexpr double kTextSize = 0.45;

// Blue, green, red. Those of differences are the colours of report.html's pictures.
const cv::Scalar kMissedColour(0, 140, 255), kFalseAlarmColour(255, 80, 200), kBarColour(40, 40, 40),
    kTextColour(255, 255, 255);
const std::array<cv::Scalar, 6> kClassColours{cv::Scalar(80, 220, 80),   cv::Scalar(230, 200, 60),
                                              cv::Scalar(60, 220, 230),  cv::Scalar(220, 120, 60),
                                              cv::Scalar(160, 235, 190), cv::Scalar(235, 160, 190)};

std::int64_t even(std::int64_t pixels) { return pixels + pixels % 2; }

std::string ascii(const std::string& text) {
  std::string result;
  for (const char one : text) {
    const auto code = static_cast<unsigned char>(one);
    if ((code & 0xC0U) == 0x80U) continue;  // UTF-8: one sign per character
    result += code >= 0x20 && code < 0x7F ? one : '?';
  }
  return result;
}

void write(const std::string& text, const cv::Point& at, const cv::Scalar& colour, cv::Mat& picture) {
  cv::putText(picture, ascii(text), at, cv::FONT_HERSHEY_SIMPLEX, kTextSize, colour, 1, cv::LINE_AA);
}

cv::Rect place_of(const model::Detection& box, const cv::Mat& picture) {
  const auto place = [](double part, int side) {
    return static_cast<int>(std::lround(std::clamp(part, 0.0, 1.0) * (side - 1)));
  };
  return {cv::Point(place(box.x1, picture.cols), place(box.y1, picture.rows)),
          cv::Point(place(box.x2, picture.cols) + 1, place(box.y2, picture.rows) + 1)};
}

std::string label_of(const model::Detection& box, const std::vector<std::string>& classes) {
  const bool named = box.label >= 0 && box.label < std::ssize(classes);
  return (named ? classes[static_cast<std::size_t>(box.label)] : "class " + std::to_string(box.label)) + " " +
         fixed(box.score, 2);
}

void draw(const model::Detection& box, const cv::Scalar& colour, int thickness, const std::string& label,
          cv::Mat& picture) {
  const cv::Rect place = place_of(box, picture);
  // A dark edge keeps a line visible on a ground of its own colour.
  cv::rectangle(picture, place, cv::Scalar(0, 0, 0), thickness + 2);
  cv::rectangle(picture, place, colour, thickness);
  int below = 0;
  const cv::Size size = cv::getTextSize(ascii(label), cv::FONT_HERSHEY_SIMPLEX, kTextSize, 1, &below);
  const int top = std::max(0, place.y - size.height - 6),
            left = std::clamp(place.x, 0, std::max(0, picture.cols - size.width - 4));
  const cv::Rect ground = cv::Rect(left, top, size.width + 4, size.height + 6) & cv::Rect({}, picture.size());
  picture(ground).setTo(colour);
  write(label, {left + 2, top + size.height + 2}, cv::Scalar(0, 0, 0), picture);
}

void draw_tile(const Tile& tile, const std::vector<std::string>& classes, const cv::Mat& frame, std::int64_t bar,
               cv::Mat& cell) {
  cv::Mat head = cell(cv::Rect(0, 0, cell.cols, static_cast<int>(bar)));
  head.setTo(kBarColour);
  write(tile.title, {6, static_cast<int>(bar) - 8}, kTextColour, head);
  cv::Mat picture = cell(cv::Rect(0, static_cast<int>(bar), cell.cols, cell.rows - static_cast<int>(bar)));
  frame.copyTo(picture);
  for (const model::Detection& box : tile.boxes) {
    const auto colour = static_cast<std::size_t>(std::max<std::int64_t>(0, box.label)) % kClassColours.size();
    draw(box, kClassColours.at(colour), 2, label_of(box, classes), picture);
  }
  for (const model::Detection& box : tile.differing)
    draw(box, tile.is_original ? kMissedColour : kFalseAlarmColour, 3,
         (tile.is_original ? "missed: " : "only here: ") + label_of(box, classes), picture);
}

}  // namespace

TileGrid tile_grid(const PictureSize& frame, std::int64_t groups, std::int64_t per_group) {
  TileGrid best;
  double best_distance = 0;
  for (std::int64_t across = 1; across <= groups; ++across) {
    TileGrid grid;
    grid.bar = kBar;
    grid.columns = across * per_group;
    grid.rows = (groups + across - 1) / across;
    const double width = static_cast<double>(grid.columns * frame.width),
                 height = static_cast<double>(grid.rows * frame.height);
    const double distance = std::abs(std::log(width / height / kScreen));
    if (across > 1 && distance >= best_distance) continue;
    best = grid;
    best_distance = distance;
  }
  const double room = static_cast<double>(kMostPixels - best.rows * best.bar);
  const double scale =
      std::min({1.0, static_cast<double>(kMostPixels) / static_cast<double>(best.columns * frame.width),
                room / static_cast<double>(best.rows * frame.height)});
  const auto scaled = [scale](std::int64_t side) {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(side) * scale));
  };
  best.picture = {scaled(frame.width), scaled(frame.height)};
  best.whole = {even(best.columns * best.picture.width), even(best.rows * (best.picture.height + best.bar))};
  return best;
}

std::vector<std::uint8_t> draw_tiles(std::span<const std::uint8_t> bgr, const PictureSize& frame, const TileGrid& grid,
                                     std::span<const Tile> tiles, std::span<const std::vector<std::string>> classes) {
  if (bgr.size() != static_cast<std::size_t>(3 * frame.width * frame.height) || classes.size() != tiles.size())
    throw Error(ErrorKind::kInternal, "the tiles of a frame do not fit it");
  // OpenCV takes no const pixels; nothing is drawn on these.
  const cv::Mat whole_frame(static_cast<int>(frame.height), static_cast<int>(frame.width), CV_8UC3,
                            const_cast<std::uint8_t*>(bgr.data()));
  cv::Mat picture;
  cv::resize(whole_frame, picture,
             cv::Size(static_cast<int>(grid.picture.width), static_cast<int>(grid.picture.height)), 0, 0,
             cv::INTER_AREA);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(3 * grid.whole.width * grid.whole.height));
  cv::Mat whole(static_cast<int>(grid.whole.height), static_cast<int>(grid.whole.width), CV_8UC3, bytes.data());
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const auto column = static_cast<std::int64_t>(i) % grid.columns, row = static_cast<std::int64_t>(i) / grid.columns;
    const std::int64_t height = grid.picture.height + grid.bar;
    cv::Mat cell = whole(cv::Rect(static_cast<int>(column * grid.picture.width), static_cast<int>(row * height),
                                  picture.cols, static_cast<int>(height)));
    draw_tile(tiles[i], classes[i], picture, grid.bar, cell);
  }
  return bytes;
}

}  // namespace repsim::report
