#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "choice_cases.hpp"
#include "repsim/base/error.hpp"
#include "repsim/search.hpp"

/// Made-up models for tests of the search: what every option keeps is a number, and measuring it takes no time.
namespace repsim::test {

/// Fidelities and losses are multiples of 1 / kSteps, so that sums are exact.
inline constexpr double kSteps = 64;

struct FakeOption {
  planner::ShareOption option;
  std::int64_t bytes = 0;  ///< saved without corrections
  double r2 = 0.5;
  double fidelity = 1;    ///< fitted completely, without corrections, on donors without shares
  double trial_loss = 0;  ///< a trial measures this much less than a complete fit
  double test_shift = 0;  ///< the test frames measure this much more
  /// Corrections add this to the fidelity and take this from the saving. 0 bytes: there are none.
  double correction_gain = 0;
  std::int64_t correction_bytes = 0;
  bool weights = false;                                ///< it shares weights instead of layers
  std::vector<graph::SharedWeight> more_weights = {};  ///< that it shares as well
  bool computable = true;
  bool is_measured = true;    ///< false: nothing can be compared
  std::optional<double> low;  ///< lower end of the interval that its trial finds
};

struct FakeWorld {
  std::vector<FakeOption> options;
  std::vector<double> targets;  ///< per model
  std::vector<planner::ModelEvidence> evidence;
  double max_gain = 0;  ///< of every trial
  /// (donor's option, option): what a donor's own share, also that of a donor's donor, takes from the fidelity; 0 or
  /// more. So a chain never keeps more than a part of it, as the search assumes when it drops chains.
  std::map<std::pair<std::size_t, std::size_t>, double> penalties;

  /// Fidelity of a complete fit, where the donors, their donors and so on have these options.
  [[nodiscard]] double fidelity(std::size_t option, const std::set<std::size_t>& upstream, bool corrected) const {
    double value = options[option].fidelity + (corrected ? options[option].correction_gain : 0);
    for (const std::size_t other : upstream) {
      const auto penalty = penalties.find({other, option});
      if (penalty != penalties.end()) value -= penalty->second;
    }
    return value;
  }
  [[nodiscard]] double target(std::size_t option) const { return targets[options[option].option.receiver]; }

  /// The option is recognised by its first replacement, or by its first weight.
  [[nodiscard]] planner::SearchInput input() const {
    planner::SearchInput input;
    input.targets = targets;
    input.evidence = evidence;
    for (std::size_t i = 0; i < options.size(); ++i) {
      planner::Candidate candidate;
      candidate.cut.receiver = options[i].option.receiver;
      for (const planner::Supplied& supplied : options[i].option.supplied) {
        if (options[i].weights) candidate.cut.weights.push_back({static_cast<int>(i), supplied.donor, 0, 0});
        if (!options[i].weights) candidate.cut.replacements.push_back({static_cast<LayerIndex>(i), supplied.donor, 0});
      }
      for (const graph::SharedWeight& one : options[i].more_weights) candidate.cut.weights.push_back(one);
      candidate.r2 = candidate.predicted_fidelity = options[i].r2;
      candidate.similarity = options[i].r2;
      candidate.savings.bytes = options[i].bytes;
      input.candidates.push_back(candidate);
      input.options.push_back(options[i].option);
    }
    return input;
  }
};

[[nodiscard]] inline std::size_t option_of(const planner::Candidate& candidate) {
  const graph::Cut& cut = candidate.cut;
  return static_cast<std::size_t>(cut.replacements.empty() ? cut.weights.front().parameter
                                                           : cut.replacements.front().receiver_layer);
}

/// Answers from a FakeWorld, writes down what it is asked, and fails the test where it is asked twice.
class FakeEvaluator : public planner::Evaluator {
 public:
  explicit FakeEvaluator(const FakeWorld& world) : world_(world) {}

  struct Question {
    std::vector<std::size_t> chain;  ///< options, the measured one last
    bool complete = false;
    [[nodiscard]] auto operator<=>(const Question&) const = default;
  };
  std::vector<Question> asked;                              ///< in order
  std::vector<std::vector<std::size_t>> prepared_together;  ///< options of each prepare()
  std::size_t deferrals = 0;
  std::function<void()> before_measuring = [] {}, before_completing = [] {}, before_preparing = [] {};

