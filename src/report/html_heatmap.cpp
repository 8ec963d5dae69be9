#include <algorithm>
#include <cmath>
#include <map>
#include <opencv2/core.hpp>

#include "format.hpp"
#include "heatmap_parts.hpp"
#include "html_parts.hpp"

namespace repsim::report {
namespace {

constexpr std::size_t kTooltips = 3000;   ///< over all heatmaps; about 170 bytes of page each
constexpr std::size_t kValues = 400'000;  ///< that go into the page for its script; two bytes each
constexpr double kMarginLeft = 206, kMarginTop = 12, kMarginBottom = 138, kMarginRight = 70;
constexpr double kLongestSide = 520, kSmallestCell = 1, kLargestCell = 22, kLabelGap = 24, kShortestBar = 120;

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

std::string css_colour(const Rgb& colour) {
  return "rgb(" + std::to_string(colour[0]) + "," + std::to_string(colour[1]) + "," + std::to_string(colour[2]) + ")";
}

/// Where the cells of a heatmap lie.
struct Layout {
  double cell = 1, width = 0, height = 0;

  explicit Layout(const similarity::Matrix& matrix) {
    const auto rows = static_cast<double>(matrix.rows.size()), cols = static_cast<double>(matrix.cols.size());
    cell = std::clamp(kLongestSide / std::max(rows, cols), kSmallestCell, kLargestCell);
    if (cell > 2) cell = std::floor(cell);
    width = cell * cols;
    height = cell * rows;
  }
  [[nodiscard]] double x(std::size_t col) const { return kMarginLeft + cell * static_cast<double>(col); }
  [[nodiscard]] double y(std::size_t row) const { return kMarginTop + cell * static_cast<double>(row); }
  [[nodiscard]] double bar_height() const { return std::max(height, kShortestBar); }
  /// One layer of so many has its name at the axis.
  [[nodiscard]] std::size_t label_step() const { return static_cast<std::size_t>(std::ceil(kLabelGap / cell)); }
};

Json row_labels(const Layout& layout, const std::vector<std::string>& rows) {
  Json labels = Json::array();
  for (std::size_t row = 0; row < rows.size(); row += layout.label_step()) {
    const double y = layout.y(row) + layout.cell / 2;
    labels.push_back({{"x", px(kMarginLeft - 5)},
                      {"y", px(y)},
                      {"text_x", px(kMarginLeft - 8)},
                      {"text_y", px(y + 3)},
                      {"name", short_name(rows[row])}});
  }
  return labels;
}

Json col_labels(const Layout& layout, const std::vector<std::string>& cols) {
  Json labels = Json::array();
  const double y = kMarginTop + layout.height;
  for (std::size_t col = 0; col < cols.size(); col += layout.label_step()) {
    const double x = layout.x(col) + layout.cell / 2;
    labels.push_back(
        {{"x", px(x)}, {"y", px(y)}, {"text_x", px(x + 3)}, {"text_y", px(y + 13)}, {"name", short_name(cols[col])}});
  }
  return labels;
}

void add_colour_bar(const Layout& layout, Json& view) {
  const double x = kMarginLeft + layout.width + 16, height = layout.bar_height();
  constexpr int kSteps = 32;
  view["bar_steps"] = Json::array();
  for (int step = 0; step < kSteps; ++step) {
    const Rgb colour = colour_of((step + 0.5) / kSteps);
    view["bar_steps"].push_back({{"x", px(x)},
                                 {"y", px(kMarginTop + height * (kSteps - 1 - step) / kSteps)},
                                 {"height", px(height / kSteps + 0.5)},
                                 {"colour", css_colour(colour)}});
  }
  view["bar_values"] = Json::array();
  for (const double value : {0.0, 0.5, 1.0}) {
    view["bar_values"].push_back({{"x", px(x + 17)},
                                  {"y", px(kMarginTop + height * (1 - value) + 4)},
                                  {"value", value == 0 ? "<= 0" : fixed(value, 1)}});
  }
}

/// A range of rows and columns.
struct Block {
  std::size_t row = 0, row_end = 0, col = 0, col_end = 0;
};

std::string values_text(const similarity::Matrix& matrix, const Block& block) {
  double low = 2, high = -2;
  for (std::size_t i = block.row; i < block.row_end; ++i) {
    for (std::size_t j = block.col; j < block.col_end; ++j) {
      if (std::isnan(matrix.at(i, j))) continue;
      low = std::min(low, matrix.at(i, j));
      high = std::max(high, matrix.at(i, j));
    }
  }
  if (low > high) return "undefined (constant)";
  return "S " + fixed(low, 2) + (fixed(low, 2) == fixed(high, 2) ? "" : " to " + fixed(high, 2));
}

/// The colour of a block's mean, for viewers that show no pictures.
std::string mean_colour(const similarity::Matrix& matrix, const Block& block) {
  double sum = 0, count = 0;
  for (std::size_t i = block.row; i < block.row_end; ++i) {
    for (std::size_t j = block.col; j < block.col_end; ++j) {
      if (std::isnan(matrix.at(i, j))) continue;
      sum += matrix.at(i, j);
      ++count;
    }
  }
  return count == 0 ? "none" : css_colour(colour_of(sum / count));
}

/// All values for the page's script, two digits of base 32 each: 500 (S + 1). "--" where a value is undefined.
std::string packed_values(const similarity::Matrix& matrix) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
  std::string packed;
  for (const double value : matrix.values) {
    if (std::isnan(value)) {
      packed += "--";
      continue;
    }
    const auto steps = static_cast<std::size_t>(std::lround(500 * (std::clamp(value, -1.0, 1.0) + 1)));
    packed += kDigits[steps / kDigits.size()];
    packed += kDigits[steps % kDigits.size()];
  }
  return packed;
}

std::string lines_of(const std::vector<std::string>& names) { return join(names, "\n"); }

std::string names_text(const std::vector<std::string>& names, std::size_t first, std::size_t end) {
  return names[first] + (end - first > 1 ? " and " + std::to_string(end - first - 1) + " more" : "");
}

/// One transparent rectangle per block of layers, as small as `most` allows.
Json blocks_view(const Layout& layout, const similarity::Matrix& matrix, std::size_t most) {
  const std::size_t rows = matrix.rows.size(), cols = matrix.cols.size();
  std::size_t side = 1;
  while (((rows + side - 1) / side) * ((cols + side - 1) / side) > std::max<std::size_t>(most, 1)) ++side;
  Json blocks = Json::array();
  for (std::size_t row = 0; row < rows; row += side) {
    for (std::size_t col = 0; col < cols; col += side) {
      const Block block{row, std::min(row + side, rows), col, std::min(col + side, cols)};
      blocks.push_back({{"x", px(layout.x(col))},
                        {"y", px(layout.y(row))},
                        {"width", px(layout.x(block.col_end) - layout.x(col))},
                        {"height", px(layout.y(block.row_end) - layout.y(row))},
                        {"fill", mean_colour(matrix, block)},
                        {"row", names_text(matrix.rows, row, block.row_end)},
                        {"col", names_text(matrix.cols, col, block.col_end)},
                        {"value", values_text(matrix, block)}});
    }
  }
  return blocks;
}

std::map<std::string, std::size_t> indices_of(const std::vector<std::string>& names) {
  std::map<std::string, std::size_t> indices;
  for (std::size_t i = 0; i < names.size(); ++i) indices.emplace(names[i], i);
  return indices;
}

/// Rings around pairs of layers of which one replaces the other. Either model may be the receiver.
Json marks_view(const Layout& layout, const similarity::Matrix& matrix, const Plan& plan) {
  const auto rows = indices_of(matrix.rows), cols = indices_of(matrix.cols);
  Json marks = Json::array();
  for (const Share& share : plan.shares) {
    for (const Replaced& replaced : share.replaced) {
      const bool row_receives = share.receiver == matrix.row_model && replaced.donor == matrix.col_model;
      if (!row_receives && !(replaced.donor == matrix.row_model && share.receiver == matrix.col_model)) continue;
      const auto row = rows.find(row_receives ? replaced.receiver_layer : replaced.donor_layer);
      const auto col = cols.find(row_receives ? replaced.donor_layer : replaced.receiver_layer);
      if (row == rows.end() || col == cols.end()) continue;
      marks.push_back({{"x", px(layout.x(col->second) + layout.cell / 2)},
                       {"y", px(layout.y(row->second) + layout.cell / 2)},
                       {"radius", px(std::max(layout.cell * 0.7, 5.0))},
                       {"receiver_layer", replaced.receiver_layer},
                       {"donor_layer", replaced.donor_layer},
                       {"similarity", fixed(replaced.similarity, 2)}});
    }
  }
  return marks;
}

/// @param tooltips  blocks of layers that have one
/// @param with_values  every value goes into the page, for its script
Json heatmap_view(const similarity::Matrix& matrix, const Plan& plan, std::size_t tooltips, bool with_values) {
  const Layout layout(matrix);
  const Json marks = marks_view(layout, matrix, plan);
  const auto count = [](const std::vector<std::string>& layers) {
    return counted(static_cast<std::int64_t>(layers.size()), "layer");
  };
  Json view{{"row_model", matrix.row_model},
            {"col_model", matrix.col_model},
            {"row_names", lines_of(matrix.rows)},
            {"col_names", lines_of(matrix.cols)},
            {"values", with_values ? packed_values(matrix) : ""},
            {"rows", count(matrix.rows)},
            {"cols", count(matrix.cols)},
            {"width", px(kMarginLeft + layout.width + kMarginRight)},
            {"height", px(kMarginTop + layout.bar_height() + kMarginBottom)},
            {"picture",
             {{"x", px(kMarginLeft)},
              {"y", px(kMarginTop)},
              {"width", px(layout.width)},
              {"height", px(layout.height)},
              {"data", picture(matrix)}}},
            {"row_labels", row_labels(layout, matrix.rows)},
            {"col_labels", col_labels(layout, matrix.cols)},
            {"blocks", blocks_view(layout, matrix, tooltips)},
            {"marks", marks},
            {"marked", marks.empty() ? Json() : Json(counted(static_cast<std::int64_t>(marks.size()), "pair"))}};
  add_colour_bar(layout, view);
  return view;
}

}  // namespace

Json similarities_view(const Plan& plan, const std::vector<similarity::Matrix>& matrices) {
  Json list = Json::array();
  std::size_t left = kValues;
  for (const similarity::Matrix& matrix : matrices) {
    if (matrix.rows.empty() || matrix.cols.empty()) continue;
    const bool with_values = matrix.values.size() <= left;
    if (with_values) left -= matrix.values.size();
    list.push_back(heatmap_view(matrix, plan, kTooltips / matrices.size(), with_values));
  }
  return {{"list", list}};
}

}  // namespace repsim::report
