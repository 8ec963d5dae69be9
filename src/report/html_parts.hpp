#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "repsim/report.hpp"

/// The parts of report.html. Each section is a whole <section> element of well-formed XML without scripts or outside
/// links.
namespace repsim::report {

inline constexpr const char* kArrow = "\u2190";  ///< from the donors to the receiver

/// Text made safe inside elements and quoted attributes.
[[nodiscard]] std::string escaped(std::string_view text);
/// A coordinate with one decimal.
[[nodiscard]] std::string px(double value);
/// <span class="..."> around escaped text.
[[nodiscard]] std::string span(const char* css_class, std::string_view text);
/// One row of a table from cells that are markup already; `numbers` says from which column on cells are right-aligned.
[[nodiscard]] std::string table_row(const std::vector<std::string>& cells, std::size_t numbers, const char* tag = "td");

[[nodiscard]] std::string_view style_sheet();
[[nodiscard]] std::string totals_section(const Plan& plan);
[[nodiscard]] std::string models_section(const Plan& plan);
[[nodiscard]] std::string shares_section(const Plan& plan);
[[nodiscard]] std::string heatmaps_section(const Plan& plan, const std::vector<similarity::Matrix>& matrices);
[[nodiscard]] std::string candidates_section(const Plan& plan);
[[nodiscard]] std::string settings_section(const Plan& plan);

}  // namespace repsim::report
