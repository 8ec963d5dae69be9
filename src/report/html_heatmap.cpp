#include <algorithm>
#include <cmath>
#include <map>
#include <opencv2/core.hpp>

#include "format.hpp"
#include "heatmap_parts.hpp"
#include "html_parts.hpp"

namespace repsim::report {
namespace {

constexpr std::int64_t kTooltips = 3000;  ///< over all heatmaps; about 170 bytes of page each
constexpr double kMarginLeft = 206, kMarginTop = 12, kMarginBottom = 138, kMarginRight = 70;
constexpr double kLongestSide = 520, kSmallestCell = 1, kLargestCell = 22, kLabelGap = 24;

/// One pixel per value, in one of 255 colours; transparent where a value is undefined.
std::string picture(const similarity::Matrix& matrix) {
  constexpr double kSteps = 254;
  const auto cols = static_cast<int>(matrix.cols.size());
  cv::Mat pixels(static_cast<int>(matrix.rows.size()), cols, CV_8UC4, cv::Scalar::all(0));
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    if (std::isnan(matrix.values[i])) continue;
    const auto [red, green, blue] = colour_of(std::round(kSteps * std::clamp(matrix.values[i], 0.0, 1.0)) / kSteps);
    pixels.at<cv::Vec4b>(static_cast<int>(i) / cols, static_cast<int>(i) % cols) = {blue, green, red, 255};
  }
  return png_data_uri(pixels);
}

class Heatmap {
 public:
  Heatmap(const similarity::Matrix& matrix, std::int64_t tooltips) : matrix_(matrix) {
    const auto rows = static_cast<double>(matrix.rows.size()), cols = static_cast<double>(matrix.cols.size());
    cell_ = std::clamp(kLongestSide / std::max(rows, cols), kSmallestCell, kLargestCell);
    if (cell_ > 2) cell_ = std::floor(cell_);
    width_ = cell_ * cols;
    height_ = cell_ * rows;
    body_ = "<image class=\"picture\" x=\"" + px(kMarginLeft) + "\" y=\"" + px(kMarginTop) + "\" width=\"" +
            px(width_) + "\" height=\"" + px(height_) + "\" preserveAspectRatio=\"none\" href=\"" + picture(matrix) +
            "\"/>\n";
    add_labels();
    add_colour_bar();
    add_tooltips(tooltips);
  }

  /// Rings around the pairs of layers of which one replaces the other.
  void mark(std::size_t row, std::size_t col, const std::string& title) {
    const std::string at = " cx=\"" + px(x_of(col) + cell_ / 2) + "\" cy=\"" + px(y_of(row) + cell_ / 2) + "\" r=\"" +
                           px(std::max(cell_ * 0.7, 5.0)) + "\"";
    body_ += "<g><title>" + escaped(title) + "</title><circle class=\"mark-edge\"" + at + "/><circle class=\"mark\"" +
             at + "/></g>\n";
  }

  [[nodiscard]] std::string text() const {
    const double width = kMarginLeft + width_ + kMarginRight;
    const double height = kMarginTop + std::max(height_, 120.0) + kMarginBottom;
    return "<svg width=\"" + px(width) + "\" height=\"" + px(height) + "\" viewBox=\"0 0 " + px(width) + " " +
           px(height) + "\" role=\"img\" aria-label=\"Similarity of " + escaped(matrix_.row_model) + " and " +
           escaped(matrix_.col_model) + "\">\n" + body_ + "</svg>\n";
  }

 private:
  [[nodiscard]] double x_of(std::size_t col) const { return kMarginLeft + cell_ * static_cast<double>(col); }
  [[nodiscard]] double y_of(std::size_t row) const { return kMarginTop + cell_ * static_cast<double>(row); }
  [[nodiscard]] std::size_t label_step() const { return static_cast<std::size_t>(std::ceil(kLabelGap / cell_)); }

  void add_labels() {
    const std::size_t step = label_step();
    for (std::size_t row = 0; row < matrix_.rows.size(); row += step) {
      const double y = y_of(row) + cell_ / 2;
      body_ += "<path class=\"tick\" d=\"M" + px(kMarginLeft - 5) + " " + px(y) + "h5\"/><text class=\"name\" x=\"" +
               px(kMarginLeft - 8) + "\" y=\"" + px(y + 3) + "\" text-anchor=\"end\">" +
               escaped(short_name(matrix_.rows[row])) + "</text>\n";
    }
    for (std::size_t col = 0; col < matrix_.cols.size(); col += step) {
      const double x = x_of(col) + cell_ / 2, y = kMarginTop + height_;
      body_ += "<path class=\"tick\" d=\"M" + px(x) + " " + px(y) +
               "v5\"/><text class=\"name\" text-anchor=\"end\" transform=\"translate(" + px(x + 3) + " " + px(y + 13) +
               ") rotate(-38)\">" + escaped(short_name(matrix_.cols[col])) + "</text>\n";
    }
  }

