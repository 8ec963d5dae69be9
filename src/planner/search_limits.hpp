#pragma once

namespace repsim::planner {

inline constexpr double kEqual =
    1e-9;  // the search takes savings and fidelities that differ by less (relative) as equal

}  // namespace repsim::planner
