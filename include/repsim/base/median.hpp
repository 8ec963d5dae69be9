#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace repsim {

/// The middle one of the values in their order, of an even number the upper one; 0 where there are none.
[[nodiscard]] inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace repsim
