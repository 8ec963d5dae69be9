#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/error.hpp"
#include "repsim/base/memory.hpp"
#include "workspace.hpp"

/// What of a run's memory is a choice: what it keeps to compute less, and how much it does in one pass.
namespace repsim::pipeline {

/// None of it changes what a run finds.
struct MemoryBudget {
  std::int64_t calibration_values = std::int64_t{512} << 20;  ///< layers' values that fits have in common
  std::int64_t sums = std::int64_t{256} << 20;                ///< of maps from the same values to the same values
  std::int64_t frame_values = std::int64_t{352} << 20;        ///< layers' values that measuring has in common
  std::size_t together = 32;                                  ///< cuts whose sums are gathered in one pass
  std::int64_t screening = kUnlimited;                        ///< see fit::screen()
  std::int64_t rows = kUnlimited;                             ///< see capture::signatures()
};

/// The `--memory-limit` of a run: its peak of resident memory, libraries included.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::optional<std::int64_t> bytes) : bytes_(bytes) {}

  /// Before models are loaded. @param at_once  models that are in memory together: all, or one after the other
  /// @throws Error{kInput} where the files alone are too large
  enum class AtOnce { kAll, kOne };
  void check_files(const std::vector<model::ModelSpec>& models, AtOnce at_once) const;

  /// Once these models are loaded: what is left beside them and a minibatch of the one that needs most.
  /// @throws Error{kInput} where even that is too much
  [[nodiscard]] MemoryBudget memory_budget(const std::vector<graph::Prepared>& models) const;

  /// At the end of a run: a warning where the limit was not kept.
  void judge() const;

 private:
  [[nodiscard]] Error too_small(const std::string& what, std::int64_t needed) const;

  std::optional<std::int64_t> bytes_;
};

}  // namespace repsim::pipeline
