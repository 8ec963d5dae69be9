#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "repsim/planner.hpp"

namespace repsim::planner {

/// The flow network of a CutProblem, built once and solved for many weights.
class CutSolver {
 public:
  explicit CutSolver(const CutProblem& problem);
  ~CutSolver();
  CutSolver(const CutSolver&) = delete;
  CutSolver& operator=(const CutSolver&) = delete;

  /// As best_cut().
  /// @param most_cost  offers that cost more are not taken; negative: all are
  [[nodiscard]] ExactCut solve(std::int64_t cost_weight, std::int64_t saving_weight, const std::vector<bool>& allowed,
                               std::int64_t most_cost = -1);

  [[nodiscard]] std::int64_t total_worth() const { return total_worth_; }  ///< of all that can disappear
  [[nodiscard]] std::int64_t total_cost() const { return total_cost_; }    ///< of the dearest offers of all layers

 private:
  struct Network;
  void build();
  void check_range(std::int64_t cost_weight, std::int64_t saving_weight) const;

  const CutProblem& problem_;
  std::unique_ptr<Network> network_;
  std::vector<std::vector<int>> layers_of_op_;  ///< layers whose value the op makes
  std::int64_t total_worth_ = 0, total_cost_ = 0, total_added_ = 0;
};

}  // namespace repsim::planner