  void add_colour_bar() {
    const double x = kMarginLeft + width_ + 16, height = std::max(height_, 120.0);
    constexpr int kSteps = 32;
    for (int step = 0; step < kSteps; ++step) {
      const Rgb colour = colour_of((step + 0.5) / kSteps);
      body_ += "<rect x=\"" + px(x) + "\" y=\"" + px(kMarginTop + height * (kSteps - 1 - step) / kSteps) +
               "\" width=\"12\" height=\"" + px(height / kSteps + 0.5) + "\" fill=\"rgb(" + std::to_string(colour[0]) +
               "," + std::to_string(colour[1]) + "," + std::to_string(colour[2]) + ")\"/>";
    }
    for (const double value : {0.0, 0.5, 1.0}) {
      body_ += "<text x=\"" + px(x + 17) + "\" y=\"" + px(kMarginTop + height * (1 - value) + 4) + "\">" +
               (value == 0 ? "&lt;= 0" : fixed(value, 1)) + "</text>";
    }
    body_ += "\n";
  }

  /// One transparent rectangle per block of layers, as small as `most` allows.
  void add_tooltips(std::int64_t most) {
    const std::size_t rows = matrix_.rows.size(), cols = matrix_.cols.size();
    std::size_t side = 1;
    while (((rows + side - 1) / side) * ((cols + side - 1) / side) >
           static_cast<std::size_t>(std::max<std::int64_t>(most, 1))) {
      ++side;
    }
    for (std::size_t row = 0; row < rows; row += side) {
      for (std::size_t col = 0; col < cols; col += side) {
        const std::size_t row_end = std::min(row + side, rows), col_end = std::min(col + side, cols);
        body_ += "<rect class=\"hover\" x=\"" + px(x_of(col)) + "\" y=\"" + px(y_of(row)) + "\" width=\"" +
                 px(x_of(col_end) - x_of(col)) + "\" height=\"" + px(y_of(row_end) - y_of(row)) + "\"><title>" +
                 escaped(tooltip(row, row_end, col, col_end)) + "</title></rect>\n";
      }
    }
  }

  [[nodiscard]] std::string tooltip(std::size_t row, std::size_t row_end, std::size_t col, std::size_t col_end) const {
    double low = 2, high = -2;
    for (std::size_t i = row; i < row_end; ++i) {
      for (std::size_t j = col; j < col_end; ++j) {
        if (std::isnan(matrix_.at(i, j))) continue;
        low = std::min(low, matrix_.at(i, j));
        high = std::max(high, matrix_.at(i, j));
      }
    }
    const auto range = [](const std::vector<std::string>& names, std::size_t first, std::size_t end) {
      return names[first] + (end - first > 1 ? " and " + std::to_string(end - first - 1) + " more" : "");
    };
    std::string value = "undefined (constant)";
    if (low <= high) value = "S " + fixed(low, 2) + (fixed(low, 2) == fixed(high, 2) ? "" : " to " + fixed(high, 2));
    return range(matrix_.rows, row, row_end) + "\n" + range(matrix_.cols, col, col_end) + "\n" + value;
  }

  const similarity::Matrix& matrix_;
  double cell_ = 1, width_ = 0, height_ = 0;
  std::string body_;
};

std::map<std::string, std::size_t> indices_of(const std::vector<std::string>& names) {
  std::map<std::string, std::size_t> indices;
  for (std::size_t i = 0; i < names.size(); ++i) indices.emplace(names[i], i);
  return indices;
}

/// Marks what the shares between the two models replace, whichever of them is the receiver. Returns how many.
int mark_shares(const Plan& plan, const similarity::Matrix& matrix, Heatmap& heatmap) {
  const auto rows = indices_of(matrix.rows), cols = indices_of(matrix.cols);
  int marked = 0;
  for (const Share& share : plan.shares) {
    for (const Replaced& replaced : share.replaced) {
      const bool row_receives = share.receiver == matrix.row_model && replaced.donor == matrix.col_model;
      if (!row_receives && !(replaced.donor == matrix.row_model && share.receiver == matrix.col_model)) continue;
      const auto row = rows.find(row_receives ? replaced.receiver_layer : replaced.donor_layer);
      const auto col = cols.find(row_receives ? replaced.donor_layer : replaced.receiver_layer);
      if (row == rows.end() || col == cols.end()) continue;
      heatmap.mark(
          row->second, col->second,
          replaced.receiver_layer + "\ncomes from " + replaced.donor_layer + "\nS " + fixed(replaced.similarity, 2));
      ++marked;
    }
  }
  return marked;
}

}  // namespace

std::string heatmaps_section(const Plan& plan, const std::vector<similarity::Matrix>& matrices) {
  std::string html =
      "<section>\n<h2>Similarity of representations</h2>\n<p class=\"muted\">S (linear CKA, unbiased) of every layer "
      "of one model with every layer of another, in execution order. Rings: replaced in this plan. Hover for "
      "names and values.</p>\n";
  const std::int64_t tooltips = kTooltips / std::max<std::int64_t>(static_cast<std::int64_t>(matrices.size()), 1);
  for (const similarity::Matrix& matrix : matrices) {
    if (matrix.rows.empty() || matrix.cols.empty()) continue;
    Heatmap heatmap(matrix, tooltips);
    const int marked = mark_shares(plan, matrix, heatmap);
    html += "<figure>\n<h3>" + escaped(matrix.row_model) + " (down) and " + escaped(matrix.col_model) +
            " (across)</h3>\n" + heatmap.text() + "<figcaption>" +
            counted(static_cast<std::int64_t>(matrix.rows.size()), "layer") + " by " +
            counted(static_cast<std::int64_t>(matrix.cols.size()), "layer") +
            (marked > 0 ? ", " + counted(marked, "pair") + " shared" : std::string()) + ".</figcaption>\n</figure>\n";
  }
  return html + "</section>\n";
}

}  // namespace repsim::report
