#pragma once

#include <span>
#include <vector>

#include "repsim/fit.hpp"

namespace repsim::fit {

/// Which sides of these maps are worth their weights, as choose_auxiliary_inputs() says.
/// @param maps  of one cut, all with the same sides and with two parts: one that fits, one that judges
/// @return indices of Map::sides, in the order in which they were taken
[[nodiscard]] std::vector<std::size_t> best_auxiliary_inputs(std::span<const Gathered::Map> maps, int rank,
                                                             std::size_t most);

}  // namespace repsim::fit
