#pragma once

#include <limits>
#include <vector>

#include "choice_problem.hpp"

namespace repsim::planner {

inline constexpr double kImpossible = -std::numeric_limits<double>::infinity();

/// Some of all choices: variables that are fixed have their value, open ones take one of those left.
///
/// A value's price is its worth and what the pairs of open variables moved to it. What a pair moved to two values that
/// may stand side by side is 0 or more in sum, so no choice is worth more than its prices, and none is worth more than
/// the sum of the largest prices (see Bounds). A tax on every option is taken off its price; a bound gives it back for
/// as many options as there may be takers.
struct Subproblem {
  explicit Subproblem(const ChoiceProblem& problem);  ///< all choices

  [[nodiscard]] bool open(int variable) const { return taken[variable] < 0; }

  std::vector<int> taken;                       ///< per variable its value; -1: open
  std::vector<std::vector<int>> values;         ///< per variable what is left, ascending
  std::vector<std::vector<double>> prices;      ///< per variable and value
  std::vector<std::vector<double>> to_a, to_b;  ///< per pair and class: what it moved
  double tax = 0;                               ///< on every option of an open variable
  double worth = 0;                             ///< of what is fixed
  int left = 0;                                 ///< more takers than these are not allowed
  bool possible = true;                         ///< every variable has a value left
};

/// Gives a variable its value, and takes from the others what cannot stand beside it.
void fix(const ChoiceProblem& problem, Subproblem& part, int variable, int value);

/// @param values  ascending
void exclude(Subproblem& part, int variable, const std::vector<int>& values);

}  // namespace repsim::planner
