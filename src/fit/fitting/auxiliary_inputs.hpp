#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "repsim/fit/fitting.hpp"

namespace repsim::fit {

/// Which auxiliary inputs are worth their weights, as CutFitter::choose_auxiliary_inputs() says.
/// @param maps  of one cut, all with the same auxiliary inputs and with two blocks: one to fit on, one to measure the
///        error on
/// @param rank  of the corrections, above 0
/// @return indices of MapSums::auxiliary_inputs, in the order in which they were chosen; none if a block has no samples
[[nodiscard]] std::vector<std::size_t> best_auxiliary_inputs(std::span<const MapSums> maps, int rank,
                                                             std::size_t max_count);

}  // namespace repsim::fit
