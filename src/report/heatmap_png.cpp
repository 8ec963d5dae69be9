#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "format.hpp"
#include "heatmap_parts.hpp"
#include "repsim/similarity_report.hpp"

namespace repsim::report {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kLabelScale = 0.4, kTitleScale = 0.55;
constexpr int kPadding = 14, kTick = 5, kGap = 6, kLabelStep = 16;  // pixels
constexpr int kLongestSide = 1000, kSmallestSide = 160, kLargestCell = 24;
constexpr int kBarWidth = 18, kBarSteps = 200;
const cv::Scalar kInk(40, 40, 40), kUndefined(200, 200, 200);  // blue, green, red

/// The font has ASCII alone.
std::string printable(const std::string& text) {
  std::string out = text;
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

cv::Size text_size(const std::string& text, double scale) {
  int baseline = 0;
  const cv::Size size = cv::getTextSize(text, kFont, scale, 1, &baseline);
  return {size.width, size.height + baseline};
}

/// A text as a picture of its own, dark on white.
cv::Mat written(const std::string& text, double scale) {
  const cv::Size size = text_size(text, scale);
  cv::Mat picture(size.height + 2, std::max(size.width, 1), CV_8UC3, cv::Scalar::all(255));
  int baseline = 0;
  cv::getTextSize(text, kFont, scale, 1, &baseline);
  cv::putText(picture, text, {0, picture.rows - baseline - 1}, kFont, scale, kInk, 1, cv::LINE_AA);
  return picture;
}

cv::Mat upright(const cv::Mat& picture) {
  cv::Mat turned;
  cv::rotate(picture, turned, cv::ROTATE_90_COUNTERCLOCKWISE);
  return turned;
}

cv::Scalar ink_of(double value) {
  if (std::isnan(value)) return kUndefined;
  const Rgb colour = colour_of(value);
  return {static_cast<double>(colour[2]), static_cast<double>(colour[1]), static_cast<double>(colour[0])};
}

class Picture {
 public:
  explicit Picture(const similarity::Matrix& matrix)
      : matrix_(matrix), rows_(static_cast<int>(matrix.rows.size())), cols_(static_cast<int>(matrix.cols.size())) {
    cell_ = std::clamp(kLongestSide / std::max({rows_, cols_, 1}), 1, kLargestCell);
    for (const std::string& name : matrix.rows) row_labels_.push_back(printable(short_name(name)));
    for (const std::string& name : matrix.cols) col_labels_.push_back(printable(short_name(name)));
    const int title = text_size("Ag", kTitleScale).height;
    left_ = kPadding + title + kGap + widest(row_labels_) + kGap + kTick;
    top_ = kPadding + title + kGap;
    width_ = cell_ * cols_;
    height_ = cell_ * rows_;
    const int bar_labels = text_size("<= 0", kLabelScale).width;
    const int right = 2 * kPadding + kBarWidth + kTick + kGap + bar_labels + kPadding;
    const int bottom = kTick + kGap + widest(col_labels_) + kGap + title + kPadding;
    canvas_ = cv::Mat(top_ + std::max(height_, kSmallestSide) + bottom, left_ + std::max(width_, kSmallestSide) + right,
                      CV_8UC3, cv::Scalar::all(255));
    paint_cells();
    paint_labels();
    paint_titles(title);
    paint_bar();
  }

  [[nodiscard]] const cv::Mat& canvas() const { return canvas_; }

 private:
  static int widest(const std::vector<std::string>& labels) {
    int width = 0;
    for (const std::string& label : labels) width = std::max(width, text_size(label, kLabelScale).width);
    return width;
  }

  void paint(const cv::Mat& picture, int x, int y) {
    const cv::Rect place = cv::Rect(x, y, picture.cols, picture.rows) & cv::Rect(0, 0, canvas_.cols, canvas_.rows);
    if (place.area() > 0) picture(cv::Rect(place.x - x, place.y - y, place.width, place.height)).copyTo(canvas_(place));
  }

  void paint_cells() {
    for (int row = 0; row < rows_; ++row) {
      for (int col = 0; col < cols_; ++col) {
        const double value = matrix_.at(static_cast<std::size_t>(row), static_cast<std::size_t>(col));
        canvas_(cv::Rect(left_ + col * cell_, top_ + row * cell_, cell_, cell_)) = ink_of(value);
      }
    }
  }

  void paint_labels() {
    const int step = (kLabelStep + cell_ - 1) / cell_;
    for (int row = 0; row < rows_; row += step) {
      const cv::Mat label = written(row_labels_[static_cast<std::size_t>(row)], kLabelScale);
      const int y = top_ + row * cell_ + cell_ / 2;
      cv::line(canvas_, {left_ - kTick, y}, {left_ - 1, y}, kInk);
      paint(label, left_ - kTick - kGap - label.cols, y - label.rows / 2);
    }
    for (int col = 0; col < cols_; col += step) {
      const cv::Mat label = upright(written(col_labels_[static_cast<std::size_t>(col)], kLabelScale));
      const int x = left_ + col * cell_ + cell_ / 2, y = top_ + height_;
      cv::line(canvas_, {x, y}, {x, y + kTick - 1}, kInk);
      paint(label, x - label.cols / 2, y + kTick + kGap);
    }
  }

  void paint_titles(int title) {
    const cv::Mat down = upright(written(printable(matrix_.row_model), kTitleScale));
    paint(down, kPadding, top_ + std::max(0, (height_ - down.rows) / 2));
    const cv::Mat across = written(printable(matrix_.col_model), kTitleScale);
    paint(across, left_ + std::max(0, (width_ - across.cols) / 2), canvas_.rows - kPadding - title);
    paint(written("S (linear CKA)" + std::string(has_undefined() ? ", grey: undefined" : ""), kTitleScale), left_,
          kPadding);
  }

  [[nodiscard]] bool has_undefined() const {
    return std::any_of(matrix_.values.begin(), matrix_.values.end(), [](double value) { return std::isnan(value); });
  }

  void paint_bar() {
    const int x = left_ + std::max(width_, kSmallestSide) + 2 * kPadding, height = std::max(height_, kSmallestSide);
    for (int step = 0; step < kBarSteps; ++step) {
      const int begin = top_ + height * step / kBarSteps, end = top_ + height * (step + 1) / kBarSteps;
      if (end > begin) canvas_(cv::Rect(x, begin, kBarWidth, end - begin)) = ink_of(1 - (step + 0.5) / kBarSteps);
    }
    for (const double value : {0.0, 0.25, 0.5, 0.75, 1.0}) {
      const int y = top_ + static_cast<int>(std::lround((height - 1) * (1 - value)));
      cv::line(canvas_, {x + kBarWidth, y}, {x + kBarWidth + kTick - 1, y}, kInk);
      const cv::Mat label = written(value == 0 ? "<= 0" : fixed(value, 2), kLabelScale);
      paint(label, x + kBarWidth + kTick + kGap, y - label.rows / 2);
    }
  }

  const similarity::Matrix& matrix_;
  int rows_, cols_, cell_ = 1, left_ = 0, top_ = 0, width_ = 0, height_ = 0;
  std::vector<std::string> row_labels_, col_labels_;
  cv::Mat canvas_;
};

}  // namespace

std::string heatmap_png(const similarity::Matrix& matrix) { return png(Picture(matrix).canvas()); }

}  // namespace repsim::report
