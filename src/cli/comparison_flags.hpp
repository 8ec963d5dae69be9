#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "repsim/plan_diff.hpp"

/// How plans are compared: flags of check and diff.
namespace repsim::cli {

struct ComparisonFlags {
  std::optional<std::string> tolerance;
  double default_tolerance = 0;
  bool all = false;
};

/// --fidelity-tolerance, --all.
void add_comparison(CLI::App& app, ComparisonFlags& flags, double default_tolerance);

/// @throws Error{kUsage}
[[nodiscard]] report::DiffTolerances tolerances_of(const ComparisonFlags& flags);
[[nodiscard]] report::DiffDetail detail_of(const ComparisonFlags& flags);

}  // namespace repsim::cli
