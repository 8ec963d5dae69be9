#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "fake_evaluator.hpp"

/// Random worlds for tests of the search.
namespace repsim::test {

/// What of the difficulties a random world has.
struct Difficulties {
  bool penalties = false;    ///< a donor's own share costs fidelity
  bool noise = false;        ///< trials measure less than complete fits
  bool corrections = false;  ///< fidelity can be bought for bytes
  bool test_frames = false;  ///< other frames judge
};

/// Two to four models, up to three options per receiver, one or two donors each.
inline FakeWorld random_world(std::mt19937& random, const Difficulties& with) {
  const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  FakeWorld world;
  const int models = 2 + below(3);
  for (int model = 0; model < models; ++model) world.targets.push_back((40 + below(16)) / kSteps);
  world.max_gain = with.noise ? 4 / kSteps : 0;
  for (ModelIndex receiver = 0; receiver < models; ++receiver) {
    for (int k = below(4); k > 0; --k) {
      FakeOption one;
      one.option.receiver = receiver;
      const int first = 1 + below(models - 1), second = 1 + below(models - 1);
      for (const int away : std::set<int>{first, below(2) == 0 ? second : first}) {
        planner::Supplied supplied{(receiver + away) % models, {}};
        for (LayerIndex layer = 0; layer < 5; ++layer) {
          if (below(3) == 0) supplied.layers.push_back(layer);
        }
        one.option.supplied.push_back(supplied);
      }
      std::sort(one.option.supplied.begin(), one.option.supplied.end(),
                [](const planner::Supplied& a, const planner::Supplied& b) { return a.donor < b.donor; });
      for (LayerIndex layer = 0; layer < 5; ++layer) {
        if (below(4) == 0) one.option.unavailable.push_back(layer);
      }
      one.bytes = 1 + below(40);
      one.r2 = below(65) / kSteps;
      one.fidelity = (36 + below(29)) / kSteps;
      if (with.noise) one.trial_loss = below(5) / kSteps;  // at most max_gain
      if (with.test_frames) one.test_shift = (below(13) - 8) / kSteps;
      if (with.corrections && below(2) == 0) {
        one.correction_gain = below(16) / kSteps;
        one.correction_bytes = 1 + below(10);
      }
      world.options.push_back(one);
    }
  }
  for (std::size_t donor = 0; with.penalties && donor < world.options.size(); ++donor) {
    for (std::size_t option = 0; option < world.options.size(); ++option)
      world.penalties[{donor, option}] = std::max(0, below(16) - 6) / kSteps;
  }
  return world;
}

/// Chains that may be measured: an option with one selection of options for its donors, and theirs.
inline std::size_t possible_chains(const FakeWorld& world) {
  const BruteForce all(world, std::nullopt);
  std::set<std::pair<std::size_t, std::vector<int>>> chains;
  std::vector<int> taken(world.targets.size(), -1);
  const std::function<void(std::size_t)> each = [&](std::size_t receiver) {
    if (receiver < taken.size()) {
      each(receiver + 1);
      for (std::size_t i = 0; i < world.options.size(); ++i) {
        if (static_cast<std::size_t>(world.options[i].option.receiver) != receiver) continue;
        taken[receiver] = static_cast<int>(i);
        each(receiver + 1);
        taken[receiver] = -1;
      }
      return;
    }
    if (!allowed(all.choice, taken)) return;
    for (const int option : taken) {
      if (option < 0) continue;
      std::set<ModelIndex> upstream{world.options[option].option.receiver};
      for (std::size_t round = 0; round < taken.size(); ++round) {
        for (const int other : taken) {
          if (other < 0 || upstream.count(world.options[other].option.receiver) == 0) continue;
          for (const planner::Supplied& supplied : world.options[other].option.supplied)
            upstream.insert(supplied.donor);
        }
      }
      std::vector<int> part(taken.size(), -1);
      for (const ModelIndex model : upstream) part[model] = taken[model];
      chains.insert({static_cast<std::size_t>(option), part});
    }
  };
  each(0);
  return chains.size();
}

}  // namespace repsim::test
