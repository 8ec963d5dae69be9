#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "repsim/planner.hpp"

/// The choice of shares as a network of variables. A variable is a receiver. Its values are "nothing" and its share
/// options. For every two variables it is known which values may not stand side by side.
namespace repsim::planner {

/// An index or a count as what sizes are made of. @param index  0 or more
constexpr std::size_t at(int index) { return static_cast<std::size_t>(index); }

inline constexpr std::size_t kNoOption = static_cast<std::size_t>(-1);

/// A receiver with at least one option that may be chosen. Value 0 takes nothing; the options follow, largest worth
/// first.
struct Variable {
  ModelIndex model = -1;
  std::vector<std::size_t> option;       ///< per value; kNoOption for value 0
  std::vector<double> worth;             ///< per value; 0 for value 0
  std::vector<std::vector<int>> donors;  ///< per value: variables that it takes from; who never takes is left out
};

/// Two variables a < b. Values of the one that exclude the same values of the other are a class: there are few.
struct Pair {
  int a = -1, b = -1;
  std::vector<int> class_a, class_b;  ///< per value; class 0 excludes nothing
  int classes_a = 0, classes_b = 0;
  std::vector<std::uint8_t> fits;  ///< classes_a * classes_b, row-major: may stand side by side

  [[nodiscard]] bool fit(int of_a, int of_b) const { return fits[of_a * classes_b + of_b] != 0; }
};

/// Values of which not all may be taken; three or more (two are in Pair).
using Nogood = std::vector<std::pair<int, int>>;  // variable, value

struct ChoiceProblem {
  std::vector<Variable> variables;
  std::vector<Pair> pairs;  ///< of all a < b, in lexicographic order
  std::vector<Nogood> nogoods;
  std::vector<std::vector<std::vector<std::size_t>>> nogoods_of;  ///< per variable and value: indices into nogoods
  std::vector<std::vector<double>> conflict_count;  ///< per variable and value: how many values of others it excludes
  int most_takers = 0;                              ///< no choice has more options

  [[nodiscard]] std::size_t pair_of(int a, int b) const;  ///< index into pairs, in either order
};

/// Leaves out options without value, options that take from their own receiver, and options that another one of the
/// same receiver beats: worth as much or more, and neither in conflict nor dependent on a donor where the beaten one is
/// not. Some best choice remains.
/// @throws Error{kInternal} when an option names no model, or none that it takes from
[[nodiscard]] ChoiceProblem reduce(const Choice& choice);

}  // namespace repsim::planner
