#pragma once

namespace repsim::startup {

/// How often a waiting OpenMP thread looks for work before it sleeps (GOMP_SPINCOUNT), in every program that links
/// openmp_waiting.cpp. docs/performance.md has the measurements that chose the value.
inline constexpr const char* kSpinCount = "5000";

}  // namespace repsim::startup
