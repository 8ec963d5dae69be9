#pragma once

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "fake_evaluator.hpp"
#include "repsim/judged_search.hpp"

namespace repsim::test {

/// Answers from the made-up world, and writes down what it is asked.
class FakeJudge : public planner::PlanJudge {
 public:
  FakeJudge(const FakeWorld& world, const FakeEvaluator& evaluator) : world_(world), evaluator_(evaluator) {}

  std::map<std::size_t, double> in_file_less;  ///< per option: the file keeps this much less than memory
  std::int64_t detections = 100;
  planner::SearchResult plan;                   ///< taken last
  std::vector<std::vector<std::size_t>> looks;  ///< per plan that was shown: the options that were measured
  std::vector<std::vector<int>> written;        ///< per write(): the option of each receiver
  std::vector<ModelIndex> refusals;
  int times_out_of_judgements = 0;

  void take(const planner::SearchResult& next) override {
    plan = next;
    is_shown_ = false;
  }
  planner::Judged in_memory(ModelIndex receiver) override {
    if (!is_shown_) looks.emplace_back();
    is_shown_ = true;
    const planner::SelectedShare& share = share_of(receiver);
    looks.back().push_back(option_of(share));
    EXPECT_EQ(share.max_gain, 0) << "a share is judged that is not fitted completely";
    return judged(evaluator_.test_fidelity(share.share));
  }
  void write() override { written.push_back(taken_of(world_, plan)); }
  planner::Judged in_file(ModelIndex receiver) override {
    const planner::SelectedShare& share = share_of(receiver);
    const auto less = in_file_less.find(option_of(share));
    return judged(evaluator_.test_fidelity(share.share) - (less == in_file_less.end() ? 0 : less->second));
  }
  void refused(ModelIndex receiver, const planner::Judged&) override { refusals.push_back(receiver); }
  void out_of_judgements(std::int64_t judgements) override {
    ++times_out_of_judgements;
    EXPECT_EQ(judgements, static_cast<std::int64_t>(looks.size()));
  }

 private:
  [[nodiscard]] planner::Judged judged(double fidelity) const {
    return {.fidelity = fidelity, .low = fidelity, .detections = detections};
  }
  [[nodiscard]] std::size_t option_of(const planner::SelectedShare& share) const {
    return test::option_of(plan.records[share.record].candidate);
  }
  [[nodiscard]] const planner::SelectedShare& share_of(ModelIndex receiver) const {
    for (const planner::SelectedShare& one : plan.shares) {
      if (plan.records[one.record].candidate.cut.receiver == receiver) return one;
    }
    throw std::logic_error("a receiver is judged that takes nothing");
  }

  const FakeWorld& world_;
  const FakeEvaluator& evaluator_;
  bool is_shown_ = false;
};

/// A search of a made-up world, and its judge.
struct JudgedWorld {
  explicit JudgedWorld(const FakeWorld& of, planner::SearchOptions options = {})
      : world(of),
        evaluator(world),
        search(world.input(), std::move(options), evaluator, observer),
        judge(world, evaluator) {
    judging.targets = world.targets;
    judging.accepted.assign(world.targets.size(), false);
  }
  std::int64_t run() { return planner::search_until_it_holds(search, judging, judge); }

  const FakeWorld world;
  FakeEvaluator evaluator;
  planner::SearchObserver observer;
  planner::Search search;
  planner::Judging judging;
  FakeJudge judge;
};

}  // namespace repsim::test
