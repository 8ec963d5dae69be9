#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "fake_evaluator.hpp"

/// Small worlds made by hand.
namespace repsim::test {

/// Option of a made-up world: `receiver` takes a layer of `donor`; both may take and give as they like.
inline FakeOption share_of(ModelIndex receiver, ModelIndex donor, std::int64_t bytes, double r2, int steps) {
  FakeOption one;
  one.option.receiver = receiver;
  one.option.supplied.push_back({donor, {0}});
  one.bytes = bytes;
  one.r2 = r2;
  one.fidelity = steps / kSteps;
  return one;
}

/// All receivers have to keep kTarget steps.
inline constexpr int kTarget = 60;
inline FakeWorld world_of(std::size_t models, std::vector<FakeOption> options) {
  FakeWorld world;
  world.targets.assign(models, kTarget / kSteps);
  world.options = std::move(options);
  return world;
}

inline std::vector<planner::Reason::Kind> kinds(const planner::SearchResult& found) {
  std::vector<planner::Reason::Kind> result;
  for (const planner::CandidateRecord& one : found.records) result.push_back(one.reason.kind);
  return result;
}

/// A search of a made-up world.
struct Game {
  explicit Game(FakeWorld of, planner::SearchOptions options = {})
      : world(std::move(of)), evaluator(world), search(world.input(), std::move(options), evaluator, observer) {}

  const FakeWorld world;
  FakeEvaluator evaluator;
  planner::SearchObserver observer;
  planner::Search search;
};

}  // namespace repsim::test
