#pragma once

#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/report_page.hpp"

/// The parts of report.html, as views of the templates in src/report/templates (see template.hpp): every number is
/// written out, every place in a chart worked out, nothing is markup.
namespace repsim::report {

inline constexpr const char* kArrow = "\u2190";  ///< from the donors to the receiver

/// A coordinate with one decimal.
[[nodiscard]] std::string px(double value);

[[nodiscard]] Json totals_view(const Plan& plan);
[[nodiscard]] Json models_view(const Plan& plan);
[[nodiscard]] Json pictures_view(const std::vector<FramePicture>& pictures);
/// The models that take part in shares, side by side; null where there are none, or no layers are known.
[[nodiscard]] Json drawing_view(const Plan& plan, const std::vector<PageModel>& models);
[[nodiscard]] Json shares_view(const Plan& plan);
/// The candidates as points: bytes saved against fidelity.
[[nodiscard]] Json front_view(const Plan& plan);
/// The candidates as rows.
[[nodiscard]] Json candidates_view(const Plan& plan);
/// @param matrices  those without rows or columns are left out
[[nodiscard]] Json similarities_view(const Plan& plan, const std::vector<similarity::Matrix>& matrices);
[[nodiscard]] Json settings_view(const Plan& plan);

}  // namespace repsim::report
