#include <algorithm>
#include <cmath>
#include <optional>

#include "choice_bound.hpp"

namespace repsim::planner {
namespace {

constexpr double kRounding = 1e-9;  // relative: sums in another order differ by less
constexpr int kRootRounds = 100;    // of Bounds::tighten for all choices together
constexpr int kRounds = 4;          // for a part of them: more cost more than the branches that they save
constexpr double kTie = 1e-6;       // relative to the largest price: gaps below are as good as none

/// Branch and bound over the receivers.
class ChoiceSolver {
 public:
  ChoiceSolver(const ChoiceProblem& problem, std::int64_t most_steps)
      : problem_(problem), bounds_(problem), most_steps_(most_steps) {}

  void run() {
    Subproblem all(problem_);
    bounds_.anneal(all);
    bounds_.tighten(all, 0, kRootRounds);
    descend(all);
  }

  /// Per variable its value; empty: nothing is worth anything.
  [[nodiscard]] const std::vector<int>& best() const { return best_; }
  [[nodiscard]] double value() const { return value_; }
  [[nodiscard]] double bound() const { return proven_ ? value_ : std::max(value_, open_bound_); }
  [[nodiscard]] bool proven() const { return proven_; }

 private:
  /// More than this is better than the best so far.
  [[nodiscard]] double least() const { return value_ * (1 + kRounding); }

  void descend(Subproblem& part) {
    while (part.possible) {
      bounds_.tighten(part, least(), kRounds);
      const double bound = Bounds::bound(part);
      if (bound <= least()) return;
      // The first way down always ends, with a choice.
      if (!best_.empty() && bounds_.steps() > most_steps_) {
        proven_ = false;
        open_bound_ = std::max(open_bound_, bound);
        return;
      }
      Bounds::prune(part, least());
      if (!part.possible) return;
      // Halves say nothing of a choice yet: a way down to the first one fixes receiver by receiver.
      std::optional<Branch> branch = best_.empty() ? std::nullopt : halves(part, bound - least());
      if (!branch) branch = surest(part);
      if (!branch) {
        value_ = part.worth;  // more than least(): it is its own bound
        best_ = part.taken;
        return;
      }
      Subproblem first = part;
      if (branch->values.size() == 1) {
        fix(problem_, first, branch->variable, branch->values[0]);
      } else {
        first.values[branch->variable] = branch->values;
      }
      descend(first);
      exclude(part, branch->variable, branch->values);
    }
  }

  /// A variable's values that are looked at first.
  struct Branch {
    int variable = -1;
    std::vector<int> values;  // ascending
  };

  /// Splits between values that exclude many others and values that exclude few: whether a model gives or takes decides
  /// more than what it takes. Of the variable whose two values are the furthest apart and both near the best price,
  /// which the bound exceeds the best choice by `gap`; none where all values of every variable exclude as many.
  [[nodiscard]] std::optional<Branch> halves(const Subproblem& part, double gap) const {
    double furthest = 0, border = 0;
    Branch branch;
    bool below = false;
    for (int i = 0; i < static_cast<int>(part.taken.size()); ++i) {
      if (!part.open(i)) continue;
      const auto& prices = part.prices[i];
      const auto& conflict_count = problem_.conflict_count[i];
      const int best = best_value(part, i);
      for (const int value : part.values[i]) {
        const double near = 1 - (prices[best] - prices[value]) / gap;
        const double apart = near * std::abs(conflict_count[value] - conflict_count[best]);
        if (apart <= furthest) continue;
        furthest = apart;
        branch.variable = i;
        border = (conflict_count[value] + conflict_count[best]) / 2;
        below = conflict_count[best] < border;
      }
    }
    if (branch.variable < 0) return std::nullopt;
    for (const int value : part.values[branch.variable]) {
      if ((problem_.conflict_count[branch.variable][value] < border) == below) branch.values.push_back(value);
    }
    return branch;
  }

  /// The best value of the open variable for which it is surest, per value left; none where all are fixed.
  [[nodiscard]] static std::optional<Branch> surest(const Subproblem& part) {
    std::optional<Branch> branch;
    double most = 0;
    for (int i = 0; i < static_cast<int>(part.taken.size()); ++i) {
      if (!part.open(i)) continue;
      const auto& prices = part.prices[i];
      const int best = best_value(part, i);
      double second = kImpossible;
      for (const int value : part.values[i]) {
        if (value != best) second = std::max(second, prices[value]);
      }
      // Infinite where one value is left.
      const double sure =
          (prices[best] - second + kTie * std::abs(prices[best])) / static_cast<double>(part.values[i].size());
      if (branch && sure <= most) continue;
      most = sure;
      branch = {i, {best}};
    }
    return branch;
  }

  [[nodiscard]] static int best_value(const Subproblem& part, int variable) {
    const auto& values = part.values[variable];
    const auto& prices = part.prices[variable];
    return *std::max_element(values.begin(), values.end(), [&](int a, int b) { return prices[a] < prices[b]; });
  }

  const ChoiceProblem& problem_;
  Bounds bounds_;
  std::int64_t most_steps_;
  std::vector<int> best_;
  double value_ = 0, open_bound_ = 0;
  bool proven_ = true;
};

}  // namespace

Chosen choose(const Choice& choice) {
  const ChoiceProblem problem = reduce(choice);
  ChoiceSolver solver(problem, choice.most_steps);
  solver.run();
  Chosen chosen;
  for (std::size_t i = 0; i < solver.best().size(); ++i) {
    const std::size_t option = problem.variables[i].option[solver.best()[i]];
    if (option != kNoOption) chosen.options.push_back(option);
  }
  chosen.value = solver.value();
  chosen.proven = solver.proven();
  chosen.bound = solver.bound();
  return chosen;
}

}  // namespace repsim::planner
