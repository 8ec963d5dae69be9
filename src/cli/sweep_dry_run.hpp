#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/sweep.hpp"

namespace repsim::cli {

/// What `repsim sweep --dry-run` prints: the tasks, what is there already, and about how long the rest takes. Looks
/// into the cache for captures that are to do.
[[nodiscard]] std::string sweep_dry_run(const std::vector<sweep::Task>& tasks,
                                        const std::vector<sweep::TaskStatus>& statuses, std::int64_t jobs,
                                        const sweep::Resources& resources, Progress& progress);

}  // namespace repsim::cli
