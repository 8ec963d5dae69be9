#pragma once

#include "repsim/sweep_report.hpp"

namespace repsim::report {

/// The tree in summary.json.
[[nodiscard]] Json tree_json(const ModelTree& tree);

}  // namespace repsim::report
