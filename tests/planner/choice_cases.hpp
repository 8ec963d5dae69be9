#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
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
        for (const int weight : supplied.parameters) {
          const std::vector<int>& gone = other.gone_parameters;
          if (std::find(gone.begin(), gone.end(), weight) != gone.end()) return false;
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

/// Up to `options_each` options per receiver, of one donor or of two; now and then nogoods, and a limit on shares.
inline planner::Choice random_choice(std::mt19937& random, int models, int options_each) {
  const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  planner::Choice choice;
  choice.models = models;
  for (ModelIndex receiver = 0; receiver < models; ++receiver) {
    for (int k = below(options_each + 1); k > 0; --k) {
      planner::ShareOption option;
      option.receiver = receiver;
      option.value = below(20);
      const int first = 1 + below(models - 1), second = 1 + below(models - 1);
      for (const int away : std::set<int>{first, below(2) == 0 ? second : first}) {
        planner::Supplied supplied{(receiver + away) % models, {}};
        for (LayerIndex layer = 0; layer < 5; ++layer) {
          if (below(3) == 0) supplied.layers.push_back(layer);
        }
        option.supplied.push_back(supplied);
      }
      for (LayerIndex layer = 0; layer < 5; ++layer) {
        if (below(3) == 0) option.unavailable.push_back(layer);
      }
      choice.options.push_back(option);
    }
  }
  for (int k = below(4); k > 0 && !choice.options.empty(); --k) {
    const auto one = [&] { return static_cast<std::size_t>(below(static_cast<int>(choice.options.size()))); };
    // A receiver takes one option: a set with two of its options would exclude nothing.
    std::set<std::size_t> set;
    std::set<int> receivers;
    for (int i = 2 + below(2); i > 0; --i) {
      const std::size_t option = one();
      if (receivers.insert(choice.options[option].receiver).second) set.insert(option);
    }
    if (set.size() > 1) choice.nogoods.emplace_back(set.begin(), set.end());
  }
  if (below(2) == 0) choice.max_shares = below(3);
  return choice;
}

}  // namespace repsim::test
