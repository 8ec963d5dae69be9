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
  bool test_frames = false;  ///< other frames judge: all shares of a receiver lose or gain equally on them
  bool test_noise = false;   ///< with test_frames: a step more or less, per share
  bool evidence = false;     ///< some receivers have too little evidence
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
      if (with.test_frames) {
        const bool first = world.options.empty() || world.options.back().option.receiver != receiver;
        const int shift = below(13) - 8;
        one.test_shift = first ? shift / kSteps : world.options.back().test_shift;
      }
      if (with.corrections && below(2) == 0) {
        one.correction_gain = below(16) / kSteps;
        one.correction_bytes = 1 + below(10);
      }
      world.options.push_back(one);
    }
  }
  if (with.test_noise) {
    for (FakeOption& one : world.options) one.test_shift += (below(3) - 1) / kSteps;
  }
  for (int model = 0; with.evidence && model < models; ++model)
    world.evidence.push_back({.detections = below(40), .wanted = 10});
  for (std::size_t donor = 0; with.penalties && donor < world.options.size(); ++donor) {
    for (std::size_t option = 0; option < world.options.size(); ++option)
      world.penalties[{donor, option}] = std::max(0, below(16) - 6) / kSteps;
  }
  return world;
}

/// Of a selection, the part on which the measurement of an option depends: its own, its donors' options, and theirs.
inline std::vector<int> chain_part(const FakeWorld& world, const std::vector<int>& taken, int option) {
  std::set<ModelIndex> upstream{world.options[option].option.receiver};
  for (std::size_t round = 0; round < taken.size(); ++round) {
    for (const int other : taken) {
      if (other < 0 || upstream.count(world.options[other].option.receiver) == 0) continue;
      for (const planner::Supplied& supplied : world.options[other].option.supplied) upstream.insert(supplied.donor);
    }
  }
  std::vector<int> part(taken.size(), -1);
  for (const ModelIndex model : upstream) part[model] = taken[model];
  return part;
}

/// Calls `see` with every allowed selection, whether its shares hold or not.
inline void each_allowed(const FakeWorld& world, const std::function<void(const std::vector<int>& taken)>& see) {
  const BruteForce all(world, std::nullopt);
  std::vector<int> taken(world.targets.size(), -1);
  const std::function<void(std::size_t)> each = [&](std::size_t receiver) {
    if (receiver == taken.size()) {
      if (allowed(all.choice, taken)) see(taken);
      return;
    }
    each(receiver + 1);
    for (std::size_t i = 0; i < world.options.size(); ++i) {
      if (static_cast<std::size_t>(world.options[i].option.receiver) != receiver) continue;
      taken[receiver] = static_cast<int>(i);
      each(receiver + 1);
      taken[receiver] = -1;
    }
  };
  each(0);
}

/// Chains that may be measured: an option with one selection of options for its donors, and theirs.
inline std::size_t possible_chains(const FakeWorld& world) {
  std::set<std::pair<int, std::vector<int>>> chains;
  each_allowed(world, [&](const std::vector<int>& taken) {
    for (const int option : taken) {
      if (option >= 0) chains.insert({option, chain_part(world, taken, option)});
    }
  });
  return chains.size();
}

}  // namespace repsim::test
