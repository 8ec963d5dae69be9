#pragma once

#include <span>
#include <vector>

#include "repsim/graph.hpp"

namespace repsim::graph {

/// donors_first() of `count` models that these splices connect.
/// @throws Error{kInternal} when the shares form a cycle
[[nodiscard]] std::vector<ModelIndex> execution_order(std::size_t count, std::span<const Splice> splices);

}  // namespace repsim::graph
