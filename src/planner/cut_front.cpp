#include <algorithm>
#include <set>

#include "min_cut.hpp"

namespace repsim::planner {
namespace {

/// Value of a cut at the exchange rate between two corners: on their line it is the same for both.
std::int64_t value_between(const ExactCut& low, const ExactCut& high, const ExactCut& cut) {
  return (high.cost - low.cost) * cut.saving - (high.saving - low.saving) * cut.cost;
}

/// Adds the corners strictly between two known ones, ascending.
void bisect(CutSolver& solver, const ExactCut& low, const ExactCut& high, std::vector<ExactCut>& corners) {
  const ExactCut found = solver.solve(high.saving - low.saving, high.cost - low.cost, {});
  if (value_between(low, high, found) <= value_between(low, high, low)) return;
  bisect(solver, low, found, corners);
  corners.push_back(found);
  bisect(solver, found, high, corners);
}

}  // namespace

std::vector<ExactCut> supported_cuts(const CutProblem& problem) {
  CutSolver solver(problem);
  // Weights so unequal that the lighter side only breaks ties.
  const ExactCut free = solver.solve(solver.total_worth() + 1, 1, {});
  const ExactCut largest = solver.solve(1, solver.total_cost() + 1, {});
  std::vector<ExactCut> corners{free};
  if (largest.saving > free.saving) {
    bisect(solver, free, largest, corners);
    corners.push_back(largest);
  }
  // Between two corners on one line others may have been met; they are no corners.
  std::vector<ExactCut> hull;
  for (const ExactCut& corner : corners) {
    while (hull.size() > 1 && value_between(hull[hull.size() - 2], corner, hull.back()) <=
                                  value_between(hull[hull.size() - 2], corner, corner)) {
      hull.pop_back();
    }
    hull.push_back(corner);
  }
  return hull;
}

std::vector<ExactCut> cuts_by_worst_offer(const CutProblem& problem, int most) {
  std::set<std::int64_t> costs;
  for (const auto& offers : problem.offers) {
    for (const Offer& offer : offers) costs.insert(offer.cost);
  }
  std::vector<std::int64_t> bounds(costs.begin(), costs.end());
  const std::size_t wanted = std::min(bounds.size(), static_cast<std::size_t>(std::max(0, most)));
  CutSolver solver(problem);
  std::vector<ExactCut> cuts;
  for (std::size_t i = 1; i <= wanted; ++i) {
    const std::int64_t bound = bounds[i * bounds.size() / wanted - 1];
    ExactCut cut = solver.solve(1, solver.total_cost() + 1, {}, bound);
    if (!cut.replacements.empty() && (cuts.empty() || cuts.back() != cut)) cuts.push_back(std::move(cut));
  }
  return cuts;
}

std::vector<ExactCut> cuts_between(const CutProblem& problem, const std::vector<ExactCut>& corners, int most_flows) {
  struct Open {
    std::int64_t value = 0;
    ExactCut cut;
    std::set<int> left_out;
  };
  const auto worse = [](const Open& a, const Open& b) {
    return a.value != b.value ? a.value < b.value : a.left_out > b.left_out;
  };
  CutSolver solver(problem);
  std::vector<ExactCut> cuts;
  if (corners.size() < 2) return cuts;
  const int share = std::max(1, most_flows / static_cast<int>(corners.size() - 1));
  int flows = 0;
  for (std::size_t i = 0; i + 1 < corners.size() && flows < most_flows; ++i) {
    const ExactCut &low = corners[i], &high = corners[i + 1];
    std::set<std::set<int>> seen;
    std::vector<Open> open;  // a heap, best first
    const auto expand = [&](const Open& from, int& left) {
      for (const graph::Replacement& replaced : from.cut.replacements) {
        Open next;
        next.left_out = from.left_out;
        next.left_out.insert(replaced.receiver_layer);
        if (left == 0 || !seen.insert(next.left_out).second) continue;
        std::vector<bool> allowed(problem.offers.size(), true);
        for (const int one : next.left_out) allowed[one] = false;
        next.cut = solver.solve(high.saving - low.saving, high.cost - low.cost, allowed);
        next.value = value_between(low, high, next.cut);
        --left;
        ++flows;
        if (next.cut.replacements.empty()) continue;
        cuts.push_back(next.cut);
        open.push_back(std::move(next));
        std::push_heap(open.begin(), open.end(), worse);
      }
    };
    int left = std::min(share, most_flows - flows);
    expand({0, high, {}}, left);
    while (left > 0 && !open.empty()) {
      std::pop_heap(open.begin(), open.end(), worse);
      const Open best = std::move(open.back());
      open.pop_back();
      expand(best, left);
    }
  }
  return cuts;
}

}  // namespace repsim::planner
