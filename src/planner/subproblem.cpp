#include "subproblem.hpp"

#include <algorithm>
#include <numeric>

namespace repsim::planner {
namespace {

/// What stands beside the new value; without what its pairs moved, which that value does not pay any more.
void fix_pairs(const ChoiceProblem& problem, Subproblem& part, int variable, int value) {
  for (int other = 0; other < static_cast<int>(part.taken.size()); ++other) {
    if (!part.open(other)) continue;
    const std::size_t index = problem.pair_of(variable, other);
    const Pair& pair = problem.pairs[index];
    const bool first = variable < other;
    const int own = (first ? pair.class_a : pair.class_b)[value];
    const std::vector<int>& classes = first ? pair.class_b : pair.class_a;
    const std::vector<double>& moved = first ? part.to_b[index] : part.to_a[index];
    std::erase_if(part.values[other],
                  [&](int one) { return first ? !pair.fit(own, classes[one]) : !pair.fit(classes[one], own); });
    for (const int one : part.values[other]) part.prices[other][one] -= moved[classes[one]];
  }
}

/// Nobody takes from one that takes from him, directly or over others.
void forbid_cycles(const ChoiceProblem& problem, Subproblem& part) {
  const int n = static_cast<int>(part.taken.size());
  for (int open = 0; open < n; ++open) {
    if (!part.open(open)) continue;
    std::vector<bool> follows(at(n), false);
    follows[open] = true;
    const auto takes_from_one = [&](int variable, int value) {
      const auto& donors = problem.variables[variable].donors[value];
      return std::any_of(donors.begin(), donors.end(), [&](ModelIndex donor) { return follows[donor]; });
    };
    for (bool changed = true; changed;) {
      changed = false;
      for (int other = 0; other < n; ++other) {
        if (part.open(other) || follows[other] || !takes_from_one(other, part.taken[other])) continue;
        follows[other] = changed = true;
      }
    }
    std::erase_if(part.values[open], [&](int value) { return takes_from_one(open, value); });
  }
}

void forbid_nogoods(const ChoiceProblem& problem, Subproblem& part, int variable, int value) {
  for (const std::size_t index : problem.nogoods_of[variable][value]) {
    const Nogood& nogood = problem.nogoods[index];
    const auto missing = [&](const std::pair<int, int>& one) { return part.taken[one.first] != one.second; };
    if (std::count_if(nogood.begin(), nogood.end(), missing) != 1) continue;
    const auto last = std::find_if(nogood.begin(), nogood.end(), missing);
    if (part.open(last->first)) std::erase(part.values[last->first], last->second);
  }
}

}  // namespace

Subproblem::Subproblem(const ChoiceProblem& problem) : left(problem.most_takers) {
  for (const Variable& variable : problem.variables) {
    taken.push_back(-1);
    // Where nobody may take, nothing is left but that.
    values.emplace_back(left > 0 ? variable.worth.size() : 1);
    std::iota(values.back().begin(), values.back().end(), 0);
    prices.push_back(variable.worth);
  }
  for (const Pair& pair : problem.pairs) {
    to_a.emplace_back(at(pair.classes_a), 0.0);
    to_b.emplace_back(at(pair.classes_b), 0.0);
  }
}

void fix(const ChoiceProblem& problem, Subproblem& part, int variable, int value) {
  part.taken[variable] = value;
  part.values[variable] = {value};
  part.worth += problem.variables[variable].worth[value];
  fix_pairs(problem, part, variable, value);
  if (value > 0) {
    --part.left;
    forbid_cycles(problem, part);
    forbid_nogoods(problem, part, variable, value);
  }
  for (std::size_t i = 0; i < part.values.size(); ++i) {
    if (part.taken[i] < 0 && part.left <= 0) std::erase_if(part.values[i], [](int one) { return one > 0; });
    part.possible = part.possible && !part.values[i].empty();
  }
}

void exclude(Subproblem& part, int variable, const std::vector<int>& values) {
  std::erase_if(part.values[variable],
                [&](int value) { return std::binary_search(values.begin(), values.end(), value); });
  part.possible = part.possible && !part.values[variable].empty();
}

}  // namespace repsim::planner
