#pragma once

#include <vector>

#include "repsim/pipeline.hpp"

namespace repsim::pipeline {

/// Per model of `settings`, whether the cache holds the signatures that capture() would make. Captures nothing, and
/// makes no cache. A model that cannot be opened has none.
/// Cost: opens every model, and decodes the video once to count its frames.
/// @throws Error{kInput} where the video cannot be used; Error{kInterrupted}
[[nodiscard]] std::vector<bool> are_cached(const Settings& settings, Progress& progress);

}  // namespace repsim::pipeline