  planner::Measurement measure(const planner::Candidate& candidate,
                               std::span<const planner::FittedShareId> donor_shares,
                               const WorthFitting& worth_fitting) override {
    before_measuring();
    const std::size_t option = option_of(candidate);
    const FakeOption& one = world_.options[option];
    ask(option, donor_shares, false);
    if (!one.computable) throw input_error("made up", "fake");
    const std::set<std::size_t> upstream = options_of(donor_shares);
    planner::Measurement measurement{0, candidate.savings, 0, {}, world_.max_gain, {}};
    measurement.fidelity = world_.fidelity(option, upstream, false) - one.trial_loss;
    measurement.low = one.low;
    if (!one.is_measured) {
      measurement.fidelity = 0;
      measurement.is_measured = false;
      return keep(measurement, option, upstream, false);
    }
    bool corrected = false;
    planner::Savings with = candidate.savings;
    with.bytes -= one.correction_bytes;
    if (measurement.fidelity < world_.target(option) && one.correction_bytes > 0 && with.bytes > 0) {
      if (!worth_fitting(with)) {
        if (measurement.fidelity < world_.target(option) - world_.max_gain) {
          measurement.deferred_savings = with;
          ++deferrals;
          answered_.erase(asked.back());  // it may be asked again
          return measurement;
        }
      } else {
        corrected = true;
        measurement.savings = with;
        measurement.fidelity += one.correction_gain;
      }
    }
    return keep(measurement, option, upstream, corrected);
  }

  planner::Measurement complete(planner::FittedShareId share,
                                std::span<const planner::FittedShareId> donor_shares) override {
    before_completing();
    const Kept kept = kept_.at(share);
    ask(kept.option, donor_shares, true);
    planner::Measurement measurement{0, kept.savings, 0, {}, 0, {}};
    measurement.fidelity = world_.fidelity(kept.option, kept.upstream, kept.corrected);
    measurement.is_measured = world_.options[kept.option].is_measured;
    return keep(measurement, kept.option, kept.upstream, kept.corrected);
  }

  [[nodiscard]] bool prepared(const planner::Candidate& candidate) const override {
    return prepared_.count(option_of(candidate)) > 0;
  }
  void prepare(std::span<const planner::Candidate> candidates) override {
    before_preparing();
    prepared_together.emplace_back();
    for (const planner::Candidate& one : candidates) {
      prepared_together.back().push_back(option_of(one));
      EXPECT_TRUE(prepared_.insert(option_of(one)).second) << "option " << option_of(one) << " is prepared twice";
    }
  }

  /// What the test frames say of a share.
  [[nodiscard]] double test_fidelity(planner::FittedShareId share) const {
    const Kept& kept = kept_.at(share);
    return kept.fidelity + world_.options[kept.option].test_shift;
  }

 private:
  struct Kept {
    std::size_t option = 0;
    std::set<std::size_t> upstream;
    bool corrected = false;
    planner::Savings savings;
    double fidelity = 0, max_gain = 0;
  };

  void ask(std::size_t option, std::span<const planner::FittedShareId> donor_shares, bool complete) {
    Question question{{}, complete};
    for (const planner::FittedShareId share : donor_shares) {
      EXPECT_EQ(kept_.at(share).max_gain, 0) << "a donor's share is not fitted completely";
      question.chain.push_back(kept_.at(share).option);
    }
    question.chain.push_back(option);
    asked.push_back(question);
    EXPECT_TRUE(answered_.insert(question).second) << "option " << option << " is measured twice on equal donors";
  }
  [[nodiscard]] std::set<std::size_t> options_of(std::span<const planner::FittedShareId> shares) const {
    std::set<std::size_t> options;
    for (const planner::FittedShareId share : shares) options.insert(kept_.at(share).option);
    return options;
  }
  planner::Measurement keep(planner::Measurement measurement, std::size_t option, const std::set<std::size_t>& upstream,
                            bool corrected) {
    measurement.share = kept_.size();
    kept_.push_back({option, upstream, corrected, measurement.savings, measurement.fidelity, measurement.max_gain});
    return measurement;
  }

  const FakeWorld& world_;
  std::vector<Kept> kept_;
  std::set<Question> answered_;
  std::set<std::size_t> prepared_;
};

/// What a plan does with a search: judge on the test frames, complete, judge again.
inline planner::SearchResult settle(planner::Search& search, const FakeEvaluator& evaluator, const FakeWorld& world) {
  for (;;) {
    planner::SearchResult found = search.run();
    bool again = false, complete = true;
    for (const planner::SelectedShare& share : found.shares) {
      const planner::Candidate& candidate = found.records[share.record].candidate;
      complete = complete && share.max_gain == 0;
      const double fidelity = evaluator.test_fidelity(share.share);
      if (fidelity >= world.target(option_of(candidate)) - share.max_gain) continue;
      search.refuse(candidate.cut.receiver, {fidelity});
      again = true;
    }
    if (!again && complete) return found;
    if (!again) search.complete();
  }
}

/// The best of all allowed selections whose shares hold, by trying every one.
struct BruteForce {
  const FakeWorld& world;
  planner::Choice choice;
  bool count_test_frames = true;

