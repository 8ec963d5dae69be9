#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

#include "repsim/planner.hpp"

namespace repsim::test {

/// Whether these options may stand in one plan, by the rules of planner::Choice and nothing else.
/// @param taken  per receiver an option, -1: none
inline bool allowed(const planner::Choice& choice, const std::vector<int>& taken) {
  std::vector<std::set<int>> donors(static_cast<std::size_t>(choice.models));
  int shares = 0;
  for (const int a : taken) {
    if (a < 0) continue;
    ++shares;
    const planner::ShareOption& share = choice.options[a];
    for (const planner::Supplied& supplied : share.supplied) {
      donors[share.receiver].insert(supplied.donor);
      for (const int b : taken) {
        if (b < 0) continue;
        const planner::ShareOption& other = choice.options[b];
        if (other.receiver != supplied.donor) continue;
        for (const LayerIndex layer : supplied.layers) {
          if (std::find(other.unavailable.begin(), other.unavailable.end(), layer) != other.unavailable.end())
            return false;
        }
      }
    }
  }
  for (const auto& set : choice.nogoods) {
    std::size_t together = 0;
    for (const std::size_t option : set)
      together += std::find(taken.begin(), taken.end(), static_cast<int>(option)) != taken.end() ? 1 : 0;
    if (together == set.size()) return false;
  }
  // Transitive closure: a model that reaches itself is a cycle.
  for (std::size_t round = 0; round < donors.size(); ++round) {
    for (auto& of : donors) {
      std::set<int> more = of;
      for (const ModelIndex donor : of) more.insert(donors[donor].begin(), donors[donor].end());
      of = more;
    }
  }
  for (std::size_t model = 0; model < donors.size(); ++model) {
    if (donors[model].count(static_cast<int>(model)) > 0) return false;
  }
  return choice.max_shares < 0 || shares <= choice.max_shares;
}

}  // namespace repsim::test
