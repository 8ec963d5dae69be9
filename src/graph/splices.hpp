#pragma once

#include <span>
#include <vector>

#include "repsim/graph.hpp"

namespace repsim::graph {

/// Of `count` models: donors before receivers; among the ready ones, plan order.
/// @throws Error{kInternal} when the shares form a cycle
[[nodiscard]] std::vector<int> execution_order(std::size_t count, std::span<const Splice> splices);

}  // namespace repsim::graph