  BruteForce(const FakeWorld& of, std::optional<std::int64_t> max_shares) : world(of) {
    choice.models = static_cast<int>(world.targets.size());
    for (const FakeOption& one : world.options) choice.options.push_back(one.option);
    choice.max_shares = static_cast<int>(max_shares.value_or(-1));
  }

  /// Corrections are fitted where the selection frames ask for them: a share may need them on some donors alone.
  [[nodiscard]] bool corrected(const std::vector<int>& taken, std::size_t option) const {
    const FakeOption& one = world.options[option];
    return world.fidelity(option, upstream_of(taken, option), false) - one.trial_loss < world.target(option) &&
           one.correction_bytes > 0 && one.bytes > one.correction_bytes;
  }
  [[nodiscard]] std::int64_t saving(const std::vector<int>& taken, std::size_t option) const {
    return world.options[option].bytes - (corrected(taken, option) ? world.options[option].correction_bytes : 0);
  }
  [[nodiscard]] double fidelity(const std::vector<int>& taken, std::size_t option) const {
    return world.fidelity(option, upstream_of(taken, option), corrected(taken, option));
  }
  /// What the option's donors, their donors and so on take.
  [[nodiscard]] std::set<std::size_t> upstream_of(const std::vector<int>& taken, std::size_t option) const {
    std::set<std::size_t> upstream;
    std::vector<std::size_t> open{option};
    while (!open.empty()) {
      const std::size_t one = open.back();
      open.pop_back();
      for (const planner::Supplied& supplied : world.options[one].option.supplied) {
        const int donor = taken[supplied.donor];
        if (donor >= 0 && upstream.insert(static_cast<std::size_t>(donor)).second)
          open.push_back(static_cast<std::size_t>(donor));
      }
    }
    return upstream;
  }
  [[nodiscard]] bool holds(const std::vector<int>& taken, std::size_t option) const {
    const FakeOption& one = world.options[option];
    const double measured = fidelity(taken, option);
    return one.computable && saving(taken, option) > 0 && measured >= world.target(option) &&
           (!count_test_frames || measured + one.test_shift >= world.target(option));
  }

  /// Calls `see` with every allowed selection whose shares hold.
  void each(const std::function<void(const std::vector<int>& taken)>& see) const {
    std::vector<int> taken(world.targets.size(), -1);
    each(taken, 0, see);
  }
  void each(std::vector<int>& taken, std::size_t receiver,
            const std::function<void(const std::vector<int>&)>& see) const {
    if (receiver == taken.size()) {
      if (!allowed(choice, taken)) return;
      for (const int option : taken) {
        if (option >= 0 && !holds(taken, static_cast<std::size_t>(option))) return;
      }
      see(taken);
      return;
    }
    each(taken, receiver + 1, see);
    for (std::size_t i = 0; i < world.options.size(); ++i) {
      if (static_cast<std::size_t>(world.options[i].option.receiver) != receiver) continue;
      taken[receiver] = static_cast<int>(i);
      each(taken, receiver + 1, see);
      taken[receiver] = -1;
    }
  }
  [[nodiscard]] std::int64_t saving(const std::vector<int>& taken) const {
    std::int64_t sum = 0;
    for (const int option : taken) sum += option < 0 ? 0 : saving(taken, static_cast<std::size_t>(option));
    return sum;
  }
  [[nodiscard]] std::int64_t largest_saving() const {
    std::int64_t largest = 0;
    each([&](const std::vector<int>& taken) { largest = std::max(largest, saving(taken)); });
    return largest;
  }
};

/// Per receiver the option of a result.
inline std::vector<int> taken_of(const FakeWorld& world, const planner::SearchResult& found) {
  std::vector<int> taken(world.targets.size(), -1);
  for (const planner::SelectedShare& share : found.shares) {
    const planner::Candidate& candidate = found.records[share.record].candidate;
    EXPECT_EQ(taken[candidate.cut.receiver], -1) << "two shares of one receiver";
    taken[candidate.cut.receiver] = static_cast<int>(option_of(candidate));
  }
  return taken;
}

}  // namespace repsim::test
